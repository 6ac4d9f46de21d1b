"""Every bad SIMULATE of the folder `simulation`, and the transcript of what is said about it."""

from pathlib import Path

from places import require_places

from mlbayes import pipeline
from mlbayes.problems import ProblemError, render

HERE = Path(__file__).parent


def test_transcript(golden):
    lines = []
    for path in sorted((HERE / "simulation").glob("*.imp")):
        source = pipeline.read(path)
        problems = []
        try:
            pipeline.understand(source)
        except ProblemError as error:
            problems = error.problems
        assert problems, f"{path.name} has no error"
        require_places(problems, source)
        assert all(problem.span is not None for problem in problems)
        lines += [f"===== {path.name}", *(render(problem, source) for problem in problems), ""]
    golden(HERE / "simulation.expected", "\n".join(lines))

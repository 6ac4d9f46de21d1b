"""Every bad script of this folder, and the transcript of what is said about it."""

from pathlib import Path

from places import require_places

from mlbayes.language.parse import parse_script, read_source
from mlbayes.problems import render

HERE = Path(__file__).parent


def test_transcript(golden):
    lines = []
    for path in sorted(HERE.glob("*.imp")):
        source = read_source(path)
        problems = parse_script(source)[1]
        assert problems, f"{path.name} has no error"
        require_places(problems, source)
        lines += [f"===== {path.name}", *(render(problem, source) for problem in problems), ""]
    golden(HERE / "errors.expected", "\n".join(lines))

"""The printed plans of whole scripts, as they were read and found to make sense; `--update-golden` rewrites them."""

from __future__ import annotations

from pathlib import Path

from scripts import CONFORMANCE, EXAMPLES, source_of, with_conformance_scripts

from mlbayes import pipeline
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.source import Source

HERE = Path(__file__).resolve().parent


def plans(scripts: dict[str, Source]) -> str:
    """The plans of all scripts that can be run, then the names of the others."""
    parts, others = [], []
    for name, source in scripts.items():
        try:
            understood, _ = pipeline.understand_parts(source)
            if understood:  # otherwise the script only simulates data
                parts.append(f"==== {name}\n{pipeline.plan(understood[0].model).describe()}\n")
        except ProblemError as error:
            assert all(problem.kind is ProblemKind.UNSUPPORTED for problem in error.problems), name
            others.append(name)
    parts.append("==== cannot be run yet: " + (", ".join(others) or "none") + "\n")
    return "\n".join(parts)


@with_conformance_scripts
def test_plans_of_the_conformance_scripts(golden):
    scripts = {path.stem: source_of(path) for path in CONFORMANCE}
    golden(HERE / "golden" / "conformance_plans.txt", plans(scripts))


def test_plans_of_the_examples(golden):
    scripts = {f"{path.parent.name}/{path.stem}": source_of(path) for path in EXAMPLES}
    golden(HERE / "golden" / "example_plans.txt", plans(scripts))

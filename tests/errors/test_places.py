"""That a problem without a place does not get through the tests that collect problems."""

import pytest
from places import NOWHERE_ELSE, missing_place

from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Source, Span

SCRIPT = "DATA: a.csv;\n\nMODEL: y ~ x;\n"


@pytest.mark.parametrize(
    "problem",
    [
        Problem("something"),
        Problem("something", Span(0, 0)),
        Problem("something", Span(12, 14)),  # blank
        Problem("something", Span(0, 999)),
        Problem("something", kind=ProblemKind.FILE),
        Problem("'y' has no values", kind=ProblemKind.DATA, place="a.csv"),
    ],
)
def test_a_problem_without_a_place_is_seen(problem, tmp_path):
    assert missing_place(problem, Source(tmp_path / "model.inp", SCRIPT))


@pytest.mark.parametrize(
    "problem",
    [
        Problem("something", Span(0, 4)),
        Problem("something", kind=ProblemKind.DATA, place="a.csv, line 3, column 'y'"),
        Problem("something", kind=ProblemKind.FILE, place="model.inp"),
        *(Problem(message, place="a.csv") for message in NOWHERE_ELSE),
    ],
)
def test_a_place_is_one(problem, tmp_path):
    assert not missing_place(problem, Source(tmp_path / "model.inp", SCRIPT))

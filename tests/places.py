"""Every problem has a place: what the tests hold against it, wherever they collect problems."""

from __future__ import annotations

import re

from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Source

NOWHERE_ELSE = {  # problems that a caret or a line cannot show, with the reason
    "the script names no data file": "what is missing stands nowhere",
    "there is no model": "what is missing stands nowhere",
    "the data file is empty": "the file as a whole",
    "the file is encoded in UTF-16": "the file as a whole",
}


def missing_place(problem: Problem, source: Source | None) -> str:
    """What the place of a problem lacks: words of the script, or a line of the data; empty if nothing."""
    if problem.span is not None:
        start, end = problem.span.start, problem.span.end
        if source is None or not 0 <= start < end <= len(source.text):
            return "the place is not in the script"
        return "" if source.text[start:end].strip() else "there are no words at the place"
    if problem.message in NOWHERE_ELSE or (problem.kind is ProblemKind.FILE and problem.place):
        return ""
    return (
        ""
        if re.search(r", lines? \d", problem.place)
        else "neither words of the script nor a line of the data"
    )


def require_places(problems: list[Problem], source: Source | None) -> None:
    """Fails with the first problem that has no place."""
    for problem in problems:
        lacks = missing_place(problem, source)
        assert not lacks, f"{lacks}: {problem}"

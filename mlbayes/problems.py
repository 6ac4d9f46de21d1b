"""What can go wrong, as values: checks return lists of problems, and only the command line prints them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum

from mlbayes.source import Source, Span

WIDEST = 100  # characters of a line of the script that are shown with a problem
ELLIPSIS = "..."


class ExitStatus(IntEnum):
    """Exit codes of the program."""

    DONE = 0
    INTERNAL = 1
    SCRIPT = 2
    DATA = 3
    NOT_CONVERGED = 4
    NUMERICAL = 5
    INTERRUPTED = 130


class ProblemKind(Enum):
    """Who has to mend a problem; decides the exit code."""

    SCRIPT = "script"
    UNSUPPORTED = "unsupported"
    DATA = "data"
    NUMERICAL = "numerical"
    FILE = "file"

    @property
    def exit_status(self) -> ExitStatus:
        """The exit code of a run that ends with a problem of this kind."""
        return {
            ProblemKind.DATA: ExitStatus.DATA,
            ProblemKind.FILE: ExitStatus.DATA,
            ProblemKind.NUMERICAL: ExitStatus.NUMERICAL,
        }.get(self, ExitStatus.SCRIPT)


@dataclass(frozen=True)
class Problem:
    """One thing to mend: what was found, where, and a hint how to mend it.

    `span` is a place in the script; `place` names any other place ("data.dat, row 12, column 3").
    """

    message: str
    span: Span | None = None
    hint: str = ""
    kind: ProblemKind = ProblemKind.SCRIPT
    place: str = ""


class ProblemError(Exception):
    """Raised by a stage that cannot go on; carries every problem that the stage found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """A hint that names the known word closest to a misspelt one, or an empty text."""
    matches = difflib.get_close_matches(name.lower(), sorted(set(known)), n=1, cutoff=likeness)
    return f"did you mean '{matches[0]}'?" if matches else ""


def printable(text: str) -> str:
    """A text without control characters, for messages that quote what a user wrote."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cropped(text: str, start: int, width: int) -> tuple[str, int, int]:
    """A line cut to WIDEST characters around a marked part; the line, start and width of what is left of the mark.

    `start` (from 0) and `width` give the mark; an ellipsis stands where something was cut.
    """
    if len(text) <= WIDEST:
        return text, start, width
    width = min(width, WIDEST // 2)
    first = min(max(0, start + width // 2 - WIDEST // 2), len(text) - WIDEST)
    last = first + WIDEST
    before, after = (ELLIPSIS if first else ""), (ELLIPSIS if last < len(text) else "")
    shown = before + text[first + len(before) : last - len(after)] + after
    return shown, start - first, width


def render(problem: Problem, source: Source | None) -> str:
    """A problem as text: place, message, the line with a caret below it, hint."""
    lines = []
    place = f"{printable(problem.place)}: " if problem.place else ""
    if problem.span is not None and source is not None:
        line, column = source.line_and_column(problem.span.start)
        lines.append(
            f"{printable(source.path.name)}:{line}:{column}: error: {place}{printable(problem.message)}"
        )
        text = source.line_text(line).expandtabs(1)
        width = max(1, min(problem.span.end - problem.span.start, len(text) - column + 1))
        shown, start, width = cropped(text, column - 1, width)
        lines.append(f"    {printable(shown)}")
        lines.append("    " + " " * start + "^" * width)
    else:
        place = place or (f"{printable(source.path.name)}: " if source is not None else "")
        lines.append(f"{place}error: {printable(problem.message)}")
    if problem.hint:
        lines.append(f"    hint: {printable(problem.hint)}")
    return "\n".join(lines)

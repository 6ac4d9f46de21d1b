"""The text of a script and places in it; every node, term and problem points back here."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Span:
    """A stretch of the source text, as offsets `start` (included) and `end` (excluded)."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A script: where it came from and its text as read (offsets of spans refer to `text`)."""

    path: Path
    text: str
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0] + [i + 1 for i, character in enumerate(self.text) if character == "\n"]
        object.__setattr__(self, "_starts", starts)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line (counted from 1) without its end."""
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

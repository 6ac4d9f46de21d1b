"""Fixed-width lines of the text report: cells, labels, rules, wrapped texts.  Nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

LABEL = 32  # width of the label column
CELL = 11  # width of a number
LINE = 100  # texts are wrapped at this width
LONGEST = 30  # characters of a label that fit beside its numbers
RULE = " " * LABEL + "-" * 78
BAR = "-" * 110


def number(value: float | None, missing: str = "---") -> str:
    """A number in 11 characters; `missing` stands for None."""
    if value is None:
        text = missing
    elif math.isfinite(value) and abs(value) >= 1e5:
        text = f"{value:.3e}"
    else:
        text = f"{value:.3f}"
    return text.rjust(CELL)


def fixed_number(value: float | None) -> str:
    """A value that the user fixed: `@ 1.000`."""
    return ("@" + ("nan" if value is None else f"{value:.3f}").rjust(6)).rjust(CELL)


def row(label: str, cells: Iterable[str], indent: int = 2) -> list[str]:
    """A row of a table; the end of a label that is too long goes on a line of its own."""
    first, rest = split_label(label, LONGEST + 2 - indent)
    lines = [(" " * indent + first).ljust(LABEL) + "".join(cells) + " "]
    while rest:
        first, rest = split_label(rest, LONGEST)
        lines.append(" " * 4 + first)
    return lines


def split_label(label: str, width: int) -> tuple[str, str]:
    """A label in two parts, the second empty when it fits: broken at a comma, else behind an operator."""
    if len(label) <= width:
        return label, ""
    label = label.replace(" : ", ":")
    if len(label) <= width:
        return label, ""
    places = [i + 1 for i, character in enumerate(label[:width]) if character == ","]
    places = places or [i + 1 for i, character in enumerate(label[:width]) if i > 3 and character in "*+-/"]
    place = places[-1] if places else width
    return label[:place].rstrip(), label[place:].lstrip()


def header(first: str, columns: Sequence[str]) -> str:
    """The line above a table."""
    return first.ljust(LABEL) + "".join(column.rjust(CELL) for column in columns) + " "


def labelled(label: str, text: str, indent: int = 2) -> list[str]:
    """`label:  text`, the text wrapped at column 32."""
    start = (" " * indent + label + ":").ljust(LABEL - 1) + " "
    if not text:
        return [start.rstrip()]
    return textwrap.wrap(
        text,
        LINE,
        initial_indent=start,
        subsequent_indent=" " * LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )


def paragraph(mark: str, text: str, indent: int = 2) -> list[str]:
    """`NOTE: text` or `WARNING: text`, wrapped."""
    start = " " * indent + mark + ": "
    later = " " * max(len(start), 8)
    return textwrap.wrap(
        text,
        LINE,
        initial_indent=start,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def numbered(texts: Sequence[str], start: int = 1) -> list[str]:
    """`[1]  text` for each text, numbers right-aligned, long ones wrapped."""
    width = len(str(start + len(texts) - 1))
    lines = []
    for i, text in enumerate(texts, start):
        lines += textwrap.wrap(
            text,
            LINE,
            initial_indent=f"    [{i:>{width}}]  ",
            subsequent_indent=" " * 10,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def ascii_only(text: str) -> str:
    """A text with everything but ASCII written as escapes."""
    return text.encode("ascii", "backslashreplace").decode("ascii")

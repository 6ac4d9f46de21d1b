"""Shorthand of the language: ranges (`x1:x6`) and loops (`{ t in 2:5 }: ...`).

Both are counted before they are written out, so that a short text cannot ask for a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from mlbayes.language.split import Statement, shortened
from mlbayes.problems import Problem, ProblemError
from mlbayes.source import Span

MAX_NAMES = 100_000
MAX_LOOPED = 10_000
MAX_LOOPED_TEXT = 5_000_000
MAX_DIGITS = 9

_LOOP = re.compile(r"\{(?P<head>[^{}]*)\}\s*:(?![+=])")
_ITERATOR = re.compile(
    r"\s*(?P<name>[^\W\d]\w*)\s+in\s+"
    r"(?:(?P<first>[+-]?[0-9]+)\s*:\s*(?P<last>[+-]?[0-9]+)|(?P<words>[\w.]+(?:\s+[\w.]+)*))\s*$",
    re.IGNORECASE,
)
_INDEX = re.compile(r"\[([^\[\]]*)\]")
_INDEX_PART = re.compile(r"\s*([+-]?)\s*(?:([0-9]{1,9})|([^\W\d]\w*))\s*")


class Budget:
    """How much shorthand of one script may still be written out."""

    def __init__(self) -> None:
        self.names = MAX_NAMES
        self.looped = MAX_LOOPED
        self.looped_text = MAX_LOOPED_TEXT

    def spend_names(self, count: int, span: Span) -> None:
        """Account for the names of a range."""
        if count > self.names:
            raise _error(f"the ranges of the script make more than {MAX_NAMES:,} names", span)
        self.names -= count

    def spend_loop(self, count: int, text: int, span: Span) -> None:
        """Account for the statements of a loop and their text."""
        if count > self.looped or count * text > self.looped_text:
            raise _error(f"the loops of the script make more than {MAX_LOOPED:,} statements", span)
        self.looped -= count
        self.looped_text -= count * text


def _error(message: str, span: Span, hint: str = "") -> ProblemError:
    return ProblemError([Problem(message, span, hint)])


# ------------------------------------------------------------------ ranges
def is_range(first: str, last: str) -> bool:
    """Whether two names differ in exactly one whole number, the condition of a range."""
    return _differing_part(first, last) is not None


def _pieces(name: str) -> list[str]:
    return re.split(r"([0-9]+)", name.lower())


def _differing_part(first: str, last: str) -> int | None:
    left, right = _pieces(first), _pieces(last)
    if len(left) != len(right) or len(left) == 1:
        return None
    differing = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
    if not differing:
        return len(left) - 2
    return differing[0] if len(differing) == 1 and differing[0] % 2 == 1 else None


def expand_range(text: str, separator: str, span: Span, budget: Budget) -> list[str]:
    """The names of a range: `v2_j:v4_j` is `v2_j v3_j v4_j`; leading zeros are kept."""
    first, last = (part.strip().lower() for part in text.split(separator))
    place = _differing_part(first, last)
    if place is None:
        hint = "the two ends of a range are alike except for one number, as in x1:x6"
        if not re.search("[0-9]", first + last):
            hint += "; a product is written x*m"
        raise _error(f"'{shortened(first + separator + last)}' is not a range", span, hint)
    pieces, low, high = _pieces(first), _pieces(first)[place], _pieces(last)[place]
    if max(len(low), len(high)) > MAX_DIGITS:
        raise _error(f"the numbers of a range have at most {MAX_DIGITS} digits", span)
    if int(low) > int(high):
        raise _error(f"the range '{first}{separator}{last}' runs downwards", span, f"write '{last}:{first}'")
    budget.spend_names(int(high) - int(low) + 1, span)
    width = len(low) if low.startswith("0") else 0
    before, after = "".join(pieces[:place]), "".join(pieces[place + 1 :])
    return [f"{before}{number:0{width}d}{after}" for number in range(int(low), int(high) + 1)]


# ------------------------------------------------------------------ loops
def expand_loop(statement: Statement, budget: Budget) -> list[Statement]:
    """The statements that a loop stands for; a statement without a loop is returned as it is."""
    head = _LOOP.match(statement.text)
    if head is None:
        return [statement]
    body = statement.text[head.end() :].strip()
    iterators: dict[str, Sequence[int | str]] = dict(_read_iterators(statement, head))
    count = prod(len(values) for values in iterators.values())
    budget.spend_loop(count, len(body), statement.span)
    return [
        Statement(_substitute(body, dict(zip(iterators, values, strict=True)), statement.span),
                  statement.start, statement.span)
        for values in product(*iterators.values())
    ]  # fmt: skip


def _read_iterators(statement: Statement, head: re.Match[str]) -> Iterator[tuple[str, Sequence[int | str]]]:
    seen: set[str] = set()
    offset = head.start("head")
    for text in head["head"].split(","):
        span = statement.place(offset, offset + len(text))
        offset += len(text) + 1
        match = _ITERATOR.match(text)
        if match is None:
            raise _error(f"'{shortened(text.strip())}' is not an iterator of a loop", span,
                         "iterators look like 'i in 1:4' or 'v in a b c'")  # fmt: skip
        name = match["name"].lower()
        if name in seen:
            raise _error(f"the loop has two iterators '{name}'", span)
        seen.add(name)
        yield name, _iterator_values(match, span)


def _iterator_values(match: re.Match[str], span: Span) -> Sequence[int | str]:
    if match["words"] is not None:
        return str(match["words"]).split()
    ends = match["first"], match["last"]
    if max(map(len, ends)) > MAX_DIGITS:
        raise _error(f"the numbers of a loop have at most {MAX_DIGITS} digits", span)
    first, last = map(int, ends)
    if first > last:
        raise _error(f"the loop from {first} to {last} runs downwards", span)
    return range(first, last + 1)


def _substitute(body: str, values: dict[str, int | str], span: Span) -> str:
    def replace(match: re.Match[str]) -> str:
        value = _index_value(match[1], values, span)
        return match[0] if value is None else value

    return _INDEX.sub(replace, body)


def _index_value(text: str, values: dict[str, int | str], span: Span) -> str | None:
    """The value of `[...]`, or None when it does not use an iterator (then it names a level)."""
    parts = list(_INDEX_PART.finditer(text))
    names = [part[3].lower() for part in parts if part[3]]
    if not any(name in values for name in names):
        return None
    if text.strip().lower() in values:
        return str(values[text.strip().lower()])
    if "".join(part[0] for part in parts) != text or any(not part[1] for part in parts[1:]):
        hint = "an index looks like [t], [t-1] or [t+1]"
        raise _error(f"'[{shortened(text)}]' cannot be computed", span, hint)
    total = 0
    for part in parts:
        value = int(part[2]) if part[2] else values.get(part[3].lower())
        if not isinstance(value, int):
            raise _error(f"'[{shortened(text)}]' uses what is not a number of this loop", span)
        total += -value if part[1] == "-" else value
    return str(total)

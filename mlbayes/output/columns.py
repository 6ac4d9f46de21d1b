"""Tables of numbers as text, whole columns at a time: a million rows take seconds.

Cells are written right-aligned into a matrix of bytes; for comma-separated files the blanks are then
taken out again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

CHUNK = 20_000  # rows turned into text at a time
DECIMALS = 4
DAT_WIDTH = 12
LARGEST = 1e14  # beyond it a scaled number does not fit into 64 bits

INNER_BLANK = b"\x1f"  # stands for a blank within a word, which must not be taken out

POWERS = 10 ** np.arange(19, dtype=np.int64)
BLANK, COMMA, NEWLINE, MINUS, POINT, ZERO = b" ,\n-.0"


@dataclass(frozen=True)
class Format:
    """How a table is written: `fixed` columns or commas; `missing` stands for nan; `header` with names."""

    fixed: bool
    header: bool
    missing: str = "NA"

    @staticmethod
    def of(file: str, missing: str, names_wanted: bool = False) -> Format:
        """The format that belongs to the extension of a file name."""
        fixed = file.lower().endswith(".dat")
        return Format(fixed, names_wanted or not fixed, missing)


def whole_columns(blocks: Iterable[Array]) -> list[bool]:
    """Which columns hold whole numbers only, in all blocks of shape (rows, columns)."""
    whole: NDArray[np.bool_] | None = None
    for block in blocks:
        found = (np.isnan(block) | (np.rint(block) == block)).all(axis=0)
        whole = found if whole is None else whole & found
    return [] if whole is None else [bool(value) for value in whole]


def cells(values: Array, decimals: int, missing: bytes, width: int = 1) -> Bytes:
    """Numbers (rows,) as right-aligned text, shape (rows, columns of text), at least `width` wide."""
    known = np.isfinite(values)
    size = np.abs(np.where(known, values, 0.0))
    if size.max(initial=0.0) >= LARGEST or np.isinf(values).any():
        return slow_cells(values, missing, width)
    scaled = np.rint(size * 10.0**decimals).astype(np.int64)
    negative = np.signbit(values) & (scaled > 0)
    needed = np.maximum(np.searchsorted(POWERS, scaled, side="right"), decimals + 1)
    point = 1 if decimals else 0
    digits = int(needed.max(initial=decimals + 1))
    width = max(width, digits + point + int(negative.any()), 0 if known.all() else len(missing))
    text = np.full((len(values), width), BLANK, np.uint8)
    for k in range(digits):
        place = width - 1 - k - (point if k >= decimals else 0)
        text[:, place] = np.where(k < needed, ZERO + scaled % 10, BLANK)
        scaled //= 10
    if decimals:
        text[:, width - 1 - decimals] = POINT
    rows = np.flatnonzero(negative)
    text[rows, width - 1 - point - needed[rows]] = MINUS
    if not known.all():
        text[~known] = np.frombuffer(missing.rjust(width), np.uint8)
    return text


def slow_cells(values: Array, missing: bytes, width: int) -> Bytes:
    """The same for columns with huge or infinite numbers, one by one."""
    texts = [missing if math.isnan(value) else f"{value:.10g}".encode() for value in values.tolist()]
    width = max([width, *(len(text) for text in texts)])
    joined = b"".join(text.rjust(width) for text in texts)
    return np.frombuffer(joined, np.uint8).reshape(len(texts), width).copy()


def word_cells(words: Sequence[str]) -> Bytes:
    """Words as right-aligned text, in quotes where commas or quotes need them; blanks in them are marked."""
    quoted = ('"' + word.replace('"', '""') + '"' if set(word) & set(',"') else word for word in words)
    encoded = [word.encode().replace(b" ", INNER_BLANK) for word in quoted]
    width = max([1, *(len(word) for word in encoded)])
    joined = b"".join(word.rjust(width) for word in encoded)
    return np.frombuffer(joined, np.uint8).reshape(len(encoded), width)


def table_text(
    block: Array, whole: Sequence[bool], layout: Format, words: Mapping[int, Sequence[str]] | None = None
) -> Iterator[bytes]:
    """The rows of a block (rows, columns) as text, in chunks; `whole`: columns without decimals.

    `words`: {column: its words}; a table of fixed columns has numbers only.
    """
    words = {} if layout.fixed or words is None else words
    missing = layout.missing.encode("ascii", "replace")
    for start in range(0, len(block), CHUNK):
        chunk = block[start : start + CHUNK]
        separator = np.full((len(chunk), 1), BLANK if layout.fixed else COMMA, np.uint8)
        parts: list[Bytes] = []
        for k in range(chunk.shape[1]):
            if k in words:
                parts += [word_cells(words[k][start : start + CHUNK]), separator]
                continue
            width = DAT_WIDTH if layout.fixed else 1
            parts += [cells(chunk[:, k], 0 if whole[k] else DECIMALS, missing, width), separator]
        parts[-1] = np.full((len(chunk), 1), NEWLINE, np.uint8)
        text = np.concatenate(parts, axis=1).ravel()
        yield text.tobytes() if layout.fixed else text[text != BLANK].tobytes().replace(INNER_BLANK, b" ")


def header_text(names: Sequence[str], layout: Format) -> bytes:
    """The line of names; in comma-separated files a name with a comma stands in quotes."""
    if layout.fixed:
        line = " ".join(name.rjust(DAT_WIDTH) for name in names)
    else:
        line = ",".join(f'"{name}"' if "," in name else name for name in names)
    return line.encode() + b"\n"

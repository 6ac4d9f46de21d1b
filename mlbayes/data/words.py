"""Words of a data file as numbers: what is a number, what is missing, what is text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mlbayes.data.table import Vector


def number(word: str) -> float | None:
    """The finite number that a word stands for, or None.

    `float` alone would also take `1_000`, digits of other scripts, `inf` and `nan`.
    """
    if "_" in word or not word.isascii():
        return None
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class MissingCodes:
    """Tells missing words from others.

    A numeric code is compared as a number (999 is also 999.0), a text without regard to case.  An empty
    field is always missing.
    """

    def __init__(self, codes: Iterable[str]) -> None:
        words = [code.strip() for code in codes]
        self.words = frozenset([""] + [word.lower() for word in words if number(word) is None])
        self.numbers = frozenset(value for word in words if (value := number(word)) is not None)

    def has(self, word: str) -> bool:
        """Does the word stand for a missing value."""
        return word.lower() in self.words or number(word) in self.numbers

    def value(self, word: str) -> float | None:
        """The number of a word, nan if it is missing, None if it is text."""
        if word.lower() in self.words:
            return math.nan
        value = number(word)
        return math.nan if value in self.numbers else value


def numbers(words: Sequence[str], codes: MissingCodes) -> Vector | None:
    """The values of words, shape (len(words),), nan where missing; None if one of them is text."""
    try:
        values = np.fromiter(map(float, words), np.float64, len(words))
    except ValueError:
        return _carefully(words, codes)
    joined = "".join(words)
    if "_" in joined or not joined.isascii() or not np.isfinite(values).all():
        return _carefully(words, codes)
    for code in codes.numbers:
        values[values == code] = np.nan
    return values


def _carefully(words: Sequence[str], codes: MissingCodes) -> Vector | None:
    values = {word: codes.value(word.strip()) for word in set(words)}
    if None in values.values():
        return None
    return np.array([values[word] for word in words], np.float64)


def code_words(words: Sequence[str], codes: MissingCodes) -> Vector:
    """Codes 0, 1, ... of words in order of first appearance, shape (len(words),), nan where missing."""
    found: dict[str, float] = {}
    return np.array(
        [math.nan if codes.has(w) else found.setdefault(w, len(found)) for w in words], np.float64
    )

"""Rows of the parameter tables as draws, before they are summarised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RowDraws:
    """A row and its draws.

    `values`: shape (chains, draws), burn-in first, or (1, 1) for a constant.  `tested`: has ChiSq and PValue.
    `fixed`: by the user.  `prior`: as text, None for derived rows.
    """

    label: str
    values: Array
    section: str | None = None
    category: str | None = None
    tested: bool = False
    fixed: bool = False
    prior: str | None = None


@dataclass(frozen=True)
class TableDraws:
    """A table of rows as draws; the other fields are those of `mlbayes.results.document.Table`."""

    kind: str
    title: str
    name: str
    rows: list[RowDraws]
    block: str | None = None
    level: int | None = None
    centered: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def numbered(self) -> bool:
        """Are its rows parameters of their own, which count in the burn-in table and in saved draws."""
        return self.kind not in ("conditional-effects", "residuals")


def numbered_rows(tables: list[TableDraws]) -> Iterator[RowDraws]:
    """The rows that have a number, in order of printing."""
    for table in tables:
        if table.numbered:
            yield from table.rows


def after_burn_in(values: Array, burn: int) -> Array:
    """The draws that are kept, shape (chains, draws); a constant as it is, (1, 1)."""
    return values if values.shape[1] == 1 else values[:, burn:]


def finite(value: float) -> float | None:
    """The number, or None where there is none to print."""
    return float(value) if math.isfinite(value) else None


def constant(value: float) -> Array:
    """A constant as draws."""
    return np.full((1, 1), value)

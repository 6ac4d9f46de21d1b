"""The data as columns of numbers; missing values are nan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """One column: `values` has shape (rows,), nan where missing.

    `title` is the name as the user spelt it.  `texts` holds the words of an identifier that is not
    numeric; its `values` are then codes 0, 1, ... in order of first appearance.  `computed` tells the
    columns of TRANSFORM from those of the file.
    """

    name: str
    title: str
    values: Vector
    texts: tuple[str, ...] | None = None
    computed: bool = False


@dataclass(frozen=True)
class Table:
    """All columns in file order (computed ones last), keyed by lower-case name.

    `lines` has the line of the file that each row came from, for messages.  `added`: how many rows at the end
    are occasions that the file lacks; their lines are 0.  `warnings`: what was done to the rows.  Of simulated
    data `path` is a mere name and `lines` counts the rows; `simulated` then has the values of each variable that
    is no identifier, one for each unit of its level, which the column repeats over rows.
    """

    path: Path
    columns: dict[str, Column]
    missing_codes: tuple[str, ...] = ()
    lines: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    added: int = 0
    warnings: tuple[str, ...] = ()
    simulated: dict[str, Vector] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def values(self, name: str) -> Vector:
        """The values of a column, shape (rows,)."""
        return self.columns[name].values

    def place(self, row: int) -> str:
        """Where a row comes from, for messages."""
        return f"line {self.lines[row]}" if row < self.rows - self.added else "an added occasion"

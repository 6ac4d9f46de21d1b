"""The data as columns of numbers; missing values are nan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SHOWN = 3  # lines that a message names


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

    def in_lines(self, rows: Sequence[int] | NDArray[np.int64]) -> str:
        """Rows by their lines in the file, for messages; of many the first ones."""
        added = self.rows - self.added
        lines = sorted(int(self.lines[row]) for row in rows if row < added)
        if not lines:
            return "an added occasion"
        shown = lines[:SHOWN]
        rest = f" and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
        return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, shown))}{rest}"

    def where(self, rows: Sequence[int] | NDArray[np.int64]) -> str:
        """Rows by file and lines, as the place of a problem."""
        return f"{self.path.name}, {self.in_lines(rows)}"

"""Units: rows, clusters, and which belong to which.

Rows are sorted by level-3 and level-2 cluster, so that the rows of a cluster stand together, and by TIMEID within
their cluster; `Hierarchy.order` leads back to the order of the data file.  Level 1 is the row, level 2 the cluster
of rows, level 3 the cluster of clusters.  A model without clusters has level 1 only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Hierarchy:
    """Rows and clusters.

    `identifiers`: names of the cluster variables, level 2 first.  `units[k]`: number of units at level k + 1.
    `order`: shape (rows,), position in the table of each sorted row.  `parents[k]`: for each unit of
    level k + 1 its unit at level k + 2, non-decreasing.  `labels[k]`: printable id of each cluster of level k + 2.
    """

    identifiers: tuple[str, ...]
    units: tuple[int, ...]
    order: Indices
    parents: tuple[Indices, ...]
    labels: tuple[tuple[str, ...], ...] = ()

    @property
    def levels(self) -> int:
        """Number of levels, 1 to 3."""
        return len(self.units)

    def ancestors(self, level: int, upper: int) -> Indices:
        """For each unit of `level` its unit at level `upper` (>= level); found once, not to be changed."""
        known: dict[tuple[int, int], Indices] = self.__dict__.setdefault("_ancestors", {})
        if (level, upper) not in known:
            indices: Indices = np.arange(self.units[level - 1], dtype=np.int64)
            for parent in self.parents[level - 1 : upper - 1]:
                indices = parent[indices]
            indices.flags.writeable = False
            known[level, upper] = indices
        return known[level, upper]

    def sums(self, values: Vector, level: int, upper: int) -> Vector:
        """Sums of values over the units of `level` (the last axis) within each unit of level `upper`."""
        if level == upper:
            return values
        known: dict[tuple[int, int], Indices] = self.__dict__.setdefault("_starts", {})
        if (level, upper) not in known:
            known[level, upper] = np.flatnonzero(np.diff(self.ancestors(level, upper), prepend=-1))
        return np.asarray(np.add.reduceat(values, known[level, upper], axis=-1))

    def earlier(self, lag: int) -> Indices:
        """For each row the one `lag` rows before it in its cluster of level 2, -1 where there is none; shape (rows,).

        With lags in the model these are occasions: rows are in order of time, and none is left out.
        """
        rows = np.arange(self.units[0], dtype=np.int64)
        cluster = self.ancestors(1, min(2, self.levels)) if self.levels > 1 else np.zeros_like(rows)
        before = rows - lag
        return np.where((before >= 0) & (cluster[np.maximum(before, 0)] == cluster), before, -1)

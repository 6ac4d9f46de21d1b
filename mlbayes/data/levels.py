"""Levels of simulated data: how many units each has, and which unit of a higher level they belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mlbayes.data.evaluate import Indices

CONSTANTS = 4
"""The level of what is the same everywhere, above the three that data may have; it has one unit."""


@dataclass(frozen=True)
class Levels:
    """Names and numbers of units by level (1 are the rows).

    Units are spread over those of the next level as evenly as can be, in order: the numbers of rows of two
    clusters differ by one at most.
    """

    names: dict[int, str]
    units: dict[int, int] = field(default_factory=lambda: {CONSTANTS: 1})
    _known: dict[tuple[str, int, int], Indices] = field(default_factory=dict, compare=False, repr=False)

    def above(self, level: int) -> int:
        """The next higher level."""
        return min((other for other in self.names if other > level), default=CONSTANTS)

    def ancestors(self, level: int, higher: int) -> Indices:
        """For each unit of a level its unit of a higher (or the same) level, shape (units,)."""
        return self._once("ancestors", level, higher, self._ancestors)

    def times(self, level: int) -> Indices:
        """For each unit its place within its cluster, from 1; without clusters within all units."""
        return self._once("times", level, 0, self._times)

    def earlier(self, level: int, lag: int) -> Indices:
        """For each unit the one `lag` places before it in its cluster, -1 where there is none."""
        return self._once("earlier", level, lag, self._earlier)

    def _ancestors(self, level: int, higher: int) -> Indices:
        found = np.arange(self.units[level], dtype=np.int64)
        while level < higher:
            found = found * self.units[self.above(level)] // self.units[level]
            level = self.above(level)
        return found

    def _times(self, level: int, _: int) -> Indices:
        cluster = self.ancestors(level, self.above(level))
        return np.arange(1, len(cluster) + 1, dtype=np.int64) - np.searchsorted(cluster, cluster)

    def _earlier(self, level: int, lag: int) -> Indices:
        return np.where(self.times(level) > lag, np.arange(self.units[level]) - lag, -1)

    def _once(self, what: str, level: int, other: int, compute: Callable[[int, int], Indices]) -> Indices:
        """Occasion by occasion the same is asked for again and again."""
        key = (what, level, other)
        if key not in self._known:
            self._known[key] = compute(level, other)
        return self._known[key]

"""Series of lagged variables: earlier values before each row, and those before the first row of a cluster.

A series holds for each cluster some values from before its first row, as many as the longest lag, then its rows in
order of time.  A lag is the series some places earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Form, references
from mlbayes.model.model import Model, Variable

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """A lagged variable.

    `order`: its longest lag.  `starts`: shape (clusters + 1,), first place of each cluster.  `rows`: place of each
    row.  `before`: places before first rows; `mean`, `precision`: of the values there, which are normal with mean and
    variance of the cluster's observed values (or as FurtherPriors says).  `known`: shape (places,), which values are
    observed.
    """

    name: str
    order: int
    starts: Indices
    rows: Indices
    before: Indices
    mean: Vector
    precision: Vector
    known: NDArray[np.bool_]

    @property
    def places(self) -> int:
        """Number of values."""
        return int(self.starts[-1])


def lagged_names(model: Model) -> dict[str, int]:
    """Variables of which the equations use a lag, with the longest one."""
    found: dict[str, int] = {}
    for equation in model.equations:
        for term in equation.terms:
            for reference in references(term.expression):
                if reference.form is Form.LAG:
                    found[reference.variable] = max(found.get(reference.variable, 0), reference.argument)
    return found


def make_series(model: Model, name: str, order: int) -> Series:
    """The series of a variable of rows, which stand in order of time within their clusters."""
    variable = model.variables[name]
    clusters = _clusters(model)
    sizes = np.bincount(clusters)
    starts = np.concatenate([[0], np.cumsum(sizes + order)])
    rows = np.arange(clusters.size) + order * (clusters + 1)
    before = (starts[:-1, None] + np.arange(order)).ravel()
    given = model.further.first_values.get(name)
    mean, variance = _moments(variable, clusters, sizes.size) if given is None else given
    known = np.zeros(int(starts[-1]), dtype=np.bool_)
    known[rows] = ~variable.missing
    return Series(
        name, order, starts, rows, before, np.repeat(mean, order), np.repeat(1.0 / variance, order), known
    )


def _clusters(model: Model) -> Indices:
    """The cluster of each row; a single one without clusters."""
    if model.hierarchy.levels == 1:
        return np.zeros(model.hierarchy.units[0], dtype=np.int64)
    return model.hierarchy.parents[0]


def _moments(variable: Variable, clusters: Indices, size: int) -> tuple[Vector, Vector]:
    """Mean and variance of each cluster's observed values, pooled ones where there are fewer than two."""
    seen = ~variable.missing
    values, groups = variable.values[seen], clusters[seen]
    counts = np.bincount(groups, minlength=size)
    means = np.bincount(groups, values, size) / np.maximum(counts, 1)
    means = np.where(counts > 0, means, values.mean() if values.size else 0.0)
    squares = np.bincount(groups, (values - means[groups]) ** 2, size)
    pooled = squares.sum() / max(values.size - (counts > 0).sum(), 1) or 1.0
    variances = squares / np.maximum(counts - 1, 1)
    return means, np.where((counts > 1) & (variances > 1e-12 * pooled), variances, pooled)

"""DROPOUT: an indicator of leaving a study for good, in discrete time (Diggle & Kenward, 1994).

0 up to the last occasion at which the outcome is observed, gaps included; 1 at the occasion after it; missing
later, where there is nothing left to happen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.occasions import Series
from mlbayes.data.table import Column, Table


def add_dropout(table: Table, series: Series, name: str, outcome: str) -> tuple[Table, NDArray[np.bool_]]:
    """The table with the indicator `name` as its last column, and which rows come after a dropout.

    The latter has the shape (rows of the series,).  Rows of other series than these get no value.
    """
    place = np.arange(len(series.rows))
    last = np.full(series.count, -1, np.int64)
    first = np.flatnonzero(~series.follows)
    last[series.number[first]] = first - 1
    observed = np.flatnonzero(~np.isnan(table.values(outcome)[series.rows]))
    last[series.number[observed]] = observed  # of several rows of a series the last one stays
    since = place - last[series.number]
    values = np.full(table.rows, np.nan)
    values[series.rows] = np.where(since > 1, np.nan, (since == 1).astype(np.float64))
    column = Column(name, name, values, computed=True)
    return replace(table, columns={**table.columns, name: column}), since > 1


def unseen_dropouts(table: Table, series: Series, outcome: str) -> int:
    """How many series end with an observed outcome before the last occasion of all series.

    Their rows do not tell whether they dropped out.
    """
    last = np.flatnonzero(~np.append(series.follows[1:], False)[: len(series.rows)])
    early = series.times[last] < series.times.max(initial=-np.inf)
    return int((early & ~np.isnan(table.values(outcome)[series.rows[last]])).sum())

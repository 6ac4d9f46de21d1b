"""Occasions: what a series is, what is wrong with its times, and rows for the occasions that it lacks.

A series is the rows of one cluster of the lowest level, in order of TIMEID, or all rows of data without
clusters.  A lag is the row before in the series, so there must be one for each whole number from the first
to the last time of the series.  Series may begin and end at different times: an occasion before the first or
after the last row of a series says nothing, and is not added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.table import Column, Table, Vector
from mlbayes.data.transform import evaluate
from mlbayes.language.nodes import Expression
from mlbayes.problems import Problem, ProblemKind

Indices = NDArray[np.int64]

MOST_ADDED = 20  # rows added for each row there is: beyond it the times count something else than occasions
FINEST = 60  # parts of a unit of time that are tried as its occasions


@dataclass(frozen=True)
class Series:
    """Rows in order of series and time.

    `rows`: positions in the table, `number`: which series each belongs to (from 0, by first appearance),
    `times`: nan where missing (last in its series); each of shape (rows,).
    """

    rows: Indices
    number: Indices
    times: Vector

    @property
    def count(self) -> int:
        """How many series there are."""
        return int(self.number.max()) + 1 if len(self.number) else 0

    @property
    def follows(self) -> NDArray[np.bool_]:
        """Whether the row before is of the same series, shape (rows,)."""
        return np.append(False, self.number[1:] == self.number[:-1])[: len(self.rows)]


def series_of(table: Table, rows: Indices, clusters: Sequence[str], time: str) -> Series:
    """The series of some rows.  `clusters`: identifiers without missing values; none for a single series."""
    number = np.zeros(len(rows), np.int64)
    if clusters:
        ids = np.column_stack([table.values(name)[rows] for name in clusters])
        _, first, number = np.unique(ids, axis=0, return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(first))[number.reshape(-1)]
    times = table.values(time)[rows]
    order = np.lexsort((times, number))
    return Series(rows[order], number[order].astype(np.int64), times[order])


# ------------------------------------------------------------------ checks
def check_order(table: Table, series: Series, clusters: Sequence[str], time: str) -> list[Problem]:
    """Every row has a time, and no two rows of a series have the same."""
    title = table.columns[time].title
    missing = series.rows[np.isnan(series.times)]
    if len(missing):
        hint = (
            "a row without an occasion has no place in its series: give it one, or leave it out with FILTER"
        )
        return [_problem(table, f"'{title}' is missing in {table.in_lines(missing)}", hint)]
    same = np.flatnonzero(series.follows & (np.append(np.nan, np.diff(series.times)) == 0))
    if not len(same):
        return []
    at = series.times == series.times[same[0]]
    equal = series.rows[at & (series.number == series.number[same[0]])]
    where = _cluster(table, int(equal[0]), clusters)
    message = f"{len(equal)} rows{where} have the occasion {series.times[same[0]]:g} of '{title}': "
    message += table.in_lines(equal)
    others = len(same) - (len(equal) - 1)
    message += f" (and {others} other row{'s' if others > 1 else ''} like these)" if others else ""
    if clusters:
        hint = "an occasion has one row in each cluster: number the rows, or make one of them"
    else:
        hint = "without clusters all rows are one series: name its clusters in CLUSTERID"
    return [_problem(table, message, hint)]


def check_whole(table: Table, series: Series, time: str) -> list[Problem]:
    """Times are whole numbers, close enough for a row for each of them."""
    title = table.columns[time].title
    broken = series.rows[series.times != np.floor(series.times)]
    if len(broken):
        value = table.values(time)[broken[0]]
        message = f"'{title}' is {value:.6g} in {table.in_lines(broken)}, but '.lag' counts occasions in whole numbers"
        finer = next((k for k in range(2, FINEST + 1) if _all_whole(k * series.times)), None)
        hint = "number the occasions of each cluster: 1, 2, 3, ..."
        if finer is not None:
            hint = f"count finer occasions: TRANSFORM: occasion = {finer}*{title}; TIMEID: occasion;"
        return [_problem(table, message, hint)]
    steps = np.append(0.0, np.diff(series.times)) * series.follows
    wanted = float(np.maximum(steps - 1.0, 0.0).sum())
    if wanted > MOST_ADDED * len(series.rows):
        after = int(np.argmax(steps))
        message = (
            f"the times of '{title}' lie too far apart for occasions: with a row for each whole number "
            f"{wanted:.0f} rows would be added to {len(series.rows)} (from {series.times[after - 1]:.0f} to "
            f"{series.times[after]:.0f} between {table.in_lines(series.rows[after - 1 : after + 1])})"
        )
        hint = (
            "'.lag' is one occasion back: number the occasions 1, 2, 3, ..., or divide the times in TRANSFORM"
        )
        return [_problem(table, message, hint)]
    return []


def common_step(series: Series) -> int:
    """The largest whole number that all times lie apart (0 if no series has two rows)."""
    steps = np.diff(series.times)[series.follows[1:]]
    return int(np.gcd.reduce(steps.astype(np.int64))) if len(steps) else 0


def _all_whole(values: Vector) -> bool:
    return bool(np.all(np.abs(values - np.round(values)) < 1e-6))


def _problem(table: Table, message: str, hint: str) -> Problem:
    return Problem(message, hint=hint, kind=ProblemKind.DATA, place=table.path.name)


def _cluster(table: Table, row: int, clusters: Sequence[str]) -> str:
    """The cluster of a row, in words."""
    found = []
    for name in clusters:
        column = table.columns[name]
        label = f"{column.values[row]:.15g}" if column.texts is None else column.texts[row]
        found.append(f"{column.title} {label}")
    return f" of {', '.join(found)}" if found else ""


# ------------------------------------------------------------------ rows that are added
def add_occasions(
    table: Table, series: Series, clusters: Sequence[str], time: str, computed: Mapping[str, Expression]
) -> tuple[Table, list[Problem]]:
    """The table with a row at its end for each occasion that a series lacks between its first and last row.

    Such a row has the time, the columns that do not vary within series and the `computed` ones (keyed by name)
    that can be computed from these; all else is missing in it.
    """
    steps = np.append(0.0, np.diff(series.times)) * series.follows
    after = np.flatnonzero(steps > 1)
    counts = steps[after].astype(np.int64) - 1
    total = int(counts.sum())
    if not total:
        return table, []
    number = np.repeat(series.number[after], counts)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    times = np.repeat(series.times[after - 1], counts) + 1.0 + within

    problems: list[Problem] = []
    lines = np.append(table.lines, np.zeros(total, np.int64))
    longer = replace(table, columns={}, lines=lines, added=total)
    new = np.arange(len(lines)) >= table.rows
    for name, column in table.columns.items():
        source = _constant_source(column, series)
        filled = _filled(column, None if source is None else source[number], table.missing_codes, total)
        if name == time:
            filled = replace(column, values=np.append(column.values, times))
        elif name in computed and name not in clusters:
            values, found = evaluate(computed[name], longer, clusters, new)
            problems += found
            values = np.where(np.isnan(values), filled.values, values)
            filled = replace(column, values=np.append(column.values, values[table.rows :]))
        longer = replace(longer, columns={**longer.columns, name: filled})
    return longer, problems


def varies(table: Table, name: str, series: Series) -> bool:
    """Whether a column has different values within a series."""
    return _constant_source(table.columns[name], series) is None


def _constant_source(column: Column, series: Series) -> Indices | None:
    """For each series the first row that has a value (-1 if none has), None if values vary within a series."""
    values = column.values[series.rows]
    present = np.flatnonzero(~np.isnan(values))[::-1]
    source = np.full(series.count, -1, np.int64)
    source[series.number[present]] = series.rows[present]
    same = column.values[source[series.number[present]]] == values[present]
    return source if same.all() else None


def _filled(column: Column, source: Indices | None, codes: Sequence[str], total: int) -> Column:
    """A column with `total` more rows, which have the values of the rows `source` (missing where -1)."""
    rows = np.full(total, -1, np.int64) if source is None else source
    values = np.where(rows >= 0, column.values[rows], np.nan)
    texts = column.texts
    if texts is not None:
        none = codes[0] if codes else ""
        texts = (*texts, *(texts[row] if row >= 0 else none for row in rows.tolist()))
    return replace(column, values=np.append(column.values, values), texts=texts)


# ------------------------------------------------------------------ ends that say nothing
def informative(table: Table, series: Series, names: Sequence[str]) -> NDArray[np.bool_]:
    """The rows without those at the end of a series in which none of the variables `names` says anything.

    A variable that varies within series says something wherever it has a value, one that does not only in the
    first row of a series that has its value.  Shape (rows,); all rows when no variable varies.
    """
    last = np.full(series.count, -1, np.int64)
    varying = {name for name in names if varies(table, name, series)}
    for name in names:
        present = np.flatnonzero(~np.isnan(table.values(name)[series.rows]))
        chosen = present if name in varying else present[::-1]
        found = np.full(series.count, -1, np.int64)
        found[series.number[chosen]] = chosen  # of several rows of a series the last one stays
        last = np.maximum(last, found)
    kept = np.arange(len(series.rows)) <= last[series.number]
    return kept if varying else np.ones(len(series.rows), np.bool_)

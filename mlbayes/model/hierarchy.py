"""Rows and clusters: what nests in what, the order of units, and the level at which a variable varies.

Clusters are numbered in order of their first appearance in the data file (those of level 2 within their
cluster of level 3).  Within their cluster rows are in order of TIMEID, or keep the order of the file without it.
So results depend on the order of rows, but never on what clusters are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlbayes.data.table import Table
from mlbayes.language.nodes import Name
from mlbayes.model.units import Hierarchy, Indices, Vector
from mlbayes.problems import Problem, ProblemKind, nearest


@dataclass(frozen=True)
class _Clusters:
    """An identifier: `of_row` is the cluster of each used row, shape (rows,), numbered by first appearance.

    `first` has the first used row of each cluster.
    """

    name: str
    of_row: Indices
    first: Indices

    @property
    def number(self) -> int:
        """How many clusters there are."""
        return len(self.first)


def build_hierarchy(
    table: Table, cluster_ids: tuple[Name, ...], used_rows: Indices, time: str | None = None
) -> tuple[Hierarchy, list[Problem]]:
    """The hierarchy of the used rows for no, one or two identifiers in any order.

    `time`: the occasion variable, which orders the rows of each cluster (missing occasions last).  With problems
    the hierarchy has a single level, so that other checks can go on.
    """
    rows = np.asarray(used_rows, np.int64)
    times = np.zeros(len(rows)) if time is None else table.values(time)[rows]
    single = Hierarchy((), (len(rows),), rows[np.argsort(times, kind="stable")], ())
    problems = _check_identifiers(table, cluster_ids, rows)
    if problems or not cluster_ids or not len(rows):
        return single, problems
    clusters = [_clusters(table, name.name, rows) for name in cluster_ids]
    if len(clusters) == 2:
        if _upper_of(*clusters) is None:
            clusters.reverse()
        problems = _check_nesting(table, rows, *clusters)
        if problems:
            return single, [replace(problem, span=cluster_ids[1].span) for problem in problems]
    return _sorted_hierarchy(table, rows, clusters, times), []


def _check_identifiers(table: Table, cluster_ids: Sequence[Name], rows: Indices) -> list[Problem]:
    """Identifiers must be at most two different columns without missing values."""
    problems = []
    if len(cluster_ids) > 2:
        message = f"{len(cluster_ids)} identifiers: more than three levels are not supported"
        problems.append(Problem(message, cluster_ids[2].span, kind=ProblemKind.UNSUPPORTED))
    for position, name in enumerate(cluster_ids):
        if name in cluster_ids[:position]:
            problems.append(Problem(f"the identifier '{name.name}' is listed twice", name.span))
        elif name.name not in table.columns:
            hint = nearest(name.name, table.columns)
            problems.append(Problem(f"the identifier '{name.name}' is not in the data", name.span, hint))
        elif (missing := np.isnan(table.values(name.name)[rows])).any():
            message = f"the identifier '{name.name}' is missing"
            hint = "every row needs a cluster; a value equal to the code of MISSING counts as missing"
            place = table.where(rows[missing])
            problems.append(Problem(message, name.span, hint, ProblemKind.DATA, place))
    return problems


def _clusters(table: Table, name: str, rows: Indices) -> _Clusters:
    _, first, of_row = np.unique(table.values(name)[rows], return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    rank = np.argsort(by_appearance)
    return _Clusters(name, rank[of_row].astype(np.int64), first[by_appearance].astype(np.int64))


def _label(table: Table, name: str, row: int) -> str:
    """The id of a row's cluster as a text."""
    column = table.columns[name]
    if column.texts is not None:
        return column.texts[row]
    value = float(column.values[row])
    return str(int(value)) if value.is_integer() else repr(value)


# ------------------------------------------------------------------ nesting
def _upper_of(lower: _Clusters, upper: _Clusters) -> Indices | None:
    """For each cluster of `lower` the one of `upper` that holds it; None if it lies in several."""
    parents = upper.of_row[lower.first]
    return parents if np.array_equal(parents[lower.of_row], upper.of_row) else None


def _check_nesting(table: Table, rows: Indices, lower: _Clusters, upper: _Clusters) -> list[Problem]:
    """Clusters of `lower` must lie in one cluster of `upper` each, and must not be the same clusters."""
    if _upper_of(lower, upper) is None:
        message = (
            f"neither identifier nests in the other: {_straddling(table, rows, lower, upper)}, "
            f"and {_straddling(table, rows, upper, lower)}"
        )
        hint = (
            f"if '{lower.name}' is numbered anew in every '{upper.name}' (or the other way round), give each "
            f"cluster a number of its own, e.g. in TRANSFORM: unit = 10000*{upper.name} + {lower.name}; "
            "crossed identifiers are not supported"
        )
        return [Problem(message, hint=hint, kind=ProblemKind.DATA, place=table.path.name)]
    if lower.number == upper.number:
        message = f"the identifiers '{lower.name}' and '{upper.name}' tell the same clusters apart"
        hint = "name one of them in CLUSTERID"
        return [Problem(message, hint=hint, kind=ProblemKind.DATA, place=table.path.name)]
    return []


def _straddling(table: Table, rows: Indices, inner: _Clusters, outer: _Clusters) -> str:
    """An example of a cluster of `inner` in two clusters of `outer`, in words."""
    row = int(np.argmax(outer.of_row[inner.first][inner.of_row] != outer.of_row))
    pair = rows[inner.first[inner.of_row[row]]], rows[row]
    one, two = (_label(table, outer.name, position) for position in pair)
    return (
        f"cluster {_label(table, inner.name, pair[0])} of '{inner.name}' lies in clusters {one} and {two} "
        f"of '{outer.name}' (lines {table.lines[pair[0]]} and {table.lines[pair[1]]})"
    )


def _sorted_hierarchy(table: Table, rows: Indices, clusters: list[_Clusters], times: Vector) -> Hierarchy:
    """Rows sorted by cluster and time, `clusters` being those of level 2 and perhaps of level 3."""
    order = np.lexsort([times, *(identifier.of_row for identifier in clusters)])  # stable; the last key leads
    starts, parents, below = [], [], np.arange(len(rows))
    for identifier in clusters:
        of_row = identifier.of_row[order]
        begins = np.append(True, of_row[1:] != of_row[:-1])[: len(rows)]
        parents.append((np.cumsum(begins) - 1)[below])
        below = np.flatnonzero(begins)  # the first row of each unit, which stands for it one level up
        starts.append(rows[order[below]])
    return Hierarchy(
        identifiers=tuple(identifier.name for identifier in clusters),
        units=(len(rows), *(len(start) for start in starts)),
        order=rows[order],
        parents=tuple(parent.astype(np.int64) for parent in parents),
        labels=tuple(
            tuple(_label(table, identifier.name, row) for row in start)
            for identifier, start in zip(clusters, starts, strict=True)
        ),
    )


# ------------------------------------------------------------------ levels of variables
def _changes(hierarchy: Hierarchy, values_sorted: Vector, level: int) -> tuple[Indices, Indices]:
    """Pairs of sorted rows of one unit of `level`, neighbours among those present, with different values."""
    present = np.flatnonzero(~np.isnan(values_sorted))
    unit = hierarchy.ancestors(1, level)[present]
    values = values_sorted[present]
    differ = np.flatnonzero((unit[1:] == unit[:-1]) & (values[1:] != values[:-1]))
    return present[differ], present[differ + 1]


def level_of_values(hierarchy: Hierarchy, values_sorted: Vector) -> int:
    """The highest level within whose clusters the values present are all equal.

    `values_sorted` has shape (rows,).  A column that is the same everywhere therefore belongs to the top
    level, where equations of all levels can use it.  A column without any value says nothing and is left
    at level 1.  A level whose clusters have a single unit each is never chosen, since it cannot be told
    from the level below.
    """
    if np.isnan(values_sorted).all():
        return 1
    for level in range(hierarchy.levels, 1, -1):
        distinct = hierarchy.units[level - 1] < hierarchy.units[level - 2]
        if distinct and not len(_changes(hierarchy, values_sorted, level)[0]):
            return level
    return 1


def values_at_level(hierarchy: Hierarchy, values_sorted: Vector, level: int) -> Vector:
    """One value for each unit of `level`, shape (units,): the first one present, nan if there is none."""
    present = np.flatnonzero(~np.isnan(values_sorted))
    units, first = np.unique(hierarchy.ancestors(1, level)[present], return_index=True)
    values = np.full(hierarchy.units[level - 1], np.nan)
    values[units] = values_sorted[present[first]]
    return values

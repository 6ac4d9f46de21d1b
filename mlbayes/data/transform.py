"""Computed columns (TRANSFORM) and the selection of rows (FILTER).

What expressions mean is said in `evaluate`; here names are columns of the table, and `cluster_mean` leaves
missing values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mlbayes.data.evaluate import Evaluation, Indices, Mask
from mlbayes.data.functions import group_mean, truth
from mlbayes.data.read import require_numeric
from mlbayes.data.table import Column, Table, Vector
from mlbayes.language import nodes
from mlbayes.problems import Problem, ProblemKind, nearest
from mlbayes.source import Span


def evaluate(
    expression: nodes.Expression, table: Table, identifiers: Sequence[str] = (), active: Mask | None = None
) -> tuple[Vector, list[Problem]]:
    """An expression for every row of a table, shape (rows,), with the problems found on the way.

    `identifiers` are the cluster variables in any order, for `cluster_mean`.  Values outside the domain of a
    function are problems in the rows `active` only (all rows if None).
    """
    evaluation = _TableEvaluation(table, identifiers)
    with np.errstate(all="ignore"):
        values = evaluation.value(expression, np.ones(table.rows, np.bool_) if active is None else active)
    return values, evaluation.problems


def apply_transforms(
    table: Table, definitions: Sequence[nodes.Definition], identifiers: Sequence[str] = ()
) -> tuple[Table, list[Problem]]:
    """The table with the computed columns at its end; each may use those before it."""
    problems: list[Problem] = []
    for definition in definitions:
        if definition.name in table.columns:
            hint = "give the computed variable a name of its own"
            problems.append(
                Problem(f"there is a variable '{definition.name}' already", definition.span, hint)
            )
            continue
        values, found = evaluate(definition.expression, table, identifiers)
        problems += found
        column = Column(definition.name, definition.name, values, computed=True)
        table = replace(table, columns={**table.columns, definition.name: column})
    return table, problems


def apply_filter(
    table: Table, expressions: Sequence[nodes.Expression], identifiers: Sequence[str] = ()
) -> tuple[Mask, list[Problem]]:
    """Rows in which every expression is true, shape (rows,); a missing result is not true.

    An expression in error takes no rows out: what is said of the rest of the script should not depend on it.
    """
    chosen = np.ones(table.rows, np.bool_)
    problems: list[Problem] = []
    for expression in expressions:
        values, found = evaluate(expression, table, identifiers)
        problems += found
        if not found:
            chosen &= truth(values)
    return chosen, problems


def lost(definitions: Sequence[nodes.Definition], problems: Iterable[Problem]) -> frozenset[str]:
    """The computed variables that have no values since their statement, or one that it uses, is in error."""
    places = [problem.span for problem in problems if problem.span is not None]
    found: set[str] = set()
    for definition in definitions:
        own, used = definition.span, {name.name for name in nodes.names_in(definition.expression)}
        if found & used or any(own.start <= span.start and span.end <= own.end for span in places):
            found.add(definition.name)
    return frozenset(found)


class _TableEvaluation(Evaluation):
    """A walk over an expression whose names are columns of a table."""

    own = {"cluster_mean": (1, 2)}

    def __init__(self, table: Table, identifiers: Sequence[str]) -> None:
        super().__init__(table.rows)
        self.table = table
        self.identifiers = identifiers

    def column(self, name: nodes.Name, numeric: bool = True) -> Vector:
        column = self.table.columns.get(name.name)
        if column is None or name.level is not None:
            stem, _, suffix = name.name.rpartition(".")
            hint = nearest(name.name, self.table.columns)
            if suffix == "mean" and stem in self.table.columns:
                hint = f"latent means exist in MODEL only; cluster_mean({stem}) is the mean of the data"
            elif suffix.startswith("lag") and stem in self.table.columns:
                hint = "earlier values exist in MODEL only, in definitions too: d = y - y.lag;"
            return self.nothing(f"there is no variable '{name.name}' in the data", name.span, hint)
        if numeric:
            self.problems += require_numeric(self.table, name.name)
        return column.values

    def not_finite(self, result: str, rows: Indices, span: Span) -> Problem:
        others = f" (and in {len(rows) - 1} other row{'s' if len(rows) > 2 else ''})" if len(rows) > 1 else ""
        hint = "choose other values for such rows with ifelse() or missing()"
        place = self.table.where(rows[:1])
        return Problem(f"{result} is not a finite number{others}", span, hint, ProblemKind.DATA, place)

    def own_call(self, call: nodes.Call, active: Mask) -> Vector:
        return self._cluster_mean(*call.arguments)

    def _cluster_mean(self, values: nodes.Expression, identifier: nodes.Expression | None = None) -> Vector:
        # the mean of a row that is used may rest on rows that are not, hence all of them
        found = self.value(values, np.ones(self.rows, np.bool_))
        if identifier is None:
            return group_mean(found, self._lowest_clusters(values.span))
        if not isinstance(identifier, nodes.Name):
            return self.nothing(
                "the second argument of cluster_mean is the name of an identifier", identifier.span
            )
        return group_mean(found, self.column(identifier, numeric=False))

    def _lowest_clusters(self, span: Span) -> Vector:
        """The identifier of level 2: the one with more clusters, since they nest in those of level 3."""
        known = [self.table.values(name) for name in self.identifiers if name in self.table.columns]
        if not known:
            return self.nothing("cluster_mean needs CLUSTERID, or an identifier as second argument", span)
        return max(known, key=lambda values: len(np.unique(values)))

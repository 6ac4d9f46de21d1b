"""Computed columns (TRANSFORM) and the selection of rows (FILTER).

A result is missing where an argument is missing; only `missing`, `ismissing`, `cluster_mean` and the
branch that `ifelse` does not take are exceptions.  A value outside the domain of a function is a
problem of the data, but not in rows where it is not used: `ifelse(y > 0, ln(y), 0)` is fine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.functions import FUNCTIONS, OPERATORS, group_mean, truth
from mlbayes.data.read import require_numeric
from mlbayes.data.table import Column, Table, Vector
from mlbayes.language import nodes
from mlbayes.problems import Problem, ProblemKind, nearest
from mlbayes.source import Span

Mask = NDArray[np.bool_]

# functions that see missing values, or that do not look at every row of their arguments
_SPECIAL = {"ifelse": (3, 3), "missing": (2, 2), "ismissing": (1, 1), "cluster_mean": (1, 2)}


def evaluate(
    expression: nodes.Expression, table: Table, identifiers: Sequence[str] = (), active: Mask | None = None
) -> tuple[Vector, list[Problem]]:
    """An expression for every row of a table, shape (rows,), with the problems found on the way.

    `identifiers` are the cluster variables in any order, for `cluster_mean`.  Values outside the domain of a
    function are problems in the rows `active` only (all rows if None).
    """
    evaluation = _Evaluation(table, identifiers)
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
    """Rows in which every expression is true, shape (rows,); a missing result is not true."""
    chosen = np.ones(table.rows, np.bool_)
    problems: list[Problem] = []
    for expression in expressions:
        values, found = evaluate(expression, table, identifiers)
        problems += found
        chosen &= truth(values)
    return chosen, problems


@dataclass
class _Evaluation:
    """A walk over an expression; `active` are the rows whose result is used."""

    table: Table
    identifiers: Sequence[str]
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: nodes.Expression, active: Mask) -> Vector:
        match node:
            case nodes.Number():
                return np.full(self.table.rows, node.value)
            case nodes.Name():
                return self._column(node)
            case nodes.Unary():
                operand = self.value(node.operand, active)
                return -operand if node.operator == "-" else operand
            case nodes.Binary():
                arguments = [self.value(node.left, active), self.value(node.right, active)]
                return self._checked(OPERATORS[node.operator], arguments, active, node.operator, node.span)
            case nodes.Call():
                return self._call(node, active)

    def _column(self, name: nodes.Name, numeric: bool = True) -> Vector:
        column = self.table.columns.get(name.name)
        if column is None or name.level is not None:
            stem, _, suffix = name.name.rpartition(".")
            hint = nearest(name.name, self.table.columns)
            if suffix == "mean" and stem in self.table.columns:
                hint = f"latent means exist in MODEL only; cluster_mean({stem}) is the mean of the data"
            elif suffix.startswith("lag") and stem in self.table.columns:
                hint = "earlier values exist in MODEL only, in definitions too: d = y - y.lag;"
            return self._nothing(f"there is no variable '{name.name}' in the data", name.span, hint)
        if numeric:
            self.problems += require_numeric(self.table, name.name)
        return column.values

    def _nothing(self, message: str, span: Span, hint: str = "") -> Vector:
        """Notes a problem; all rows are missing."""
        self.problems.append(Problem(message, span, hint))
        return np.full(self.table.rows, np.nan)

    def _call(self, call: nodes.Call, active: Mask) -> Vector:
        name, arguments = call.function, call.arguments
        function = FUNCTIONS.get(name)
        if function is None and name not in _SPECIAL:
            known = [*FUNCTIONS, *_SPECIAL]
            hint = nearest(name, known) or f"the functions are {', '.join(sorted(known))}"
            return self._nothing(f"there is no function '{name}' for data", call.span, hint)
        least, most = (function.least, function.most) if function else _SPECIAL[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = _counted(least, most)
            return self._nothing(f"{name} takes {wanted}, not {len(arguments)}", call.span)
        if function:
            values = [self.value(argument, active) for argument in arguments]
            return self._checked(function.compute, values, active, name, call.span)
        match name:
            case "ifelse":
                return self._ifelse(active, *arguments)
            case "missing":
                return self._missing(active, *arguments)
            case "ismissing":
                return self._ismissing(active, *arguments)
            case _:
                return self._cluster_mean(*arguments)

    def _ifelse(
        self, active: Mask, condition: nodes.Expression, yes: nodes.Expression, no: nodes.Expression
    ) -> Vector:
        known = self.value(condition, active)
        holds, fails = truth(known), known == 0
        chosen = np.where(holds, self.value(yes, active & holds), self.value(no, active & fails))
        return np.where(holds | fails, chosen, np.nan)

    def _missing(self, active: Mask, condition: nodes.Expression, values: nodes.Expression) -> Vector:
        kept = ~truth(self.value(condition, active))
        return np.where(kept, self.value(values, active & kept), np.nan)

    def _ismissing(self, active: Mask, values: nodes.Expression) -> Vector:
        found = self._column(values, False) if isinstance(values, nodes.Name) else self.value(values, active)
        return np.isnan(found).astype(np.float64)

    def _cluster_mean(self, values: nodes.Expression, identifier: nodes.Expression | None = None) -> Vector:
        # the mean of a row that is used may rest on rows that are not, hence all of them
        found = self.value(values, np.ones(self.table.rows, np.bool_))
        if identifier is None:
            return group_mean(found, self._lowest_clusters(values.span))
        if not isinstance(identifier, nodes.Name):
            return self._nothing(
                "the second argument of cluster_mean is the name of an identifier", identifier.span
            )
        return group_mean(found, self._column(identifier, numeric=False))

    def _lowest_clusters(self, span: Span) -> Vector:
        """The identifier of level 2: the one with more clusters, since they nest in those of level 3."""
        known = [self.table.values(name) for name in self.identifiers if name in self.table.columns]
        if not known:
            return self._nothing("cluster_mean needs CLUSTERID, or an identifier as second argument", span)
        return max(known, key=lambda values: len(np.unique(values)))

    def _checked(
        self,
        compute: Callable[..., Vector],
        arguments: Sequence[Vector],
        active: Mask,
        symbol: str,
        span: Span,
    ) -> Vector:
        """The results of a function, missing where an argument is; others must be finite."""
        missing = np.logical_or.reduce([np.isnan(argument) for argument in arguments])
        result = np.where(missing, np.nan, compute(*arguments))
        bad = active & ~missing & ~np.isfinite(result)
        if bad.any():
            row = int(np.argmax(bad))
            place = self.table.place(row)
            count = int(bad.sum())
            others = f" and {count - 1} other row{'s' if count > 2 else ''}" if count > 1 else ""
            shown = _applied(symbol, [f"{argument[row]:.6g}" for argument in arguments])
            self.problems.append(
                Problem(
                    f"{shown} is not a finite number ({place} of {self.table.path.name}{others})",
                    span,
                    "choose other values for such rows with ifelse() or missing()",
                    ProblemKind.DATA,
                    f"{self.table.path.name}, {place}",
                )
            )
        return np.where(np.isfinite(result), result, np.nan)


def _counted(least: int, most: int | None) -> str:
    """How many arguments a function takes, in words."""
    if most is None:
        return f"at least {least} argument"
    return f"{least} argument{'s' if least > 1 else ''}" if least == most else f"{least} or {most} arguments"


def _applied(symbol: str, arguments: list[str]) -> str:
    """An operator or function with the values of its arguments, for messages."""
    return (
        f"{arguments[0]} {symbol} {arguments[1]}"
        if symbol in OPERATORS
        else f"{symbol}({', '.join(arguments)})"
    )

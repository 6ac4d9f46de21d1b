"""Expressions over rows: what TRANSFORM, FILTER and SIMULATE have in common.

A result is missing where an argument is missing; only `missing`, `ismissing` and the branch that `ifelse` does
not take are exceptions.  A value outside the domain of a function is a problem, but not in rows where it is
not used: `ifelse(y > 0, ln(y), 0)` is fine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.functions import FUNCTIONS, OPERATORS, truth
from mlbayes.data.table import Vector
from mlbayes.language import nodes
from mlbayes.language.commands import FUNCTION_TABLE
from mlbayes.problems import Problem, nearest
from mlbayes.source import Span

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

Arguments = tuple[int, int | None]
"""Smallest and largest number of arguments (None: any number)."""

# functions that see missing values, or that do not look at every row of their arguments
_SPECIAL: dict[str, Arguments] = {"ifelse": (3, 3), "missing": (2, 2), "ismissing": (1, 1)}


@dataclass
class Evaluation(ABC):
    """A walk over an expression for `rows` rows; vectors have shape (rows,), `active` are the rows that are used.

    What names stand for, and which other functions there are (`own`), is the business of the subclasses.
    """

    rows: int
    problems: list[Problem] = field(default_factory=list)

    own: ClassVar[Mapping[str, Arguments]] = {}

    @abstractmethod
    def column(self, name: nodes.Name, numeric: bool = True) -> Vector:
        """The values of a name; without `numeric` only their missing values count."""

    @abstractmethod
    def not_finite(self, result: str, rows: Indices, span: Span) -> Problem:
        """The problem of an expression (`ln(-1)`) that has no finite value in some rows."""

    def own_call(self, call: nodes.Call, active: Mask) -> Vector:
        """The result of one of the functions in `own`."""
        raise NotImplementedError(call.function)

    def value(self, node: nodes.Expression, active: Mask) -> Vector:
        """The values of an expression."""
        match node:
            case nodes.Number():
                return np.full(self.rows, node.value)
            case nodes.Name():
                return self.column(node)
            case nodes.Unary():
                operand = self.value(node.operand, active)
                return -operand if node.operator == "-" else operand
            case nodes.Binary():
                arguments = [self.value(node.left, active), self.value(node.right, active)]
                return self.checked(OPERATORS[node.operator], arguments, active, node.operator, node.span)
            case nodes.Call():
                return self._call(node, active)

    def nothing(self, message: str, span: Span, hint: str = "") -> Vector:
        """Notes a problem; all rows are missing."""
        self.problems.append(Problem(message, span, hint))
        return np.full(self.rows, np.nan)

    def _call(self, call: nodes.Call, active: Mask) -> Vector:
        name, arguments = call.function, call.arguments
        function, special = FUNCTIONS.get(name), {**_SPECIAL, **self.own}
        if function is None and name not in special:
            known = [*FUNCTIONS, *special]
            hint = nearest(name, known) or f"the functions are {', '.join(sorted(known))}"
            if name in FUNCTION_TABLE and FUNCTION_TABLE[name].only:
                hint = f"'{name}' belongs to {FUNCTION_TABLE[name].only}"
            return self.nothing(f"there is no function '{name}' for data", call.span, hint)
        least, most = (function.least, function.most) if function else special[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = _counted(least, most)
            return self.nothing(f"{name} takes {wanted}, not {len(arguments)}", call.span)
        if function:
            values = [self.value(argument, active) for argument in arguments]
            return self.checked(function.compute, values, active, name, call.span)
        match name:
            case "ifelse":
                return self._ifelse(active, *arguments)
            case "missing":
                return self._missing(active, *arguments)
            case "ismissing":
                return self._ismissing(active, *arguments)
            case _:
                return self.own_call(call, active)

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
        found = self.column(values, False) if isinstance(values, nodes.Name) else self.value(values, active)
        return np.isnan(found).astype(np.float64)

    def checked(
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
        bad = np.flatnonzero(active & ~missing & ~np.isfinite(result))
        if len(bad):
            shown = _applied(symbol, [f"{argument[bad[0]]:.6g}" for argument in arguments])
            self.problems.append(self.not_finite(shown, bad, span))
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

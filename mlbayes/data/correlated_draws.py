"""`a ~~ b = r` of SIMULATE: which draws are correlated, and whether such correlations can be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mlbayes.data.level_values import Correlated, Values, draws_in
from mlbayes.data.levels import CONSTANTS
from mlbayes.data.table import Vector
from mlbayes.language.nodes import Expression, SimulateStatement
from mlbayes.problems import Problem, nearest
from mlbayes.source import Span

SINGULAR = 1e-10  # a residual variance of a standardised variable below it counts as none


def correlate(
    values: Values,
    statements: Sequence[SimulateStatement],
    expressions: Mapping[str, Expression],
    constant: Callable[[Expression], float],
) -> None:
    """Tells `values` which normal draws are correlated; what cannot be is noted there.

    `expressions`: of the variables by name; `constant` computes an expression of constants.
    """
    found: dict[frozenset[str], tuple[float, Span]] = {}
    for statement in statements:
        if not all([_can_covary(values, name.name, name.span, expressions) for name in statement.targets]):
            continue
        a, b = (values.variables[name.name] for name in statement.targets)
        if a.level != b.level:
            levels = [f"'{v.name}' belongs to '{values.levels.names[v.level]}'" for v in (a, b)]
            message = f"variables of different levels cannot be correlated ({', '.join(levels)})"
            values.note(Problem(message, statement.span, "correlate variables of the same block"))
            continue
        r = constant(statement.expression)
        if abs(r) >= 1.0:
            message = f"a correlation lies between -1 and 1, found {r:.6g}"
            hint = "a covariance becomes a correlation when it is divided by both standard deviations"
            values.note(Problem(message, statement.expression.span, hint))
        elif frozenset((a.name, b.name)) in found:
            message = f"the correlation of '{a.name}' and '{b.name}' is given twice"
            values.note(Problem(message, statement.span))
        elif not math.isnan(r):
            found[frozenset((a.name, b.name))] = (r, statement.span)
    for names in _groups(found):
        _add_group(values, names, found)


def _can_covary(values: Values, name: str, span: Span, expressions: Mapping[str, Expression]) -> bool:
    """Is a name a variable with one normal draw; if not, that is noted unless its statement is in error."""
    if name in values.broken:
        return False
    if name not in expressions:
        values.note(Problem(f"there is no '{name}' in SIMULATE", span, nearest(name, expressions)))
        return False
    if values.variables[name].level == CONSTANTS:
        values.note(Problem(f"'{name}' is a constant and cannot be correlated", span))
        return False
    draws = list(draws_in(expressions[name]))
    if len(draws) != 1 or draws[0].function != "normal":
        message = f"'{name}' cannot be correlated: its random part is not one normal draw"
        hint = f"give it a statement of its own: {name} = normal(mean, variance)"
        values.note(Problem(message, span, hint))
        return False
    return True


def _groups(pairs: Mapping[frozenset[str], object]) -> list[list[str]]:
    """Names that hang together, in order of appearance."""
    groups: list[list[str]] = []
    for pair in pairs:
        touched = [group for group in groups if pair & set(group)]
        joined = [name for group in touched for name in group]
        groups = [group for group in groups if group not in touched]
        groups.append([*joined, *sorted(pair - set(joined))])
    return groups


def _add_group(values: Values, names: list[str], pairs: Mapping[frozenset[str], tuple[float, Span]]) -> None:
    matrix = np.eye(len(names))
    last = Span(0, 0)
    for i, j in np.ndindex(matrix.shape):
        if i > j and frozenset((names[i], names[j])) in pairs:
            r, span = pairs[frozenset((names[i], names[j]))]
            matrix[i, j] = matrix[j, i] = r
            last = max(last, span, key=lambda place: place.start)
    factor = _cholesky(matrix)
    if factor is None:
        message = f"the correlations of {', '.join(names)} exclude each other (not positive definite)"
        hint = "bring them closer to 0; pairs without a correlation of their own have 0"
        values.note(Problem(message, last, hint))
        return
    values.correlated |= dict.fromkeys(names, Correlated(tuple(names), factor))


def _cholesky(matrix: Vector) -> Vector | None:
    """The lower factor of a correlation matrix, None if it is not positive definite."""
    factor = np.zeros_like(matrix)
    for i in range(len(matrix)):
        for j in range(i + 1):
            rest = matrix[i, j] - sum(factor[i, k] * factor[j, k] for k in range(j))
            if i == j and rest < SINGULAR:
                return None
            factor[i, j] = math.sqrt(rest) if i == j else rest / factor[j, j]
    return factor

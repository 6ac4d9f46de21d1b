"""Expressions of SIMULATE over the units of a level: names of this and higher levels, lags and draws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.random import Generator

from mlbayes.data.distributions import DISTRIBUTIONS, NORMAL
from mlbayes.data.evaluate import Evaluation, Indices, Mask
from mlbayes.data.levels import CONSTANTS, Levels
from mlbayes.data.table import Vector
from mlbayes.language import nodes
from mlbayes.problems import Problem, nearest
from mlbayes.source import Source, Span

_LAG = re.compile(r"(?P<base>.+)\.lag(?P<lag>[0-9]{0,9})")


@dataclass
class Variable:
    """A name with its level and, once it has been computed, its values, shape (units,).

    `position`: its place in the order of computation, -1 for what is there from the start.
    """

    name: str
    level: int
    position: int = -1
    span: Span | None = None
    values: Vector = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Correlated:
    """Variables whose random parts are correlated: `factor` is the Cholesky factor of their correlations."""

    names: tuple[str, ...]
    factor: Vector


class Values:
    """What is known so far: levels, variables, and the noise that stands behind draws.

    Noise is drawn once for all units when it is first asked for, so that it does not matter whether units are
    computed at once or occasion by occasion.
    """

    def __init__(self, source: Source, levels: Levels, rng: Generator) -> None:
        self.source = source
        self.levels = levels
        self.rng = rng
        self.variables: dict[str, Variable] = {}
        self.broken: set[str] = set()
        self.correlated: dict[str, Correlated] = {}
        self.problems: list[Problem] = []
        self._noise: dict[tuple[str, int], Vector] = {}
        self._shared: dict[str, Vector] = {}

    def note(self, problem: Problem) -> None:
        """Keep a problem, one for each place."""
        if not any(problem.span == other.span for other in self.problems):
            self.problems.append(problem)

    def noise(self, target: str, call: nodes.Call, units: int) -> Vector:
        """The noise of a draw for all units of the level of its variable, shape (units,)."""
        group, distribution = self.correlated.get(target), DISTRIBUTIONS[call.function]
        if group is not None and distribution is NORMAL:
            if target not in self._shared:
                self._share(group, units)
            return self._shared[target]
        key = (target, id(call))
        if key not in self._noise:
            self._noise[key] = distribution.noise(self.rng, units)
        return self._noise[key]

    def _share(self, group: Correlated, units: int) -> None:
        # sums in a fixed order, not a matrix product, whose last digit depends on the processor
        independent = [NORMAL.noise(self.rng, units) for _ in group.names]
        for i, name in enumerate(group.names):
            total = np.zeros(units)
            for j in range(i + 1):
                total += group.factor[i, j] * independent[j]
            self._shared[name] = total


class LevelEvaluation(Evaluation):
    """A walk over an expression for some units of a level.

    `target`: the variable that is computed; it sees the variables before its `position`.
    """

    own = {name: (1, None) for name in DISTRIBUTIONS}  # the parser has counted their arguments

    def __init__(self, values: Values, target: Variable, units: Indices) -> None:
        super().__init__(len(units))
        self.values = values
        self.target = target
        self.units = units

    def column(self, name: nodes.Name, numeric: bool = True) -> Vector:
        """The values of a variable of this level or a higher one, or of an earlier unit (`y.lag`)."""
        variable, lag = self._find(name)
        if variable is None:
            return np.full(self.rows, np.nan)
        level, levels = self.target.level, self.values.levels
        if variable.level < level:
            return self._too_low(variable, name.span)
        if lag:
            return self._earlier(variable, lag, name.span)
        if variable.position >= self.target.position:
            return self._too_early(variable, name.span)
        return variable.values[levels.ancestors(level, variable.level)[self.units]]

    def not_finite(self, result: str, rows: Indices, span: Span) -> Problem:
        """The problem of an expression without a finite value."""
        hint = "choose other values for such units with ifelse() or missing()"
        return Problem(f"{result} is not a finite number{self._where(rows)}", span, hint)

    def own_call(self, call: nodes.Call, active: Mask) -> Vector:
        """A draw for each unit."""
        distribution = DISTRIBUTIONS[call.function]
        noise = self.values.noise(self.target.name, call, self.values.levels.units[self.target.level])
        parameters = [self.value(argument, active) for argument in call.arguments]
        known = ~np.logical_or.reduce([np.isnan(parameter) for parameter in parameters])
        bad = np.flatnonzero(active & known & ~distribution.allowed(*parameters))
        if len(bad):
            shown = ", ".join(f"{parameter[bad[0]]:.6g}" for parameter in parameters)
            message = f"{call.function}({shown}) needs {distribution.needs}{self._where(bad)}"
            return self.nothing(message, call.span)
        draw = partial(distribution.draw, noise[self.units])
        return self.checked(draw, parameters, active, call.function, call.span)

    def _where(self, rows: Indices) -> str:
        """Which units are meant, in words."""
        if self.target.level == CONSTANTS:
            return ""
        others = f" and {len(rows) - 1} other{'s' if len(rows) > 2 else ''}" if len(rows) > 1 else ""
        return f" ({self.values.levels.names[self.target.level]} {self.units[rows[0]] + 1}{others})"

    def _find(self, name: nodes.Name) -> tuple[Variable | None, int]:
        """The variable of a name and its lag; None if there is none, or if it is in error itself."""
        known = self.values.variables
        if name.level is not None:
            message = f"'{name.name}[{name.level}]': names in SIMULATE have no level in brackets"
            self.nothing(message, name.span)
            return None, 0
        if name.name in known:
            return known[name.name], 0
        match = _LAG.fullmatch(name.name)
        if match and match["base"] in known and int(match["lag"] or 1):
            return known[match["base"]], int(match["lag"] or 1)
        if name.name not in self.values.broken and not (match and match["base"] in self.values.broken):
            self.nothing(f"there is no '{name.name}' in SIMULATE", name.span, nearest(name.name, known))
        return None, 0

    def _too_low(self, variable: Variable, span: Span) -> Vector:
        names = self.values.levels.names
        lower, level = names[variable.level], self.target.level
        here = (
            "a constant has one value" if level == CONSTANTS else f"this is a statement of '{names[level]}'"
        )
        message = f"'{variable.name}' has a value for each '{lower}', but {here}"
        return self.nothing(message, span, f"only the block '{lower}:' can use it")

    def _too_early(self, variable: Variable, span: Span) -> Vector:
        if variable is self.target:
            same = f"'{variable.name}.lag' is its value in the row before"
            hint = same if self.target.level < CONSTANTS else ""
            return self.nothing(f"'{variable.name}' is used in its own definition", span, hint)
        hint = "statements are computed in order"
        if variable.span is not None:
            line, _ = self.values.source.line_and_column(variable.span.start)
            hint = f"it is defined in line {line}; put that statement first"
        return self.nothing(f"'{variable.name}' is used before it is defined", span, hint)

    def _earlier(self, variable: Variable, lag: int, span: Span) -> Vector:
        """Values of `lag` units before, 0 where there is none."""
        level, levels = self.target.level, self.values.levels
        if variable.level != level or level == CONSTANTS:
            of = (
                "is a constant"
                if variable.level == CONSTANTS
                else f"belongs to '{levels.names[variable.level]}'"
            )
            return self.nothing(f"'{variable.name}' {of} and has no earlier value here", span,
                                "a lag needs a variable of the same block")  # fmt: skip
        source = levels.earlier(level, lag)[self.units]
        return np.where(source >= 0, variable.values[source], 0.0)


def draws_in(expression: nodes.Expression) -> Iterator[nodes.Call]:
    """Every draw of an expression."""
    match expression:
        case nodes.Call():
            if expression.function in DISTRIBUTIONS:
                yield expression
            for argument in expression.arguments:
                yield from draws_in(argument)
        case nodes.Unary():
            yield from draws_in(expression.operand)
        case nodes.Binary():
            yield from draws_in(expression.left)
            yield from draws_in(expression.right)


def has_lag(expression: nodes.Expression) -> bool:
    """Does an expression look like one that uses a value of an earlier unit."""
    return any(_LAG.fullmatch(name.name) for name in nodes.names_in(expression))

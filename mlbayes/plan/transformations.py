"""Transformed outcomes: T(y) is normal around the linear predictor, with T monotone where values are.

T is a chain of functions of one argument, each of which knows its inverse, so T is inverted by going backwards.  Where
T does not reach every number (`sqrt(y)` is never below 0), its inverse gives nan beyond its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.functions import FUNCTIONS, OPERATORS, inverse_yeo_johnson, yeo_johnson
from mlbayes.model.expressions import Constant, Expression, Operation, Reference, references
from mlbayes.model.model import Distribution, Equation
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.problems import Problem, ProblemError, ProblemKind

Vector = NDArray[np.float64]
Interval = tuple[float, float]
EVERYTHING = (-np.inf, np.inf)
FROM_ZERO = (0.0, np.inf)


# ------------------------------------------------------------------ functions of one argument
@dataclass(frozen=True)
class Affine:
    """slope * x + shift."""

    slope: float
    shift: float
    domain: Interval = EVERYTHING

    def forward(self, x: Vector) -> Vector:
        """The value at x."""
        return self.slope * x + self.shift

    def inverse(self, w: Vector) -> Vector:
        """The x whose value is w."""
        return (w - self.shift) / self.slope

    def log_slope(self, x: Vector) -> Vector:
        """Log of the absolute derivative at x."""
        return np.full(x.shape, np.log(abs(self.slope)))

    def instruct_inverse(self, builder: PlanBuilder, t: int, n: int) -> None:
        """Write the instructions that replace n values at t by their inverse."""
        builder.instruct(p.OP_ADD_SCALAR, t, n, builder.scalar(-self.shift))
        builder.instruct(p.OP_SCALE, t, n, t, builder.scalar(1.0 / self.slope))


@dataclass(frozen=True)
class Exponential:
    """e^x."""

    domain: Interval = EVERYTHING

    def forward(self, x: Vector) -> Vector:
        """The value at x."""
        return np.exp(x)

    def inverse(self, w: Vector) -> Vector:
        """The x whose value is w."""
        return np.log(w)

    def log_slope(self, x: Vector) -> Vector:
        """Log of the absolute derivative at x."""
        return x

    def instruct_inverse(self, builder: PlanBuilder, t: int, n: int) -> None:
        """Write the instructions that replace n values at t by their inverse."""
        builder.instruct(p.OP_LOG, t, n, t)


@dataclass(frozen=True)
class Logarithm:
    """ln x."""

    domain: Interval = FROM_ZERO

    def forward(self, x: Vector) -> Vector:
        """The value at x."""
        return np.log(x)

    def inverse(self, w: Vector) -> Vector:
        """The x whose value is w."""
        return np.exp(w)

    def log_slope(self, x: Vector) -> Vector:
        """Log of the absolute derivative at x."""
        return -np.log(x)

    def instruct_inverse(self, builder: PlanBuilder, t: int, n: int) -> None:
        """Write the instructions that replace n values at t by their inverse."""
        builder.instruct(p.OP_EXP, t, n, t)


@dataclass(frozen=True)
class Power:
    """x^exponent from 0 upwards.  The square root in the inverse makes what is below 0 nan for any exponent."""

    exponent: float
    domain: Interval = FROM_ZERO

    def forward(self, x: Vector) -> Vector:
        """The value at x."""
        return x**self.exponent

    def inverse(self, w: Vector) -> Vector:
        """The x whose value is w."""
        return np.sqrt(w) ** (2.0 / self.exponent)

    def log_slope(self, x: Vector) -> Vector:
        """Log of the absolute derivative at x."""
        return np.log(abs(self.exponent)) + (self.exponent - 1.0) * np.log(x)

    def instruct_inverse(self, builder: PlanBuilder, t: int, n: int) -> None:
        """Write the instructions that replace n values at t by their inverse."""
        builder.instruct(p.OP_SQUARE_ROOT, t, n, t)
        builder.instruct(p.OP_POWER, t, n, builder.vector(np.full(n, 2.0 / self.exponent)))


@dataclass(frozen=True)
class OddPower:
    """x^exponent with an odd exponent, on both sides of 0."""

    exponent: float
    domain: Interval = EVERYTHING

    def forward(self, x: Vector) -> Vector:
        """The value at x."""
        return x**self.exponent

    def inverse(self, w: Vector) -> Vector:
        """The x whose value is w."""
        return np.sign(w) * np.abs(w) ** (1.0 / self.exponent)

    def log_slope(self, x: Vector) -> Vector:
        """Log of the absolute derivative at x."""
        return np.log(self.exponent) + (self.exponent - 1.0) * np.log(np.abs(x))

    def instruct_inverse(self, builder: PlanBuilder, t: int, n: int) -> None:
        """Write the instructions that replace n values at t by their inverse."""
        below, zeros = builder.zeros(n), builder.zeros(n)
        root = builder.vector(np.full(n, 1.0 / self.exponent))
        builder.instruct(p.OP_SCALE, below, n, t, builder.scalar(-1.0))
        for side in (t, below):
            builder.instruct(p.OP_MAXIMUM, side, n, zeros)
            builder.instruct(p.OP_POWER, side, n, root)
        builder.instruct(p.OP_SUBTRACT, t, n, below)


Link = Affine | Exponential | Logarithm | Power | OddPower


# ------------------------------------------------------------------ the whole
@dataclass(frozen=True)
class Transformation:
    """T, from the inside out; `power`: symbol of the power of a Yeo-Johnson transformation that comes last.

    Numbers that have no inverse become nan.
    """

    links: tuple[Link, ...]
    power: Atom | None = None

    def forward(self, y: Vector, power: float = 1.0) -> Vector:
        """T(y)."""
        z = self._inner(y)
        return z if self.power is None else yeo_johnson(z, np.asarray(power))

    def inverse(self, w: Vector, power: float = 1.0) -> Vector:
        """The y whose transform is w."""
        with np.errstate(all="ignore"):
            z = w if self.power is None else inverse_yeo_johnson(w, np.asarray(power))
            return reduce(lambda x, link: link.inverse(x), reversed(self.links), z)

    def log_slope(self, y: Vector, power: float = 1.0) -> Vector:
        """Log |T'(y)|; 0 where it is not finite (`sqrt(y)` at 0)."""
        x, total = y, np.zeros(y.shape)
        with np.errstate(all="ignore"):
            for link in self.links:
                total = total + link.log_slope(x)
                x = link.forward(x)
        if self.power is not None:
            total = total + (power - 1.0) * self.log_slope_rate(y)
        return np.where(np.isfinite(total), total, 0.0)

    def log_slope_rate(self, y: Vector) -> Vector:
        """What log T'(y) gains by each unit of the power."""
        z = self._inner(y)
        return np.sign(z) * np.log1p(np.abs(z))

    def _inner(self, y: Vector) -> Vector:
        with np.errstate(all="ignore"):
            return reduce(lambda x, link: link.forward(x), self.links, y)

    @property
    def range(self) -> Interval:
        """The numbers that T reaches."""
        ends = np.array(EVERYTHING)
        with np.errstate(all="ignore"):
            for link in self.links:
                ends = np.sort(link.forward(np.clip(ends, *link.domain)))
        return float(ends[0]), float(ends[1])

    def instruct_inverse(self, builder: PlanBuilder, target: int, n: int, power: int) -> None:
        """Write the instructions that replace n transformed values by the values; `power`: place of n powers."""
        if self.power is not None:
            builder.instruct(p.OP_INVERSE_YEO_JOHNSON, target, n, power)
        for link in reversed(self.links):
            link.instruct_inverse(builder, target, n)


# ------------------------------------------------------------------ from the left side of an equation
def transformation_of(equation: Equation, values: Vector) -> Transformation | None:
    """The transformation on the left side of an equation, None for a plain outcome.

    `values`: of the outcome, nan where missing.  Raises ProblemError where T is not monotone over them (kind
    UNSUPPORTED) or not defined for some of them (kind DATA).
    """
    yeo = equation.distribution is Distribution.YEO_JOHNSON
    if isinstance(equation.left, Reference) and not yeo:
        return None
    seen = values[~np.isnan(values)]
    chain = _Chain(equation, seen)
    chain.add(equation.left)
    if yeo and not all(isinstance(link, Affine) for link in chain.links):
        raise chain.refused("yjt takes a variable plus or minus a number", "yjt(y - 3)")
    power = Atom("parameter", f"{equation.title} lambda", TOP) if yeo else None
    return Transformation(tuple(chain.links), power)


class _Chain:
    """Takes an expression apart into functions of one argument, and follows the observed values through them."""

    def __init__(self, equation: Equation, values: Vector) -> None:
        self.equation = equation
        self.links: list[Link] = []
        self.values = values

    def refused(self, message: str, hint: str = "compute it with TRANSFORM") -> ProblemError:
        """The error of a left side that has no inverse."""
        problem = f"{message}, so '{self.equation.title}' cannot be an outcome"
        return ProblemError([Problem(problem, self.equation.span, hint, ProblemKind.UNSUPPORTED)])

    def add(self, expression: Expression) -> None:
        """Add the links of an expression, the innermost first."""
        if isinstance(expression, Reference):
            return
        assert isinstance(expression, Operation)
        varying = [a for a in expression.arguments if any(references(a))]
        if len(varying) > 1:
            raise self.refused(f"'{self.equation.outcome}' occurs more than once in it")
        self.add(varying[0])
        for link in self._links(expression, varying[0]):
            self._follow(link)

    def _follow(self, link: Link) -> None:
        self.links.append(link)
        with np.errstate(all="ignore"):
            self.values = link.forward(self.values)
        if not np.isfinite(self.values).all():
            message = f"'{self.equation.title}' is not a finite number for some of the observed values"
            raise ProblemError([Problem(message, self.equation.span, "", ProblemKind.DATA)])

    def _links(self, expression: Operation, inner: Expression) -> Sequence[Link]:
        """An operator or function of one varying argument."""
        operator, arguments = expression.operator, expression.arguments
        others = [self._number(a) for a in arguments if a is not inner]
        first = arguments[0] is inner
        if operator == "neg" or (operator == "-" and len(arguments) == 1):
            return [Affine(-1.0, 0.0)]
        if operator == "+":
            return [Affine(1.0, sum(others))]
        if operator == "-":
            return [Affine(1.0, -others[0]) if first else Affine(-1.0, others[0])]
        if operator == "*":
            return [self._scale(float(np.prod(others)))]
        if operator == "/":
            return [self._scale(1.0 / others[0])] if first else [*self._power(-1.0), self._scale(others[0])]
        if operator == "^" and first:
            return self._power(others[0])
        if operator == "^" and others[0] > 0.0:
            return [self._scale(float(np.log(others[0]))), Exponential()]
        if operator == "sqrt":
            return self._power(0.5)
        if operator in ("ln", "log"):
            return [Logarithm()]
        if operator == "exp":
            return [Exponential()]
        raise self.refused(f"the inverse of '{operator}' is not known")

    def _scale(self, number: float) -> Affine:
        if number == 0.0 or not np.isfinite(number):
            raise self.refused("it does not depend on its variable")
        return Affine(number, 0.0)

    def _power(self, exponent: float) -> Sequence[Link]:
        """A power is monotone on each side of 0, odd positive ones everywhere."""
        whole = exponent == int(exponent)
        if exponent == 0.0:
            raise self.refused("it does not depend on its variable")
        if whole and exponent > 0.0 and exponent % 2 == 1.0:
            return [OddPower(exponent)]
        if (self.values >= 0.0).all() or not whole:
            return [Power(exponent)]
        if (self.values <= 0.0).all():
            return [Affine(-1.0, 0.0), Power(exponent), Affine(-1.0 if exponent % 2 == 1.0 else 1.0, 0.0)]
        raise self.refused("it is not monotone over the observed values")

    def _number(self, expression: Expression) -> float:
        """The value of an expression of numbers."""
        if isinstance(expression, Constant):
            return expression.value
        if not isinstance(expression, Operation):
            raise self.refused("labels cannot transform an outcome")
        x = [np.asarray(self._number(argument)) for argument in expression.arguments]
        with np.errstate(all="ignore"):
            if expression.operator == "neg":
                return -float(x[0])
            compute = OPERATORS.get(expression.operator) or FUNCTIONS[expression.operator].compute
            return float(compute(*x))

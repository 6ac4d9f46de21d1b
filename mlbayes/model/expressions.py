"""Expressions of the model graph: variables in their forms, parameters, numbers, operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Form(Enum):
    """In which form a variable enters an expression."""

    VALUE = "value"  # the value, or the numeric code of an ordinal variable
    DUMMY = "dummy"  # 1 where a nominal variable has the code `argument`, else 0
    RESPONSE = "latent response"  # the latent response of an ordinal variable
    MEAN = "latent cluster mean"  # at level `level`
    LAG = "lag"  # the value `argument` occasions earlier
    MISSING = "missing"  # 1 where the variable is missing
    EFFECT = "random effect"  # a named random effect (RANDOMEFFECT)


class Centring(Enum):
    """What is subtracted from a predictor."""

    NONE = "none"
    GRAND = "grand mean"
    GROUP = "group mean"


@dataclass(frozen=True)
class Constant:
    """A number."""

    value: float


@dataclass(frozen=True)
class Reference:
    """A variable in an expression.  `level` is the level at which the value varies (a mean: of the cluster)."""

    variable: str
    level: int
    form: Form = Form.VALUE
    argument: int = 0
    centring: Centring = Centring.NONE


@dataclass(frozen=True)
class ParameterReference:
    """A parameter, by name (labels in definitions, generated quantities, constraints)."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An operator or function: `+ - * / ^ neg == != < <= > >= and or`, `ln`, `exp`, `ifelse`, ..."""

    operator: str
    arguments: tuple[Expression, ...]


Expression = Constant | Reference | ParameterReference | Operation


def leaves(expression: Expression) -> Iterator[Expression]:
    """Every constant and reference of an expression, from left to right."""
    if isinstance(expression, Operation):
        for argument in expression.arguments:
            yield from leaves(argument)
    else:
        yield expression


def references(expression: Expression) -> Iterator[Reference]:
    """Every reference to a variable, from left to right."""
    return (leaf for leaf in leaves(expression) if isinstance(leaf, Reference))


def level_of(expression: Expression, otherwise: int = 99) -> int:
    """The level at which an expression varies; `otherwise` for one without variables."""
    return min((reference.level for reference in references(expression)), default=otherwise)


def factors(expression: Expression) -> list[Expression]:
    """The factors of a product, a whole power being repeated; any other expression is its own only factor."""
    if isinstance(expression, Operation) and expression.operator == "*":
        return [factor for argument in expression.arguments for factor in factors(argument)]
    if isinstance(expression, Operation) and expression.operator == "^":
        base, exponent = expression.arguments
        if isinstance(exponent, Constant) and exponent.value in (1.0, 2.0, 3.0, 4.0):
            return factors(base) * int(exponent.value)
    return [expression]

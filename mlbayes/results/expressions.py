"""Values of expressions of parameters, draw by draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Constant, Expression, Operation, ParameterReference, Reference

Array = NDArray[np.float64]
Lookup = Callable[[str], Array]


def normal_cdf(x: Array) -> Array:
    """Standard normal distribution function."""
    from scipy.special import ndtr

    values: Array = ndtr(x)
    return values


def normal_inverse(p: Array) -> Array:
    """Its inverse."""
    from scipy.special import ndtri

    values: Array = ndtri(p)
    return values


def normal_pdf(x: Array) -> Array:
    """Standard normal density."""
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "**": np.power,
    "neg": np.negative,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "exp": np.exp,
    "ln": np.log,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "ifelse": np.where,
    "phi": normal_cdf,
    "iphi": normal_inverse,
    "normal_pdf": normal_pdf,
}


def evaluate(expression: Expression, lookup: Lookup, held: Mapping[Reference, Array] | None = None) -> Array:
    """Value of an expression, (chains, draws) or (1, 1).

    `lookup` gives the draws of a parameter, `held` the values of the variables that may occur.  Raises TypeError
    for any other variable.
    """
    if isinstance(expression, Constant):
        return np.full((1, 1), expression.value)
    if isinstance(expression, ParameterReference):
        return lookup(expression.name)
    if isinstance(expression, Operation):
        arguments = [evaluate(argument, lookup, held) for argument in expression.arguments]
        function = FUNCTIONS[expression.operator]
        with np.errstate(all="ignore"):
            if expression.operator in ("min", "max"):
                value = arguments[0]
                for argument in arguments[1:]:
                    value = function(value, argument)
            else:
                value = function(*arguments)
        return np.asarray(value, dtype=np.float64)
    if held is not None and expression in held:
        return held[expression]
    raise TypeError("an expression of parameters contains a variable")

"""Functions of parameters: symbols whose values follow parameters, and the instructions that compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.functions import FUNCTIONS, OPERATORS, inverse_yeo_johnson, yeo_johnson
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.polynomial import Atom, Polynomial

Vector = NDArray[np.float64]

# What makes the function of one argument, or the first argument and the next one into one.
SINGLE = {"exp": p.OP_EXP, "ln": p.OP_LOG, "log": p.OP_LOG, "sqrt": p.OP_SQUARE_ROOT, "phi": p.OP_NORMAL_CDF}
FOLDED = {
    "/": p.OP_DIVIDE,
    "^": p.OP_POWER,
    "min": p.OP_MINIMUM,
    "max": p.OP_MAXIMUM,
    "yjt": p.OP_YEO_JOHNSON,
    "iyjt": p.OP_INVERSE_YEO_JOHNSON,
}


@dataclass(frozen=True)
class Function:
    """An operator or function of polynomials in parameters, complete data and other functions.

    `parameters`: those that it depends on, directly or through other functions.
    """

    operator: str
    arguments: tuple[Polynomial, ...]
    parameters: frozenset[Atom]

    def compute(self, evaluate: Callable[[Polynomial], Vector]) -> Vector:
        """Its values, given the values of polynomials; nan or infinite outside of its domain."""
        values = [evaluate(argument) for argument in self.arguments]
        with np.errstate(all="ignore"):
            if self.operator in ("min", "max"):  # of any number of arguments
                return np.asarray(FUNCTIONS[self.operator].compute(*np.broadcast_arrays(*values)))
            known = {**OPERATORS, "yjt": yeo_johnson, "iyjt": inverse_yeo_johnson}
            compute = known.get(self.operator) or FUNCTIONS[self.operator].compute
            return np.asarray(compute(*values), dtype=np.float64)

    def instruct(self, builder: PlanBuilder, target: int, n: int, arguments: list[int]) -> None:
        """Write the instructions that put its n values at `target`, given the places of its arguments."""
        if self.operator in SINGLE:
            builder.instruct(SINGLE[self.operator], target, n, arguments[0])
        elif self.operator == "abs":
            builder.instruct(p.OP_SCALE, target, n, arguments[0], builder.scalar(-1.0))
            builder.instruct(p.OP_MAXIMUM, target, n, arguments[0])
        else:
            builder.instruct(p.OP_COPY, target, n, arguments[0])
            for argument in arguments[1:]:
                builder.instruct(FOLDED[self.operator], target, n, argument)


def is_runnable(operator: str) -> bool:
    """Can an operator or function be taken of parameters in MODEL; the Yeo-Johnson ones are forms of outcomes."""
    return (operator in SINGLE or operator in FOLDED or operator == "abs") and operator not in ("yjt", "iyjt")

"""Residual variances: inverse gamma draws given the residuals of a block."""

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.random import inverse_gamma
from mlbayes.engine.substitution import sum_of_squares
from mlbayes.plan.plan import VARIANCE_COUNT, VARIANCE_PRECISION, VARIANCE_PRIOR, Plan


@kernel
def draw_variance(plan: Plan, store: NDArray, b: int, v: int, rng: Generator) -> None:
    """Draw a residual variance from IG(a + n/2, b + SSE/2) with prior IG(a, b); the store keeps its inverse."""
    variance = plan.variances[v]
    squares = sum_of_squares(plan, store, b, variance[VARIANCE_PRECISION])
    shape = store[variance[VARIANCE_PRIOR]] + 0.5 * variance[VARIANCE_COUNT]
    scale = store[variance[VARIANCE_PRIOR] + 1] + 0.5 * max(squares, 0.0)
    store[variance[VARIANCE_PRECISION]] = 1.0 / inverse_gamma(rng, shape, scale)

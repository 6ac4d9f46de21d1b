"""Residual covariance matrices with separate priors on variances and correlations, or with fixed or equal elements.

The matrix is D R D with standard deviations D and correlations R.  Free variances have inverse gamma priors,
free correlations a uniform one over all positive definite R; elements that are equal count as one.  Outside of
collapsed steps every free element is drawn by slice sampling (Neal 2003, Annals of Statistics 31, 705-767) given
the residuals.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed
from mlbayes.engine.steps.residual_covariances import invert_factor
from mlbayes.engine.substitution import sum_of_squares
from mlbayes.plan.plan import (
    COVARIANCE_COUNT,
    COVARIANCE_FACTOR,
    COVARIANCE_FREE,
    COVARIANCE_PARTS,
    COVARIANCE_PRECISION,
    COVARIANCE_SIZE,
    Plan,
    Work,
)

TRIES = 60  # a slice is found long before; the current value stays if not


@kernel
def free_place(plan: Plan, row: NDArray, k: int) -> int:
    """Place among the parts of free element k: standard deviations first, then correlations."""
    free = row[COVARIANCE_FREE]
    place = plan.index[free + 2 + k]
    return place if k < plan.index[free] else row[COVARIANCE_SIZE] + place


@kernel
def free_count(plan: Plan, row: NDArray) -> int:
    """Number of free elements."""
    return plan.index[row[COVARIANCE_FREE]] + plan.index[row[COVARIANCE_FREE] + 1]


@kernel
def copy_shared(plan: Plan, store: NDArray, row: NDArray) -> None:
    """Put the elements that are equal to others where else they stand."""
    at = row[COVARIANCE_FREE] + 2 + free_count(plan, row)
    for k in range(at + 1, at + 1 + 2 * plan.index[at], 2):
        parts = row[COVARIANCE_PARTS]
        store[parts + plan.index[k]] = store[parts + plan.index[k + 1]]


@kernel
def assemble(plan: Plan, store: NDArray, row: NDArray, work: Work) -> bool:
    """Factor and inverse of the matrix from its parts; False when it is not positive definite."""
    copy_shared(plan, store, row)
    p = row[COVARIANCE_SIZE]
    parts = row[COVARIANCE_PARTS]
    matrix = work.small[0]
    factor = work.small[1]
    for i in range(p):
        if not store[parts + i] > 0.0:
            return False
        for j in range(i):
            matrix[i, j] = store[parts + p + packed(i, j)] * store[parts + i] * store[parts + j]
        matrix[i, i] = store[parts + i] ** 2
    if math.isnan(cholesky(matrix, factor, p)):
        return False
    for i in range(p):
        for j in range(i + 1):
            store[row[COVARIANCE_FACTOR] + packed(i, j)] = factor[i, j]
    size = p * (p + 1) // 2
    lower = store[row[COVARIANCE_FACTOR] : row[COVARIANCE_FACTOR] + size]
    invert_factor(
        lower, p, store[row[COVARIANCE_PRECISION] : row[COVARIANCE_PRECISION] + size], work.small[2]
    )
    return True


@kernel
def log_prior_parts(plan: Plan, store: NDArray, row: NDArray) -> float:
    """Log prior of the free standard deviations (correlations are uniform), plus n/2 log |inverse|."""
    p = row[COVARIANCE_SIZE]
    parts = row[COVARIANCE_PARTS]
    priors = parts + p + p * (p + 1) // 2
    s = 0.0
    for k in range(plan.index[row[COVARIANCE_FREE]]):
        i = plan.index[row[COVARIANCE_FREE] + 2 + k]
        sd = store[parts + i]
        s -= (2.0 * store[priors + 2 * i] + 1.0) * math.log(sd) + store[priors + 2 * i + 1] / (sd * sd)
    for i in range(p):
        s -= row[COVARIANCE_COUNT] * math.log(store[row[COVARIANCE_FACTOR] + packed(i, i)])
    return s


@kernel
def read_parts(plan: Plan, store: NDArray, row: NDArray, theta: NDArray) -> None:
    """The free elements."""
    for k in range(free_count(plan, row)):
        theta[k] = store[row[COVARIANCE_PARTS] + free_place(plan, row, k)]


@kernel
def write_parts(plan: Plan, store: NDArray, row: NDArray, theta: NDArray, work: Work) -> float:
    """Put free elements into the store; their log density as of `log_prior_parts`, -inf when not positive definite."""
    for k in range(free_count(plan, row)):
        store[row[COVARIANCE_PARTS] + free_place(plan, row, k)] = theta[k]
    if not assemble(plan, store, row, work):
        return -math.inf
    return log_prior_parts(plan, store, row)


@kernel
def log_density(plan: Plan, store: NDArray, row: NDArray, products: NDArray, work: Work) -> float:
    """Log posterior density of the parts as they are, given the sums of products of the residuals."""
    if not assemble(plan, store, row, work):
        return -math.inf
    s = log_prior_parts(plan, store, row)
    p = row[COVARIANCE_SIZE]
    for i in range(p):
        for j in range(i + 1):
            value = store[row[COVARIANCE_PRECISION] + packed(i, j)] * products[packed(i, j)]
            s -= 0.5 * value if i == j else value
    return s


@kernel
def draw_separate(plan: Plan, store: NDArray, b: int, c: int, rng: Generator, work: Work) -> None:
    """Slice sampling of every free element of a matrix, given the residuals of a block."""
    row = plan.covariances[c]
    p = row[COVARIANCE_SIZE]
    products = work.vectors[1]
    for i in range(p):
        for j in range(i + 1):
            s = sum_of_squares(plan, store, b, row[COVARIANCE_PRECISION] + packed(i, j))
            products[packed(i, j)] = s if i == j else 0.5 * s  # a pair counts twice in the quadratic form
    for k in range(free_count(plan, row)):
        place = row[COVARIANCE_PARTS] + free_place(plan, row, k)
        current = store[place]
        floor = log_density(plan, store, row, products, work) - rng.standard_exponential()
        if k < plan.index[row[COVARIANCE_FREE]]:
            low = 0.0
            high = 2.0 * current
            for _ in range(TRIES):
                store[place] = high
                if not log_density(plan, store, row, products, work) > floor:
                    break
                high *= 2.0
        else:
            low = -1.0
            high = 1.0
        found = False
        for _ in range(TRIES):
            value = low + (high - low) * rng.random()
            store[place] = value
            if log_density(plan, store, row, products, work) > floor:
                found = True
                break
            if value < current:
                low = value
            else:
                high = value
        if not found:
            store[place] = current
            assemble(plan, store, row, work)

"""Residual covariance matrices of several equations: conjugate draw and log density of a Cholesky factor."""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed
from mlbayes.engine.random import inverse_wishart_factor
from mlbayes.engine.steps.covariances import log_prior_factor
from mlbayes.engine.substitution import sum_of_squares
from mlbayes.plan.plan import (
    COVARIANCE_COUNT,
    COVARIANCE_DF,
    COVARIANCE_FACTOR,
    COVARIANCE_PRECISION,
    COVARIANCE_SIZE,
    Plan,
    Work,
)


@kernel
def invert_factor(factor: NDArray, p: int, inverse: NDArray, scratch: NDArray) -> None:
    """Packed (LL')^-1 from the packed L; `scratch`: (p, p)."""
    for j in range(p):
        for i in range(j, p):
            s = 1.0 if i == j else 0.0
            for k in range(j, i):
                s -= factor[packed(i, k)] * scratch[k, j]
            scratch[i, j] = s / factor[packed(i, i)]
    for i in range(p):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, p):
                s += scratch[k, i] * scratch[k, j]
            inverse[packed(i, j)] = s


@kernel
def write_covariance(store: NDArray, row: NDArray, values: NDArray, work: Work) -> float:
    """Put a Cholesky factor and the inverse of its matrix into the store; log prior + n/2 log |inverse|."""
    p = row[COVARIANCE_SIZE]
    size = p * (p + 1) // 2
    factor = store[row[COVARIANCE_FACTOR] : row[COVARIANCE_FACTOR] + size]
    for e in range(size):
        factor[e] = values[e]
    invert_factor(
        factor, p, store[row[COVARIANCE_PRECISION] : row[COVARIANCE_PRECISION] + size], work.small[0]
    )
    prior = row[COVARIANCE_DF]
    log_density = log_prior_factor(store[prior], store[prior + 1], p, factor, work.vectors[7])
    for i in range(p):
        log_density -= row[COVARIANCE_COUNT] * math.log(abs(factor[packed(i, i)]))
    return log_density


@kernel
def reverse_factor(factor: NDArray, p: int, reversed: NDArray, work: Work) -> bool:
    """Packed Cholesky factor of LL' with rows and columns in the opposite order; False where it is singular."""
    matrix = work.small[0]
    lower = work.small[1]
    for i in range(p):
        for j in range(i + 1):
            s = 0.0
            for k in range(p - i):  # elements (p - 1 - i, k) and (p - 1 - j, k), the former row the shorter
                s += factor[packed(p - 1 - i, k)] * factor[packed(p - 1 - j, k)]
            matrix[i, j] = s
    if math.isnan(cholesky(matrix, lower, p)):
        return False
    for i in range(p):
        for j in range(i + 1):
            reversed[packed(i, j)] = lower[i, j]
    return True


@kernel
def write_reversed(store: NDArray, row: NDArray, values: NDArray, work: Work) -> float:
    """`write_covariance` from the factor of the matrix in the opposite order, whose density this is."""
    p = row[COVARIANCE_SIZE]
    factor = work.vectors[6]
    if not reverse_factor(values, p, factor, work):
        return -math.inf
    prior = row[COVARIANCE_DF]
    log_density = write_covariance(store, row, factor, work)
    log_density -= log_prior_factor(store[prior], store[prior + 1], p, factor, work.vectors[7])
    return log_density + log_prior_factor(store[prior], store[prior + 1], p, values, work.vectors[7])


@kernel
def draw_wishart(plan: Plan, store: NDArray, b: int, c: int, rng: Generator, work: Work) -> bool:
    """Draw a residual covariance matrix from IW(df + n, scale I + sums of squares and products)."""
    row = plan.covariances[c]
    p = row[COVARIANCE_SIZE]
    scale = work.small[1]
    new = work.small[2]
    for i in range(p):
        for j in range(i + 1):
            s = sum_of_squares(plan, store, b, row[COVARIANCE_PRECISION] + packed(i, j))
            scale[i, j] = s if i == j else 0.5 * s  # a pair of equations counts twice in the quadratic form
        scale[i, i] += store[row[COVARIANCE_DF] + 1]
    df = store[row[COVARIANCE_DF]] + row[COVARIANCE_COUNT]
    if not inverse_wishart_factor(rng, df, scale, new, p, work.small[3:]):
        return False
    values = work.vectors[1]
    for i in range(p):
        for j in range(i + 1):
            values[packed(i, j)] = new[i, j]
    write_covariance(store, row, values, work)
    return True

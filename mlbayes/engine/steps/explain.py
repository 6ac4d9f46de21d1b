"""What is reported besides parameters: variance decompositions, moments and quantiles of a vector."""

import math

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import packed
from mlbayes.engine.vectors import total
from mlbayes.plan.plan import (
    EXPLAIN_COEFFICIENTS,
    EXPLAIN_GROUPS,
    EXPLAIN_TARGET,
    EXPLAIN_TERMS,
    EXPLAIN_TOTALS,
    EXPLAIN_UNITS,
    QUANTILE_SHARES,
    Plan,
)


@kernel
def term_covariance(store: NDArray, totals: int, i: int, j: int, n: int) -> float:
    """Sample covariance (divisor n - 1) of terms i and j (from 1; 0 is the constant) from sums of products."""
    mean_i = store[totals + packed(i, 0)] / n
    return (store[totals + packed(i, j)] - mean_i * store[totals + packed(j, 0)]) / (n - 1)


@kernel
def explain(plan: Plan, store: NDArray, e: int) -> None:
    """Parts of an outcome's variance (Rights & Sterba 2019, Psychological Methods 24, 309-338).

    With b, S the coefficients and covariance matrix of the terms, m, V means and covariance of the
    predictors with random effects and T the effects' covariance matrix: b'Sb, m'Tm and tr(V T).
    """
    row = plan.explains[e]
    terms = row[EXPLAIN_TERMS]
    totals = row[EXPLAIN_TOTALS]
    target = row[EXPLAIN_TARGET]
    n = row[EXPLAIN_UNITS]
    coefficients = row[EXPLAIN_COEFFICIENTS]
    explained = 0.0
    for i in range(terms):
        variance = max(term_covariance(store, totals, i + 1, i + 1, n), 0.0)
        store[target + i] = math.sqrt(variance)
        b = store[coefficients + i]
        explained += b * b * variance
        for j in range(i):
            s = term_covariance(store, totals, i + 1, j + 1, n)
            explained += 2.0 * b * store[coefficients + j] * s
    store[target + terms] = explained
    target += terms + 1
    at = row[EXPLAIN_GROUPS]
    groups = plan.index[at]
    at += 1
    for _ in range(groups):
        p = plan.index[at]
        covariance = plan.index[at + 1]
        intercepts = 0.0
        slopes = 0.0
        for a in range(p):
            i = plan.index[at + 2 + a] + 1
            for b_ in range(p):
                j = plan.index[at + 2 + b_] + 1
                t = store[covariance + a * p + b_]
                mean_i = store[totals + packed(i, 0)] / n
                intercepts += t * mean_i * store[totals + packed(j, 0)] / n
                slopes += t * term_covariance(store, totals, i, j, n)
        store[target] = intercepts
        store[target + 1] = slopes
        target += 2
        at += 2 + p


@kernel
def moments(store: NDArray, target: int, vector: int, n: int) -> None:
    """Mean and standard deviation (divisor n - 1) of a vector, written to store[target:target + 2]."""
    mean = total(store, vector, vector + n) / n
    s = 0.0
    for i in range(vector, vector + n):
        s += (store[i] - mean) * (store[i] - mean)
    store[target] = mean
    store[target + 1] = math.sqrt(s / (n - 1))


@kernel
def quantiles(store: NDArray, target: int, vector: int, n: int, shares: int) -> None:
    """Quantiles of a vector of n numbers after Hazen: the i-th smallest is the quantile of (i - 1/2) / n.

    The shares stand in store[shares:shares + QUANTILE_SHARES], the quantiles are written to store[target:].
    """
    ordered = np.sort(store[vector : vector + n])
    for k in range(QUANTILE_SHARES):
        place = min(max(store[shares + k] * n - 0.5, 0.0), n - 1.0)
        low = int(place)
        high = min(low + 1, n - 1)
        store[target + k] = ordered[low] + (place - low) * (ordered[high] - ordered[low])

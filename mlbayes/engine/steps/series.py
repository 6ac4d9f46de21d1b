"""Missing values of a series of occasions, together with the values before its start.

A value is in its own equation and in those of the next occasions as their lag.  Residuals are affine in the values, so
each cluster's unknown values are Gaussian with a banded precision matrix, drawn by its Cholesky factor: this is what
forward filtering and backward sampling do (Rue & Held 2005, Gaussian Markov random fields, section 2.4).
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.plan.plan import (
    SERIES_CELL_STARTS,
    SERIES_CELLS,
    SERIES_CLUSTERS,
    SERIES_EQUATION_FACTORS,
    SERIES_EQUATION_OTHER,
    SERIES_EQUATION_OTHER_FACTORS,
    SERIES_EQUATION_PRECISION,
    SERIES_EQUATION_RESIDUAL,
    SERIES_EQUATION_SAME,
    SERIES_FIRST,
    SERIES_LAST,
    SERIES_ORDER,
    SERIES_PLACES,
    SERIES_PRIOR,
    SERIES_STARTS,
    SERIES_VALUES,
    Plan,
    Work,
)


@kernel
def add_pair(
    plan: Plan,
    store: NDArray,
    row: NDArray,
    j: int,
    precision: float,
    factors: int,
    others: int,
    residual: int,
    slots: NDArray,
    band: NDArray,
    linear: NDArray,
) -> None:
    """Add precision * c d' and -precision * c r of cluster j's rows, c the factors of one residual, d, r of another.

    `slots`: for each place of the cluster the number of its unknown value, -1 if known.  `band[a, k]`: element
    (a, a - k) of the lower triangle.
    """
    order = row[SERIES_ORDER]
    start = plan.index[row[SERIES_STARTS] + j]
    end = plan.index[row[SERIES_STARTS] + j + 1]
    for place in range(order, end - start):
        i = start + place - order * (j + 1)  # the row
        for k in range(order + 1):
            a = slots[place - k]
            if a < 0:
                continue
            c = precision * store[plan.index[factors + k] + i]
            if c == 0.0:
                continue
            linear[a] -= c * store[residual + i]
            for m in range(order + 1):
                b = slots[place - m]
                if 0 <= b <= a:
                    band[a, a - b] += c * store[plan.index[others + m] + i]


@kernel
def draw_series(plan: Plan, store: NDArray, s: int, rng: Generator, work: Work) -> bool:
    """Draw the unknown values of every cluster; False when a precision matrix is not positive definite."""
    row = plan.series[s]
    order = row[SERIES_ORDER]
    values = row[SERIES_VALUES]
    prior = row[SERIES_PRIOR]
    slots = work.slots
    band = work.band
    linear = work.series[0]
    for j in range(row[SERIES_CLUSTERS]):
        start = plan.index[row[SERIES_STARTS] + j]
        end = plan.index[row[SERIES_STARTS] + j + 1]
        first = plan.index[row[SERIES_CELL_STARTS] + j]
        m = plan.index[row[SERIES_CELL_STARTS] + j + 1] - first
        for place in range(end - start):
            slots[place] = -1
        for a in range(m):
            place = plan.index[row[SERIES_CELLS] + first + a]
            slots[place - start] = a
            precision = store[prior + place]
            band[a, 0] = precision
            for k in range(1, order + 1):
                band[a, k] = 0.0
            linear[a] = precision * (store[prior + row[SERIES_PLACES] + place] - store[values + place])
        for e in range(row[SERIES_FIRST], row[SERIES_LAST]):
            equation = plan.series_equations[e]
            precision = store[equation[SERIES_EQUATION_PRECISION]]
            c = equation[SERIES_EQUATION_FACTORS]
            d = equation[SERIES_EQUATION_OTHER_FACTORS]
            other = equation[SERIES_EQUATION_OTHER]
            add_pair(plan, store, row, j, precision, c, d, other, slots, band, linear)
            if equation[SERIES_EQUATION_SAME] == 0:
                own = equation[SERIES_EQUATION_RESIDUAL]
                add_pair(plan, store, row, j, precision, d, c, own, slots, band, linear)
        if not draw_banded(band, linear, m, order, rng):
            return False
        for a in range(m):
            store[values + plan.index[row[SERIES_CELLS] + first + a]] += linear[a]
    return True


@kernel
def draw_banded(band: NDArray, linear: NDArray, m: int, order: int, rng: Generator) -> bool:
    """Replace `linear` by a draw from N(Q^-1 linear, Q^-1), Q banded; overwrites the band with its Cholesky factor."""
    for a in range(m):
        for k in range(min(order, a), -1, -1):
            b = a - k
            total = band[a, k]
            for c in range(max(0, a - order), b):
                total -= band[a, a - c] * band[b, b - c]
            if k > 0:
                band[a, k] = total / band[b, 0]
            elif total > 0.0:
                band[a, 0] = math.sqrt(total)
            else:
                return False
    for a in range(m):
        total = linear[a]
        for k in range(1, min(order, a) + 1):
            total -= band[a, k] * linear[a - k]
        linear[a] = total / band[a, 0]
    for a in range(m):
        linear[a] += rng.standard_normal()
    for a in range(m - 1, -1, -1):
        total = linear[a]
        for k in range(1, min(order, m - 1 - a) + 1):
            total -= band[a + k, k] * linear[a + k]
        linear[a] = total / band[a, 0]
    return True

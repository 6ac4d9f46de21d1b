"""The scale of a latent variable, moved together with everything that makes up for it.

The variable, its standard deviation and the coefficients of its own equation are multiplied by c, its free loadings
divided by c: only equations with a fixed loading change, and of these categorical ones count with their responses
integrated out.  c = exp(u) is drawn by slice sampling from the density along this group of transformations with
respect to the Haar measure du, Jacobian included, which leaves the posterior alone (Liu & Sabatti 2000, Biometrika
87, 353-369, theorem 1).
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import packed
from mlbayes.engine.steps.newton_units import log_unit
from mlbayes.plan.plan import (
    ITEM_CATEGORIES,
    ITEM_CODE,
    ITEM_CUTS,
    ITEM_FAMILY,
    ITEM_NORMAL,
    ITEM_PART,
    ITEM_REST,
    ITEM_UNITS,
    NEWTON_COUNT,
    SCALE_DOWN,
    SCALE_FACTOR,
    SCALE_FIRST,
    SCALE_LAST,
    SCALE_PARTS,
    SCALE_PRECISION,
    SCALE_PRIOR,
    SCALE_ROW,
    SCALE_SIZE,
    SCALE_UNITS,
    SCALE_UP,
    SCALE_VALUES,
    SCALE_WIDTH,
    Plan,
    Work,
)

EXPANSIONS = 20  # intervals that a slice may extend over
SHRINKAGES = 100
MOVES = 2.5  # width of the first interval in mean moves
MEMORY = 100  # sweeps that the width is an average over


@kernel
def log_coefficients(plan: Plan, store: NDArray, list_: int, c: float) -> float:
    """Log prior density of coefficients multiplied by c, minus infinity outside their bounds."""
    value = 0.0
    for k in range(plan.index[list_]):
        x = c * store[plan.index[list_ + 1 + 2 * k]]
        prior = plan.index[list_ + 2 + 2 * k]
        if not store[prior + 2] <= x <= store[prior + 3]:
            return -math.inf
        distance = x - store[prior + 1]
        value -= 0.5 * store[prior] * distance * distance
    return value


@kernel
def log_item(plan: Plan, store: NDArray, item: NDArray, c: float, work: Work) -> float:
    """Log likelihood of an equation at scale c."""
    value = 0.0
    n = item[ITEM_UNITS]
    if item[ITEM_FAMILY] == ITEM_NORMAL:
        for i in range(n):
            residual = store[item[ITEM_REST] + i] - c * store[item[ITEM_PART] + i]
            value += residual * residual
        return -0.5 * store[item[ITEM_CODE]] * value
    tau = work.vectors[0]
    last = item[ITEM_CATEGORIES] - 1
    log_dispersion = 0.0
    if item[ITEM_FAMILY] == NEWTON_COUNT:
        log_dispersion = math.log(store[item[ITEM_CUTS]])
    else:
        for k in range(last):
            tau[k] = store[item[ITEM_CUTS] + k]
    for i in range(n):
        code = store[item[ITEM_CODE] + i]
        if code >= 0.0:
            eta = store[item[ITEM_REST] + i] + c * store[item[ITEM_PART] + i]
            value += log_unit(item[ITEM_FAMILY], code, eta, 1.0, tau, last, log_dispersion)
    return value


@kernel
def log_scale(plan: Plan, store: NDArray, row: NDArray, u: float, work: Work) -> float:
    """Log density of the log scale u, up to a constant.

    The values' Jacobian and the normalisation of their density cancel; what stays is that of coefficients and of
    the (co)variances, whose elements in the row of a p x p matrix give p + 1 powers of c.
    """
    c = math.exp(u)
    value = log_coefficients(plan, store, row[SCALE_DOWN], 1.0 / c)
    value += log_coefficients(plan, store, row[SCALE_UP], c)
    if value == -math.inf:
        return value
    value += (plan.index[row[SCALE_UP]] - plan.index[row[SCALE_DOWN]]) * u
    a = store[row[SCALE_PRIOR]]
    b = store[row[SCALE_PRIOR] + 1]
    place = row[SCALE_ROW]
    if row[SCALE_FACTOR] < 0:
        value += 2.0 * u - 2.0 * (a + 1.0) * u - b * store[row[SCALE_PRECISION]] / (c * c)
    elif row[SCALE_PARTS] >= 0:
        sd = store[row[SCALE_PARTS] + place] * c
        value += 2.0 * u - 2.0 * (a + 1.0) * u - b / (sd * sd)
    else:
        p = row[SCALE_SIZE]
        diagonal = store[row[SCALE_PRECISION] + packed(place, place)]
        value += (p + 1.0) * u - (a + p + 1.0) * u - 0.5 * b * diagonal / (c * c)
    for k in range(row[SCALE_FIRST], row[SCALE_LAST]):
        value += log_item(plan, store, plan.scale_items[k], c, work)
    return value if value > -math.inf else -math.inf


@kernel
def rescale(plan: Plan, store: NDArray, row: NDArray, c: float) -> None:
    """Multiply or divide everything by c."""
    for i in range(row[SCALE_UNITS]):
        store[row[SCALE_VALUES] + i] *= c
    for k in range(plan.index[row[SCALE_DOWN]]):
        store[plan.index[row[SCALE_DOWN] + 1 + 2 * k]] /= c
    for k in range(plan.index[row[SCALE_UP]]):
        store[plan.index[row[SCALE_UP] + 1 + 2 * k]] *= c
    place = row[SCALE_ROW]
    if row[SCALE_FACTOR] < 0:
        store[row[SCALE_PRECISION]] /= c * c
        return
    for j in range(row[SCALE_SIZE]):
        store[row[SCALE_PRECISION] + packed(place, j)] /= c
        if j <= place:
            store[row[SCALE_FACTOR] + packed(place, j)] *= c
    store[row[SCALE_PRECISION] + packed(place, place)] /= c
    if row[SCALE_PARTS] >= 0:
        store[row[SCALE_PARTS] + place] *= c


@kernel
def draw_scale(
    plan: Plan, store: NDArray, r: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """Slice sampling of the log scale from 0 (Neal 2003); the width follows the moves in burn-in, then is fixed."""
    row = plan.scales[r]
    width = store[row[SCALE_WIDTH]]
    floor = log_scale(plan, store, row, 0.0, work) - rng.standard_exponential()
    low = -width * rng.random()
    high = low + width
    below = int(EXPANSIONS * rng.random())
    for _ in range(below):
        if not log_scale(plan, store, row, low, work) > floor:
            break
        low -= width
    for _ in range(EXPANSIONS - 1 - below):
        if not log_scale(plan, store, row, high, work) > floor:
            break
        high += width
    u = 0.0
    for _ in range(SHRINKAGES):
        trial = low + (high - low) * rng.random()
        if log_scale(plan, store, row, trial, work) > floor:
            u = trial
            break
        if trial < 0.0:
            low = trial
        else:
            high = trial
    rescale(plan, store, row, math.exp(u))
    if iteration < burn:
        share = 1.0 / min(iteration + 1.0, MEMORY)
        store[row[SCALE_WIDTH] + 1] += share * (abs(u) - store[row[SCALE_WIDTH] + 1])
        store[row[SCALE_WIDTH]] = max(MOVES * store[row[SCALE_WIDTH] + 1], 1e-4)

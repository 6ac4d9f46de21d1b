"""Slice sampling of a parameter that enters its equations other than linearly.

The target is the parameter's prior times either the normal densities of the residuals that depend on it, or the
marginal density of a block that holds all of them, with everything in that block integrated out.  Stepping out and
shrinkage: Neal 2003, Annals of Statistics 31, 705-767, figures 3 and 5.

The power of a transformed outcome brings in the transformation's Jacobian, whose logarithm is linear in it (`tilt`).
It also changes the scale of the residuals, so the step runs along a curve: standard deviations of residuals and
random effects change by exp(rate * move).  That is slice sampling of the power given standard deviations divided
by exp(rate * power), so the target has the densities of the logarithms of scales.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.elimination import eliminate, top_quadratic
from mlbayes.engine.jit import kernel
from mlbayes.engine.program import log_quadratics, run_fills, run_products, run_program
from mlbayes.plan.plan import (
    COMPANION_KIND,
    COMPANION_PRECISION,
    COMPANION_PRIOR,
    COMPANION_SIZE,
    COMPANION_TARGET,
    PARAMETER_BLOCK,
    PARAMETER_COMPANIONS,
    PARAMETER_COMPANIONS_END,
    PARAMETER_FIRST,
    PARAMETER_LAST,
    PARAMETER_PRIOR,
    PARAMETER_PROGRAM,
    PARAMETER_PROGRAM_END,
    PARAMETER_RATE,
    PARAMETER_STEPS,
    PARAMETER_STEPS_END,
    PARAMETER_TARGET,
    PARAMETER_TILT,
    PARAMETER_WIDTH,
    STEP_FILLS,
    STEP_PRODUCTS,
    STEP_PROGRAM,
    Plan,
    Work,
)

EXPANSIONS = 30  # intervals that a slice may extend over
SHRINKAGES = 200  # halvings on average: the current value is reached long before
MOVES = (
    2.5  # width of the first interval in moves; moves are about 1.1 standard deviations of a normal target
)
MEMORY = 100  # sweeps that the width is an average over


@kernel
def log_block(plan: Plan, store: NDArray, row: NDArray, work: Work) -> float:
    """Log marginal density of the block, brought up to date first."""
    for s in range(row[PARAMETER_STEPS], row[PARAMETER_STEPS_END]):
        code = plan.steps[s, 0]
        first = plan.steps[s, 1]
        last = plan.steps[s, 2]
        if code == STEP_PROGRAM:
            run_program(plan, store, first, last)
        elif code == STEP_PRODUCTS:
            run_products(plan, store, first, last)
        elif code == STEP_FILLS:
            run_fills(plan, store, first, last)
    log_determinant = eliminate(plan, store, row[PARAMETER_BLOCK], False, work)
    return -0.5 * (log_determinant + top_quadratic(plan, store, row[PARAMETER_BLOCK], work))


@kernel
def move_companions(plan: Plan, store: NDArray, row: NDArray, move: float) -> None:
    """Change the scales that go along with the parameter."""
    growth = math.exp(store[row[PARAMETER_RATE]] * move)
    for k in range(row[PARAMETER_COMPANIONS], row[PARAMETER_COMPANIONS_END]):
        companion = plan.companions[k]
        target = companion[COMPANION_TARGET]
        if companion[COMPANION_KIND] == COMPANION_PRECISION:
            store[target] /= growth * growth
            continue
        size = companion[COMPANION_SIZE]
        for i in range(size * (size + 1) // 2):
            store[target + i] *= growth


@kernel
def log_companions(plan: Plan, store: NDArray, row: NDArray, work: Work) -> float:
    """Log density of the logarithms of the scales, with the power of the precision in the residuals' densities."""
    s = 0.0
    for k in range(row[PARAMETER_COMPANIONS], row[PARAMETER_COMPANIONS_END]):
        companion = plan.companions[k]
        target = companion[COMPANION_TARGET]
        prior = companion[COMPANION_PRIOR]
        size = companion[COMPANION_SIZE]
        if companion[COMPANION_KIND] == COMPANION_PRECISION:
            precision = store[target]
            s += (store[prior] + 0.5 * size) * math.log(precision) - store[prior + 1] * precision
            continue
        inverse = work.small[0]
        for i in range(size):
            d = target + i * (i + 3) // 2
            s -= store[prior] * math.log(abs(store[d]))
            for j in range(i + 1):  # row i of the inverse of the factor
                e = 1.0 if i == j else 0.0
                for m in range(j, i):
                    e -= store[d - i + m] * inverse[m, j]
                inverse[i, j] = e / store[d]
                s -= 0.5 * store[prior + 1] * inverse[i, j] * inverse[i, j]
    return s


@kernel
def log_density(plan: Plan, store: NDArray, row: NDArray, value: float, work: Work) -> float:
    """Log density of a value up to a constant, -inf where it is not a number.

    The value stays in the store with everything that depends on it.
    """
    prior = row[PARAMETER_PRIOR]
    if not store[prior + 2] <= value <= store[prior + 3]:
        return -math.inf
    move_companions(plan, store, row, value - store[row[PARAMETER_TARGET]])
    store[row[PARAMETER_TARGET]] = value
    run_program(plan, store, row[PARAMETER_PROGRAM], row[PARAMETER_PROGRAM_END])
    s = -0.5 * store[prior] * (value - store[prior + 1]) ** 2 + store[row[PARAMETER_TILT]] * value
    s += log_companions(plan, store, row, work)
    if row[PARAMETER_BLOCK] >= 0:
        s += log_block(plan, store, row, work)
    else:
        s += log_quadratics(plan, store, row[PARAMETER_FIRST], row[PARAMETER_LAST])
    return s if s > -math.inf else -math.inf


@kernel
def draw_parameter(
    plan: Plan, store: NDArray, k: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """Move a parameter; the width of the first interval follows the moves in burn-in and is then fixed."""
    row = plan.parameters[k]
    current = store[row[PARAMETER_TARGET]]
    width = store[row[PARAMETER_WIDTH]]
    floor = log_density(plan, store, row, current, work) - rng.standard_exponential()
    low = current - width * rng.random()
    high = low + width
    below = int(EXPANSIONS * rng.random())  # how the expansions are dealt out must not depend on the density
    for _ in range(below):
        if not log_density(plan, store, row, low, work) > floor:
            break
        low -= width
    for _ in range(EXPANSIONS - 1 - below):
        if not log_density(plan, store, row, high, work) > floor:
            break
        high += width
    low = max(low, store[row[PARAMETER_PRIOR] + 2])
    high = min(high, store[row[PARAMETER_PRIOR] + 3])
    value = current
    found = False
    for _ in range(SHRINKAGES):
        value = low + (high - low) * rng.random()
        if log_density(plan, store, row, value, work) > floor:
            found = True
            break
        if value < current:
            low = value
        else:
            high = value
    if not found:
        value = current
        log_density(plan, store, row, value, work)
    if iteration < burn:
        gain = 1.0 / (5.0 + min(iteration, MEMORY))
        store[row[PARAMETER_WIDTH]] += gain * (MOVES * abs(value - current) - width)

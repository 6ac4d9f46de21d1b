"""One sweep after the other: the step table is interpreted inside compiled code.

There are two interpreters, since a first run waits until one is compiled: that of the steps of linear models
takes half of the time that all steps take.  Their loops are written twice: a kernel that gets the step function as
an argument, or closes over it, is not found in numba's cache by the next run.
"""

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.elimination import eliminate
from mlbayes.engine.jit import dispatch, kernel
from mlbayes.engine.program import run_fills, run_products, run_program
from mlbayes.engine.steps.cells import draw_cells
from mlbayes.engine.steps.cluster_variances import draw_cluster_variances
from mlbayes.engine.steps.collapsed import draw_collapsed
from mlbayes.engine.steps.covariances import draw_conjugate, draw_interweaving, report_covariance
from mlbayes.engine.steps.explain import explain, moments, quantiles
from mlbayes.engine.steps.modulators import draw_modulators
from mlbayes.engine.steps.newton import draw_newton
from mlbayes.engine.steps.nominal import draw_nominal
from mlbayes.engine.steps.parameters import draw_parameter
from mlbayes.engine.steps.residual_covariances import draw_wishart
from mlbayes.engine.steps.responses import draw_responses
from mlbayes.engine.steps.scale import draw_scale
from mlbayes.engine.steps.selection import draw_selection
from mlbayes.engine.steps.separate import draw_separate
from mlbayes.engine.steps.series import draw_series
from mlbayes.engine.steps.variances import draw_variance
from mlbayes.engine.substitution import draw_down, draw_top
from mlbayes.plan.plan import (
    STEP_CELLS,
    STEP_CLUSTER_VARIANCES,
    STEP_COLLAPSED,
    STEP_CONJUGATE,
    STEP_COVARIANCE,
    STEP_DRAW,
    STEP_EXPLAIN,
    STEP_FILLS,
    STEP_INTERWEAVE,
    STEP_MODULATOR,
    STEP_MOMENTS,
    STEP_NEWTON,
    STEP_NOMINAL,
    STEP_PARAMETER,
    STEP_PRODUCTS,
    STEP_PROGRAM,
    STEP_QUANTILES,
    STEP_RESPONSES,
    STEP_SCALE,
    STEP_SELECTION,
    STEP_SEPARATE,
    STEP_SERIES,
    STEP_VARIANCE,
    STEP_WISHART,
    Plan,
    Work,
)

LINEAR_STEPS = (
    STEP_PROGRAM,
    STEP_PRODUCTS,
    STEP_FILLS,
    STEP_DRAW,
    STEP_COLLAPSED,
    STEP_CONJUGATE,
    STEP_INTERWEAVE,
    STEP_VARIANCE,
    STEP_COVARIANCE,
    STEP_EXPLAIN,
    STEP_MOMENTS,
    STEP_QUANTILES,
)


@dispatch
def run_linear_step(
    plan: Plan, store: NDArray, step: NDArray, iteration: int, burn: int, rng: Generator, work: Work
) -> bool:
    """Run a step of a linear model; False when a matrix was not positive definite."""
    code = step[0]
    a = step[1]
    b = step[2]
    if code == STEP_PROGRAM:
        run_program(plan, store, a, b)
    elif code == STEP_PRODUCTS:
        run_products(plan, store, a, b)
    elif code == STEP_FILLS:
        run_fills(plan, store, a, b)
    elif code == STEP_DRAW:
        if math.isnan(eliminate(plan, store, a, True, work)):
            return False
        if not draw_top(plan, store, a, rng, work):
            return False
        draw_down(plan, store, a, rng, work)
    elif code == STEP_COLLAPSED:
        draw_collapsed(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_CONJUGATE:
        return draw_conjugate(plan, store, a, rng, work)
    elif code == STEP_INTERWEAVE:
        accepted = draw_interweaving(plan, store, a, rng, work)
        if accepted < 0:
            return False
        store[b] += accepted
        store[b + 1] += 1.0
    elif code == STEP_VARIANCE:
        draw_variance(plan, store, a, b, rng)
    elif code == STEP_COVARIANCE:
        report_covariance(store, a, b, step[3], step[4], work)
    elif code == STEP_EXPLAIN:
        explain(plan, store, a)
    elif code == STEP_MOMENTS:
        moments(store, a, b, step[3])
    elif code == STEP_QUANTILES:
        quantiles(store, a, b, step[3], step[4])
    return True


@dispatch
def run_step(
    plan: Plan, store: NDArray, step: NDArray, iteration: int, burn: int, rng: Generator, work: Work
) -> bool:
    """Run any step of a sweep; False when a matrix was not positive definite."""
    code = step[0]
    a = step[1]
    b = step[2]
    if code == STEP_RESPONSES:
        draw_responses(plan, store, a, rng)
    elif code == STEP_CELLS:
        draw_cells(plan, store, a, iteration, burn, rng)
    elif code == STEP_WISHART:
        return draw_wishart(plan, store, a, b, rng, work)
    elif code == STEP_SEPARATE:
        draw_separate(plan, store, a, b, rng, work)
    elif code == STEP_PARAMETER:
        draw_parameter(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_NEWTON:
        draw_newton(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_SELECTION:
        draw_selection(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_SCALE:
        draw_scale(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_SERIES:
        return draw_series(plan, store, a, rng, work)
    elif code == STEP_NOMINAL:
        draw_nominal(plan, store, a, iteration, burn, rng)
    elif code == STEP_MODULATOR:
        draw_modulators(plan, store, a, iteration, burn, rng, work)
    elif code == STEP_CLUSTER_VARIANCES:
        draw_cluster_variances(plan, store, a, rng)
    else:
        return run_linear_step(plan, store, step, iteration, burn, rng, work)
    return True


@kernel
def keep_record(plan: Plan, store: NDArray, out: NDArray) -> bool:
    """Copy the recorded part of the store; False when a number is not finite."""
    first = plan.record[0, 0]
    sound = 0.0
    for k in range(first, plan.record[0, 1]):
        out[k - first] = store[k]
        sound += store[k] * 0.0
    return sound == 0.0


@kernel
def run_linear_sweeps(
    plan: Plan,
    store: NDArray,
    start: int,
    count: int,
    burn: int,
    out: NDArray,
    stop: NDArray,
    rng: Generator,
    work: Work,
) -> tuple[int, int]:
    """The same as `run_sweeps` for plans with the steps of linear models alone."""
    for i in range(count):
        if stop[0] != 0:
            return i, -1
        for s in range(plan.steps.shape[0]):
            if not run_linear_step(plan, store, plan.steps[s], start + i, burn, rng, work):
                return i, s
        if not keep_record(plan, store, out[i]):
            return i, plan.steps.shape[0]
    return count, -1


@kernel
def run_sweeps(
    plan: Plan,
    store: NDArray,
    start: int,
    count: int,
    burn: int,
    out: NDArray,
    stop: NDArray,
    rng: Generator,
    work: Work,
) -> tuple[int, int]:
    """Run sweeps start..start+count-1 and keep the recorded part of the store in the rows of `out`.

    Returns (sweeps done, -1); or (sweeps done, step) when a step failed or a recorded number is not finite
    (step = number of steps then).  Stops early when stop[0] is set.
    """
    for i in range(count):
        if stop[0] != 0:
            return i, -1
        for s in range(plan.steps.shape[0]):
            if not run_step(plan, store, plan.steps[s], start + i, burn, rng, work):
                return i, s
        if not keep_record(plan, store, out[i]):
            return i, plan.steps.shape[0]
    return count, -1


def interpreter(plan: Plan) -> Any:
    """The function that runs sweeps of a plan: the smaller one if it has every step."""
    linear = bool(np.isin(plan.steps[:, 0], LINEAR_STEPS).all())
    return run_linear_sweeps if linear else run_sweeps

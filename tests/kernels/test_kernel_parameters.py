"""The slice step leaves its target alone: after one step from an exact draw the law is the same."""

from __future__ import annotations

import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from toys import generator

from mlbayes.engine.steps.parameters import draw_parameter
from mlbayes.engine.work import make_work
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder

DRAWS = 20_000
GRID = np.linspace(-4.0, 4.0, 40_001)
MIXED = (0.5, 0.3, -np.inf, np.inf)  # precision, mean and bounds of a prior
BOUNDED = (0.0, 0.0, -0.4, 1.3)


def made(prior, width):
    """A parameter t with residuals t^2 - 1 and t - 0.5 of precisions 3 and 2, covarying with precision 2."""
    builder = PlanBuilder()
    t, square, line = builder.zeros(1), builder.zeros(1), builder.zeros(1)
    builder.instruct(p.OP_MULTIPLY, square, 1, t, t)
    builder.instruct(p.OP_ADD_SCALAR, square, 1, builder.scalar(-1.0))
    builder.instruct(p.OP_COPY, line, 1, t)
    builder.instruct(p.OP_ADD_SCALAR, line, 1, builder.scalar(-0.5))
    for a, b, precision in ((square, square, 3.0), (line, line, 2.0), (square, line, 2.0)):
        builder.add("quadratics", [a, b, 1, builder.vector([precision])])
    row = [t, builder.vector(prior), 0, 4, 0, 3, -1, 0, 0, builder.vector([width])]
    builder.add("parameters", row)
    plan, store = builder.finish()
    return plan, store, t, row[p.PARAMETER_WIDTH]


def distribution(prior, covariance=2.0):
    """Density on the grid, as cumulative sums; the product of the residuals counts twice."""
    precision, mean, low, high = prior
    square, line = GRID**2 - 1.0, GRID - 0.5
    log_density = -0.5 * (3.0 * square**2 + 2.0 * line**2 + covariance * 2.0 * square * line)
    log_density = log_density - 0.5 * precision * (GRID - mean) ** 2
    density = np.exp(log_density - log_density.max()) * ((low <= GRID) & (high >= GRID))
    return np.cumsum(density) / density.sum()


def after_a_step(prior, width, start):
    """One step from each starting value."""
    plan, store, t, _ = made(prior, width)
    work, rng = make_work(plan), generator(4)
    drawn = np.empty(start.size)
    for i, value in enumerate(start):
        store[t] = value
        draw_parameter(plan, store, 0, 10, 0, rng, work)
        drawn[i] = store[t]
    return drawn


def p_value(drawn, cumulative):
    return stats.kstest(np.interp(drawn, GRID, cumulative), "uniform").pvalue


@pytest.mark.parametrize("width", [0.02, 0.5, 6.0])
@pytest.mark.parametrize("prior", [MIXED, BOUNDED])
def test_a_step_leaves_its_target_alone(prior, width):
    cumulative = distribution(prior)
    start = np.interp(generator(3).random(DRAWS), cumulative, GRID)
    drawn = after_a_step(prior, width, start)
    assert p_value(drawn, cumulative) > ALPHA
    assert (drawn != start).all()
    assert drawn.min() >= prior[2]
    assert drawn.max() <= prior[3]


def test_a_wrong_density_is_found_out():
    """The same test fails if the product of two residuals were to count once instead of twice."""
    cumulative = distribution(MIXED, covariance=1.0)
    start = np.interp(generator(3).random(DRAWS), cumulative, GRID)
    assert p_value(after_a_step(MIXED, 0.5, start), cumulative) < ALPHA


def test_what_depends_on_the_parameter_is_left_up_to_date():
    plan, store, t, _ = made(MIXED, 0.5)
    store[t] = 0.7
    draw_parameter(plan, store, 0, 10, 0, generator(1), make_work(plan))
    assert store[t] != 0.7
    np.testing.assert_allclose([store[t + 1], store[t + 2]], [store[t] ** 2 - 1.0, store[t] - 0.5])


def test_the_width_is_tuned_in_burn_in_only():
    plan, store, t, width = made(BOUNDED, 40.0)
    store[t] = 0.7
    work, rng = make_work(plan), generator(1)
    for iteration in range(300):
        draw_parameter(plan, store, 0, iteration, 200, rng, work)
        if iteration == 199:
            tuned = store[width]
    assert 0.3 < tuned < 4.0
    assert store[width] == tuned

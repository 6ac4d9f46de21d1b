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
    none = [builder.zero, builder.zero, 0, 0]
    row = [t, builder.vector(prior), 0, 4, 0, 3, -1, 0, 0, builder.vector([width]), *none]
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


# ------------------------------------------------------------------ what moves along
TILT, RATE = 1.4, -0.8
LOW, HIGH = -1.0, 1.5
VARIANCE = (3.0, 1.5)  # IG(a, b)
MATRIX = (5.0, 2.0)  # IW(df, scale I) of a 2 x 2 matrix


def exact_with_scales(seed):
    """Draws of t with density exp(TILT t) N(t; 0.5, v) within bounds, v ~ IG and a factor L with LL' ~ IW."""
    rng = generator(seed)
    v = VARIANCE[1] / rng.standard_gamma(VARIANCE[0], 12 * DRAWS)
    t = 0.5 + np.sqrt(v) * rng.standard_normal(v.size)
    kept = (t > LOW) & (t < HIGH) & (rng.random(v.size) < np.exp(TILT * (t - HIGH)))
    t, v = t[kept][:DRAWS], v[kept][:DRAWS]
    assert t.size == DRAWS
    matrices = stats.invwishart.rvs(MATRIX[0], MATRIX[1] * np.eye(2), size=DRAWS, random_state=rng)
    factors = np.linalg.cholesky(matrices)[:, [0, 1, 1], [0, 0, 1]]
    return np.column_stack([t, v, factors])


def step_with_scales(start, residuals):
    """One step from each row of starting values; `residuals`: how many the step thinks there are."""
    builder = PlanBuilder()
    t, line, precision, factor = builder.zeros(1), builder.zeros(1), builder.zeros(1), builder.zeros(3)
    builder.instruct(p.OP_COPY, line, 1, t)
    builder.instruct(p.OP_ADD_SCALAR, line, 1, builder.scalar(-0.5))
    builder.add("quadratics", [line, line, 1, precision])
    builder.add("companions", [p.COMPANION_PRECISION, precision, residuals, builder.vector(VARIANCE)])
    builder.add("companions", [p.COMPANION_FACTOR, factor, 2, builder.vector(MATRIX)])
    prior, along = builder.vector((0.0, 0.0, LOW, HIGH)), [builder.scalar(TILT), builder.scalar(RATE), 0, 2]
    builder.add("parameters", [t, prior, 0, 2, 0, 1, -1, 0, 0, builder.vector([0.7]), *along])
    plan, store = builder.finish()
    work, rng = make_work(plan), generator(5)
    moved = np.empty_like(start)
    for i, (value, variance, *elements) in enumerate(start):
        store[t], store[precision], store[factor : factor + 3] = value, 1.0 / variance, elements
        draw_parameter(plan, store, 0, 10, 0, rng, work)
        moved[i] = [store[t], 1.0 / store[precision], *store[factor : factor + 3]]
    return moved


def p_values(moved, other):
    return [stats.ks_2samp(a, b).pvalue for a, b in zip(moved.T, other.T, strict=True)]


def test_a_step_along_a_curve_leaves_its_target_alone():
    """The parameter takes the standard deviation and the factor of a covariance matrix with it."""
    start, other = exact_with_scales(6), exact_with_scales(7)
    moved = step_with_scales(start, 1)
    assert min(p_values(moved, other)) > ALPHA / 5
    growth = np.exp(RATE * (moved[:, 0] - start[:, 0]))
    np.testing.assert_allclose(moved[:, 1] / start[:, 1], growth**2, rtol=1e-9)
    np.testing.assert_allclose(moved[:, 2:] / start[:, 2:], np.tile(growth, (3, 1)).T, rtol=1e-9)


def test_a_wrong_count_of_residuals_along_the_curve_is_found_out():
    moved = step_with_scales(exact_with_scales(6), 2)
    assert min(p_values(moved, exact_with_scales(7))) < ALPHA / 5

"""Steps of residual covariance matrices and loadings: their densities and laws, with mistakes that must be seen."""

from __future__ import annotations

from collections.abc import Callable

import naive
import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from test_covariance_steps import group_of, prior_of
from toy_models import COVARIANCE_MODELS, made
from toys import at_step, before_block, steps_of
from verifier import Dense, engine_vector

from mlbayes.engine.steps.collapsed import log_marginal, read_parameters
from mlbayes.engine.steps.residual_covariances import draw_wishart
from mlbayes.model.model import Family
from mlbayes.plan import plan as p

PLANS = {name: made(name) for name in COVARIANCE_MODELS}


def matrix_of(planned, store: np.ndarray, number: int) -> np.ndarray:
    """A residual covariance matrix from its factor."""
    row = planned.plan.covariances[number]
    size = row[p.COVARIANCE_SIZE]
    lower = np.zeros((size, size))
    lower[np.tril_indices(size)] = store[row[p.COVARIANCE_FACTOR] :][: size * (size + 1) // 2]
    return lower @ lower.T


def test_every_kind_is_here():
    kinds = {int(row[p.THETA_KIND]) for planned in PLANS.values() for row in planned.plan.thetas}
    assert kinds >= {p.THETA_COVARIANCE, p.THETA_REVERSED, p.THETA_COEFFICIENT, p.THETA_PARTS}


# ------------------------------------------------------------------ collapsed
def expected_density(planned, store: np.ndarray, block, step) -> float:
    """Log density of a collapsed step from the model graph and the dense integral over the block's unknowns."""
    model = planned.model
    dense = Dense(planned, store.copy(), block)
    value = -0.5 * dense.collapsed()
    for kind, row, *_ in planned.plan.thetas[step[p.COLLAPSED_FIRST] : step[p.COLLAPSED_LAST]]:
        if kind in (p.THETA_COVARIANCE, p.THETA_REVERSED, p.THETA_PARTS):
            matrix = matrix_of(planned, store, row)
            c = planned.regressions.covariances[row]
            members = [planned.regressions.outcomes[k] for k in c.members]
            units = int(np.logical_or.reduce([r.active for r in members]).sum())
            value -= 0.5 * units * np.linalg.slogdet(matrix)[1]
            (graph,) = (g for g in model.covariances if len(g.members) == len(c.members))
            if kind != p.THETA_PARTS:
                df, scale = graph.prior.arguments
                matrix = matrix[::-1, ::-1] if kind == p.THETA_REVERSED else matrix
                value += naive.log_prior_of_factor(np.linalg.cholesky(matrix), df, scale)
                continue
            for k, r in enumerate(members):
                residual = model.parameters[r.equation.residual]
                if residual.fixed is None:
                    a, b = residual.prior.arguments
                    value += naive.log_inverse_gamma(matrix[k, k], a, b) + 0.5 * np.log(matrix[k, k])
        elif kind == p.THETA_GROUP:
            _, group = group_of(planned, int(row))
            value += naive.log_prior_of_factor(dense.factor(group), group.df, group.scale)
        elif kind == p.THETA_COEFFICIENT:
            value += coefficient_prior(planned, store, int(row))
        else:
            precision = planned.plan.variances[row, p.VARIANCE_PRECISION]
            variance = 1.0 / store[precision]
            n = sum(int(r.active.sum()) for r in block.residuals if r.precision == precision)
            value += naive.log_inverse_gamma(variance, *prior_of(planned, precision)) - 0.5 * n * np.log(
                variance
            )
            value += np.log(variance) * (1.0 if kind == p.THETA_VARIANCE else 0.5)
    return value


def coefficient_prior(planned, store: np.ndarray, offset: int) -> float:
    """Log prior of the coefficient that stands at a place of the store."""
    (name,) = (a.name for a, at in planned.symbols.place.items() if a.kind == "parameter" and at == offset)
    prior = planned.model.parameters[name].prior
    if prior.family is Family.NORMAL:
        mean, variance = prior.arguments
        return -0.5 * (store[offset] - mean) ** 2 / variance
    return 0.0


def differences(planned, changed: Callable | None = None) -> list[np.ndarray]:
    """Changes of the step's log density less those expected, for each collapsed step; `changed` plants a mistake."""
    found = []
    for row in planned.plan.collapsed:
        block = next(b for b in planned.blocks if b.number == row[p.COLLAPSED_BLOCK])
        running = before_block(planned, block.number)
        plan = changed(planned.plan, running.store) if changed else planned.plan
        theta = np.zeros(row[p.COLLAPSED_SIZE] + 1)
        read_parameters(plan, running.store, row, theta, running.work)
        rng = np.random.default_rng(3)
        step, dense = [], []
        for _ in range(4):
            other = theta[:-1] * np.exp(0.1 * rng.normal(size=theta.size - 1))
            step.append(log_marginal(plan, running.store, row, other, running.work))
            dense.append(expected_density(planned, running.store, block, row))
        found.append(np.diff(step) - np.diff(dense))
    return found


@pytest.mark.parametrize("name", PLANS)
def test_collapsed_density_is_the_dense_one(name):
    for difference in differences(PLANS[name]):
        np.testing.assert_allclose(difference, 0.0, atol=1e-7)


def one_unit_too_many(plan, store):
    covariances = plan.covariances.copy()
    covariances[:, p.COVARIANCE_COUNT] += 1
    return plan._replace(covariances=covariances)


def wrong_degrees_of_freedom(plan, store):
    store[plan.covariances[0, p.COVARIANCE_DF]] += 1.0
    return plan


def wrong_shape_of_a_variance(plan, store):
    row = plan.covariances[0]
    size = row[p.COVARIANCE_SIZE]
    store[row[p.COVARIANCE_PARTS] + size + size * (size + 1) // 2 :][: 2 * size : 2] += 0.5
    return plan


def wrong_prior_of_a_loading(plan, store):
    for kind, _, _, prior in plan.thetas:
        if kind == p.THETA_COEFFICIENT:
            store[prior] += 1.0
    return plan


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("factors", one_unit_too_many),
        ("three outcomes", one_unit_too_many),
        ("factors, separate priors", one_unit_too_many),
        ("latent coefficients, fixed elements", one_unit_too_many),
        ("factors", wrong_degrees_of_freedom),
        ("latent coefficients", wrong_degrees_of_freedom),
        ("factors, separate priors", wrong_shape_of_a_variance),
        ("latent coefficients, separate priors", wrong_shape_of_a_variance),
        ("factors, priors", wrong_prior_of_a_loading),
    ],
)
def test_a_mistake_in_a_collapsed_density_is_seen(name, mistake):
    assert max(np.abs(difference).max() for difference in differences(PLANS[name], mistake)) > 1e-3


@pytest.mark.parametrize("name", PLANS)
def test_the_store_holds_the_inverse_of_the_matrix(name):
    planned = PLANS[name]
    running = before_block(planned, planned.blocks[0].number)
    for number, row in enumerate(planned.plan.covariances):
        matrix = matrix_of(planned, running.store, number)
        inverse = running.store[row[p.COVARIANCE_PRECISION] :][: len(matrix) * (len(matrix) + 1) // 2]
        np.testing.assert_allclose(inverse, np.linalg.inv(matrix)[np.tril_indices(len(matrix))], rtol=1e-9)


# ------------------------------------------------------------------ the inverse Wishart draw
def wishart_p_values(planned, number: int, excess: float = 0.0) -> list[float]:
    """KS tests of draws of a residual covariance matrix; `excess`: degrees of freedom too many in the draw."""
    running = at_step(planned, number)
    _, b, c = planned.plan.steps[number, :3]
    block = next(x for x in planned.blocks if x.number == b)
    covariance = planned.regressions.covariances[c]
    dense = Dense(planned, running.store.copy(), block)
    t = engine_vector(running.store, dense)
    residuals = []
    for k in covariance.members:
        precision = planned.regressions.outcomes[k].precision
        (e,) = (i for i, r in enumerate(block.residuals) if r.precision == precision)
        a, r0 = dense.designs[e]
        residuals.append(r0 + a @ t)
    (graph,) = (g for g in planned.model.covariances if len(g.members) == len(covariance.members))
    df, scale = graph.prior.arguments
    size, units = len(residuals), residuals[0].size
    products = np.array(residuals) @ np.array(residuals).T + scale * np.eye(size)
    running.store[planned.plan.covariances[c, p.COVARIANCE_DF]] += excess
    first, inverse = [], []
    for _ in range(4000):
        assert draw_wishart(planned.plan, running.store, b, c, running.rng, running.work)
        matrix = matrix_of(planned, running.store, c)
        first.append(matrix[0, 0])
        inverse.append(1.0 / np.linalg.inv(matrix)[-1, -1])
    # IW(df, scale): S_11 ~ IG((df - p + 1) / 2, scale_11 / 2); 1 / (S^-1)_pp ~ IG(df / 2, 1 / (2 (scale^-1)_pp))
    df += units
    laws = [
        (first, stats.invgamma(0.5 * (df - size + 1), scale=0.5 * products[0, 0])),
        (inverse, stats.invgamma(0.5 * df, scale=0.5 / np.linalg.inv(products)[-1, -1])),
    ]
    return [stats.kstest(draws, law.cdf).pvalue for draws, law in laws]


WISHART = [name for name, planned in PLANS.items() if steps_of(planned, p.STEP_WISHART)]


@pytest.mark.parametrize("name", WISHART)
def test_wishart_draw_has_the_inverse_wishart_law(name):
    assert min(wishart_p_values(PLANS[name], steps_of(PLANS[name], p.STEP_WISHART)[0])) > ALPHA


@pytest.mark.parametrize("name", ["latent coefficients", "two outcomes, clusters"])
def test_wrong_degrees_of_freedom_of_a_draw_are_seen(name):
    assert min(wishart_p_values(PLANS[name], steps_of(PLANS[name], p.STEP_WISHART)[0], excess=3.0)) < ALPHA

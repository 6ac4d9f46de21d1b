"""Interweaving, conjugate and collapsed steps of every plan against dense algebra."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from toy_models import MODELS, made
from toys import at_step, before_block, draw_step, steps_of
from verifier import Dense, engine_vector

from mlbayes.engine.steps.collapsed import log_marginal, read_parameters
from mlbayes.engine.steps.covariances import draw_conjugate, gather_entries, interweaving_system
from mlbayes.engine.steps.variances import draw_variance
from mlbayes.engine.substitution import rebuild_columns
from mlbayes.plan import plan as p

PLANS = {name: made(name) for name in MODELS}


def having(code: int) -> list[str]:
    """Names of the models whose plan has a step of a kind."""
    return [name for name, planned in PLANS.items() if steps_of(planned, code)]


# ------------------------------------------------------------------ interweaving
def dense_interweaving(dense: Dense, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and linear part of (coefficients, factors) given standardised effects and all else that was drawn."""
    block = dense.block
    places = {part.atom: part.places for part in dense.parts}
    tops = [places[top.atom].start for top in block.tops]
    scale = dense.whitening()
    others = np.ones(dense.size, dtype=bool)
    others[tops] = False
    for group in block.groups:
        for atom in group.atoms:
            others[places[atom]] = False
    n = len(tops) + sum(len(g.atoms) * (len(g.atoms) + 1) // 2 for g in block.groups)
    precision, linear = np.zeros((n, n)), np.zeros(n)
    for k, top in enumerate(block.tops):
        precision[k, k], linear[k] = top.precision, top.precision * top.mean
    for e, residual in enumerate(block.residuals):
        a, r0 = dense.design(e)
        rest = r0 + a[:, others] @ (scale @ t)[others]
        columns = [a[:, k] for k in tops]
        for group in block.groups:
            for i, atom in enumerate(group.atoms):
                columns += [a[:, places[atom]] @ t[places[other]] for other in group.atoms[: i + 1]]
        x = np.stack(columns, axis=1)
        omega = dense.store[residual.precision]
        precision += omega * x.T @ x
        linear -= omega * x.T @ rest
    return precision, linear


@pytest.mark.parametrize("name", having(p.STEP_INTERWEAVE))
def test_interweaving_regression_is_the_dense_one(name):
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_INTERWEAVE):
        running = at_step(planned, number)
        plan, store, work = planned.plan, running.store, running.work
        block = next(b for b in planned.blocks if b.number == plan.steps[number, 1])
        dense = Dense(planned, store.copy(), block)
        precision, linear = dense_interweaving(dense, engine_vector(store, dense))
        row = plan.blocks[block.number]
        count = gather_entries(plan, store, row, work)
        interweaving_system(plan, store, row, count, work)
        n = linear.size
        assert work.entries[count - 1, 0] + 1 == n
        np.testing.assert_allclose(work.vectors[0][:n], linear, rtol=1e-8, atol=1e-8)
        lower = np.tril_indices(n)
        np.testing.assert_allclose(work.dense[0][:n, :n][lower], precision[lower], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", having(p.STEP_INTERWEAVE))
def test_columns_are_right_after_interweaving(name):
    """The residual variance is drawn from the columns that the step leaves behind."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_INTERWEAVE):
        running = at_step(planned, number)
        running.step(number)
        check_squares(planned, running, int(planned.plan.steps[number, 1]))


def check_squares(planned, running, number: int) -> None:
    from mlbayes.engine.substitution import sum_of_squares

    block = next(b for b in planned.blocks if b.number == number)
    dense = Dense(planned, running.store.copy(), block)
    t = engine_vector(running.store, dense)
    for precision in {r.precision for r in block.residuals if r.squares}:
        found = sum_of_squares(planned.plan, running.store, number, precision)
        np.testing.assert_allclose(found, dense.squares(precision, t), rtol=1e-8)


# ------------------------------------------------------------------ conjugate
def unwhitened(dense: Dense, t: np.ndarray, group) -> np.ndarray:
    """Effects L u, shape (effects, units)."""
    places = {part.atom: part.places for part in dense.parts}
    return dense.factor(group) @ np.stack([t[places[atom]] for atom in group.atoms])


def group_of(planned, row: int):
    """The block and group of a row of the table of groups."""
    for block in planned.blocks:
        if row in block.group_rows:
            return block, block.groups[block.group_rows.index(row)]
    raise KeyError(row)


@pytest.mark.parametrize("name", having(p.STEP_CONJUGATE))
def test_conjugate_draw_keeps_the_effects_themselves(name):
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_CONJUGATE):
        running = at_step(planned, number)
        block, group = group_of(planned, int(planned.plan.steps[number, 1]))
        dense = Dense(planned, running.store.copy(), block)
        before = unwhitened(dense, engine_vector(running.store, dense), group)
        old = dense.factor(group)
        running.step(number)
        dense.store = running.store
        after = unwhitened(dense, engine_vector(running.store, dense), group)
        assert not np.allclose(old, dense.factor(group))
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-10)
        check_squares(planned, running, block.number)


@pytest.mark.parametrize("name", ["random slope", "three levels, missing", "priors of matrices"])
def test_conjugate_draw_has_the_inverse_wishart_law(name):
    """|e e' + scale| ^ ... : every diagonal element of S is inverse gamma, and so is 1 / (S^-1)_11."""
    planned = PLANS[name]
    number = steps_of(planned, p.STEP_CONJUGATE)[0]
    running = at_step(planned, number)
    row = int(planned.plan.steps[number, 1])
    block, group = group_of(planned, row)
    dense = Dense(planned, running.store.copy(), block)
    e = unwhitened(dense, engine_vector(running.store, dense), group)
    size, units = e.shape
    df = group.df + units
    scale = e @ e.T + group.scale * np.eye(size)
    first, inverse = [], []
    for _ in range(4000):
        assert draw_conjugate(planned.plan, running.store, row, running.rng, running.work)
        dense.store = running.store
        s = dense.factor(group) @ dense.factor(group).T
        first.append(s[0, 0])
        inverse.append(1.0 / np.linalg.inv(s)[-1, -1])
    # IW(df, scale): S_11 ~ IG((df - p + 1) / 2, scale_11 / 2); 1 / (S^-1)_pp ~ IG(df / 2, 1 / (2 (scale^-1)_pp))
    law = stats.invgamma(0.5 * (df - size + 1), scale=0.5 * scale[0, 0])
    assert stats.kstest(first, law.cdf).pvalue > ALPHA
    law = stats.invgamma(0.5 * df, scale=0.5 / np.linalg.inv(scale)[-1, -1])
    assert stats.kstest(inverse, law.cdf).pvalue > ALPHA


# ------------------------------------------------------------------ residual variances
@pytest.mark.parametrize(
    "name", ["random slope", "shared label, level-2 mediator", "single level, mediation"]
)
def test_variance_draw_has_the_inverse_gamma_law(name):
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_VARIANCE):
        running = at_step(planned, number)
        _, b, v = planned.plan.steps[number, :3]
        block = next(x for x in planned.blocks if x.number == b)
        dense = Dense(planned, running.store.copy(), block)
        t = engine_vector(running.store, dense)
        precision = planned.plan.variances[v, p.VARIANCE_PRECISION]
        n = sum(int(r.active.sum()) for r in block.residuals if r.precision == precision and r.squares)
        shape, scale = prior_of(planned, precision)
        draws = np.empty(2000)
        for i in range(draws.size):
            draw_variance(planned.plan, running.store, b, v, running.rng)
            draws[i] = 1.0 / running.store[precision]
        law = stats.invgamma(shape + 0.5 * n, scale=scale + 0.5 * dense.squares(precision, t))
        assert stats.kstest(draws, law.cdf).pvalue > ALPHA


def prior_of(planned, precision: int) -> tuple[float, float]:
    """(a, b) of the variance's prior by the model graph."""
    for r in planned.regressions.outcomes:
        if r.precision == precision:
            prior = planned.model.parameters[r.equation.residual].prior
            return prior.arguments if prior.arguments else (-1.0, 0.0)
    part = next(part for part in planned.regressions.predictors if part.precision == precision)
    return 1.0 + 0.5 * len(part.shrunk), 0.5  # the joint normal model shrinks slopes


# ------------------------------------------------------------------ collapsed
def log_density_of_parts(planned, store: np.ndarray, number: int) -> float:
    """Priors of free standard deviations in a matrix with parts (correlations: uniform) and the power of |matrix|."""
    factor = planned.plan.covariances[number, p.COVARIANCE_FACTOR]
    c = next(c for c in planned.regressions.covariances if c.factor == factor)
    lower = np.zeros((len(c.members), len(c.members)))
    lower[np.tril_indices(len(c.members))] = store[c.factor :][
        : lower.size - len(lower) * (len(lower) - 1) // 2
    ]
    value = -c.units * np.log(np.diag(lower)).sum()
    for k, member in enumerate(c.members):
        name = planned.regressions.outcomes[member].equation.residual
        if name is not None:
            variance = float(lower[k] @ lower[k])
            value += naive.log_inverse_gamma(
                variance, *(planned.model.parameters[name].prior.arguments or (-1.0, 0.0))
            )
            value += 0.5 * np.log(variance)
    return value


def dense_log_marginal(planned, store: np.ndarray, block, step) -> float:
    """Log density of factors and log variances with the block's unknowns integrated out, up to a constant."""
    dense = Dense(planned, store.copy(), block)
    value = -0.5 * dense.collapsed()
    for kind, row, _, prior in planned.plan.thetas[step[p.COLLAPSED_FIRST] : step[p.COLLAPSED_LAST]]:
        if kind == p.THETA_GROUP:
            _, group = group_of(planned, int(row))
            value += naive.log_prior_of_factor(dense.factor(group), group.df, group.scale)
            continue
        if kind == p.THETA_COEFFICIENT:
            tau, mean, low, high = store[prior : prior + 4]
            value += -0.5 * tau * (store[row] - mean) ** 2 if low <= store[row] <= high else -np.inf
            continue
        if kind == p.THETA_PARTS:
            value += log_density_of_parts(planned, store, int(row))
            continue
        if kind in (p.THETA_COVARIANCE, p.THETA_REVERSED):
            matrix = planned.plan.covariances[row]
            m = matrix[p.COVARIANCE_SIZE]
            lower = np.zeros((m, m))
            offset = matrix[p.COVARIANCE_FACTOR]
            lower[np.tril_indices(m)] = store[offset : offset + m * (m + 1) // 2]
            if kind == p.THETA_REVERSED:
                lower = np.linalg.cholesky((lower @ lower.T)[::-1, ::-1])
            df, scale = store[matrix[p.COVARIANCE_DF] : matrix[p.COVARIANCE_DF] + 2]
            value += naive.log_prior_of_factor(lower, df, scale)
            value -= matrix[p.COVARIANCE_COUNT] * np.log(np.abs(np.diag(lower))).sum()
            continue
        assert kind in (p.THETA_VARIANCE, p.THETA_SD)
        precision = planned.plan.variances[row, p.VARIANCE_PRECISION]
        a, b = prior_of(planned, precision)
        variance = 1.0 / store[precision]
        n = sum(int(r.active.sum()) for r in block.residuals if r.precision == precision)
        on_log_scale = np.log(variance)
        on_sd_scale = 0.5 * np.log(variance)
        value += naive.log_inverse_gamma(variance, a, b)
        value += on_log_scale if kind == p.THETA_VARIANCE else on_sd_scale
        value -= 0.5 * n * np.log(variance)
    return value


@pytest.mark.parametrize("name", having(p.STEP_COLLAPSED))
def test_collapsed_density_is_the_dense_one(name):
    planned = PLANS[name]
    for row in planned.plan.collapsed:
        block = next(b for b in planned.blocks if b.number == row[p.COLLAPSED_BLOCK])
        running = before_block(planned, block.number)
        d = row[p.COLLAPSED_SIZE]
        theta = np.zeros(d + 1)
        read_parameters(planned.plan, running.store, row, theta, running.work)
        theta = theta[:d]
        rng = np.random.default_rng(3)
        found, expected = [], []
        kinds = planned.plan.thetas[row[p.COLLAPSED_FIRST] : row[p.COLLAPSED_LAST], p.THETA_KIND]
        size = 0.03 if (kinds == p.THETA_PARTS).any() else 0.3  # so that the matrix stays positive definite
        for _ in range(4):
            other = theta + size * rng.normal(size=d)
            found.append(log_marginal(planned.plan, running.store, row, other, running.work))
            expected.append(dense_log_marginal(planned, running.store, block, row))
        np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", having(p.STEP_COLLAPSED))
def test_collapsed_step_leaves_the_state_of_its_parameters_behind(name):
    """After the step the store holds the accepted parameters, not the last proposal."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_COLLAPSED):
        running = at_step(planned, number)
        row = planned.plan.collapsed[planned.plan.steps[number, 1]]
        d = row[p.COLLAPSED_SIZE]
        seen = set()
        for k in range(12):
            before = np.zeros(d + 1)
            read_parameters(planned.plan, running.store, row, before, running.work)
            tried = running.store[row[p.COLLAPSED_MEMORY] + 2]
            accepted = running.store[row[p.COLLAPSED_MEMORY] + 1]
            running.step(number, iteration=k + 1, burn=1000)
            after = np.zeros(d + 1)
            read_parameters(planned.plan, running.store, row, after, running.work)
            moved = not np.allclose(before, after, rtol=1e-12)
            assert moved == (running.store[row[p.COLLAPSED_MEMORY] + 1] > accepted)
            assert running.store[row[p.COLLAPSED_MEMORY] + 2] == tried + row[p.COLLAPSED_REPEATS]
            seen.add(moved)
        assert seen == {True, False} or len(seen) == 1


def test_draws_start_from_columns_as_they_are():
    """rebuild_columns gives what the draw itself left behind."""
    planned = PLANS["three levels, missing"]
    block = planned.blocks[-1]
    running = at_step(planned, draw_step(planned, block.number) + 1)
    tiers = planned.plan.tiers[planned.plan.blocks[block.number, p.BLOCK_FIRST] :]
    before = running.store.copy()
    rebuild_columns(planned.plan, running.store, block.number)
    for tier in tiers[: len(block.tiers)]:
        units = planned.plan.sets[tier[p.TIER_SET], p.SET_UNITS]
        places = slice(tier[p.TIER_COLUMNS], tier[p.TIER_COLUMNS] + tier[p.TIER_WIDTH] * units)
        np.testing.assert_allclose(running.store[places], before[places], rtol=1e-10, atol=1e-12)

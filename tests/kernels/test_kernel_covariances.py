"""Priors on Cholesky factors, what is reported of them, and the proposals of the collapsed step."""

import math

import naive
import numpy as np
import pytest
from rates import ALPHA, critical
from scipy import integrate, stats
from toys import generator, holed, plan_of, two_level

from mlbayes.engine.steps import collapsed
from mlbayes.engine.steps.covariances import log_prior_factor, report_covariance
from mlbayes.engine.work import make_work
from mlbayes.plan import plan as p

both = pytest.mark.parametrize("form", ["compiled", "plain"])


def pick(function, form):
    return function if form == "compiled" else function.py_func


def factor_of(n, rng):
    lower = np.tril(rng.normal(size=(n, n)))
    lower[np.diag_indices(n)] = np.abs(lower[np.diag_indices(n)]) + 0.2
    return lower


@both
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize(("df", "scale"), [("flat", 0.0), (0.0, 0.0), (6.0, 1.0), (8.5, 0.3)])
def test_prior_of_a_factor_has_its_jacobian(n, df, scale, form):
    df = -(n + 1.0) if df == "flat" else df
    rng = np.random.default_rng(n)
    found, expected = [], []
    for _ in range(4):
        lower = factor_of(n, rng)
        flipped = lower * rng.choice([-1.0, 1.0], n)  # signs of columns do not matter
        rows = flipped[np.tril_indices(n)]
        found.append(pick(log_prior_factor, form)(df, scale, n, rows, np.zeros(n + 1)))
        expected.append(naive.log_prior_of_factor(lower, df, scale))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9, atol=1e-9)


@both
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("change", [False, True])
def test_reported_covariance(n, change, form):
    rng = np.random.default_rng(n)
    lower, m = factor_of(n, rng), np.eye(n) + np.triu(rng.normal(size=(n, n)), 1)
    packed = lower[np.tril_indices(n)]
    store = np.concatenate([packed, m.ravel(), np.zeros(n * n)])
    target = packed.size + n * n
    planned = plan_of(SLOPES, two_level())
    work = make_work(planned.plan)._replace(small=np.zeros((6, n, n)))
    pick(report_covariance, form)(store, 0, n, packed.size if change else -1, target, work)
    s = lower @ lower.T
    np.testing.assert_allclose(store[target:].reshape(n, n), m @ s @ m.T if change else s, rtol=1e-12)


SLOPES = "DATA: t; CLUSTERID: g; FIXED: x z; MODEL: y ~ x z | x;"


# ------------------------------------------------------------------ proposals of the collapsed step
def proposal(d, mean, factor):
    """Memory of a collapsed step that has learned a proposal, and scratch for it."""
    memory = np.zeros(p.collapsed_memory_size(d))
    memory[collapsed.LEARNED] = 1.0
    memory[collapsed.MEAN : collapsed.MEAN + d] = mean
    memory[collapsed.MEAN + d : collapsed.MEAN + d + d * d] = factor.ravel()
    work = make_work(plan_of(SLOPES, two_level()).plan)._replace(vectors=np.zeros((8, d + 1)))
    return memory, work


MEAN = np.array([0.4, -0.3])
FACTOR = np.array([[0.5, 0.0], [0.2, 0.7]])


def test_marks_say_which_elements_reach_across_zero():
    memory, _ = proposal(2, np.array([4.9, 5.1]), np.eye(2))
    marks = np.array([1.0, 1.0])
    collapsed.fold_marks(memory, 2, marks)
    assert marks.tolist() == [2.0, 1.0]
    marks = np.array([0.0, 0.0])
    collapsed.fold_marks(memory, 2, marks)
    assert marks.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("marks", [[2.0, 0.0], [0.0, 0.0], [2.0, 2.0]])
def test_folded_proposal_density_integrates_to_that_of_the_t(marks):
    """Over the half-lines of folded elements the density sums to the whole t distribution."""
    memory, work = proposal(2, MEAN, FACTOR)
    marks = np.array(marks)
    low = [0.0 if mark == 2.0 else -60.0 for mark in marks]

    def density(b, a):
        return math.exp(collapsed.log_proposal(memory, 2, np.array([a, b]), marks, work))

    with np.errstate(all="ignore"):
        found, _ = integrate.dblquad(density, low[0], 60.0, low[1], 60.0, epsabs=1e-5, epsrel=1e-5)
    freedom = collapsed.FREEDOM
    whole = stats.multivariate_t(MEAN, FACTOR @ FACTOR.T, df=freedom)
    expected = math.exp(collapsed.log_proposal(memory, 2, MEAN, np.zeros(2), work)) / whole.pdf(MEAN)
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("marks", [[2.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
def test_proposals_have_the_density_that_is_computed_for_them(marks):
    memory, work = proposal(2, MEAN, FACTOR)
    marks = np.array(marks)
    rng, new, draws = generator(3), np.zeros(2), []
    for _ in range(20_000):
        if collapsed.propose_independent(memory, 2, new, marks, rng, work):
            draws.append(new.copy())
    first, second = np.array(draws).T
    law = stats.t(collapsed.FREEDOM, loc=MEAN[0], scale=0.5)
    if marks[0] == 0.0:
        assert stats.kstest(first, law.cdf).pvalue > ALPHA
        sd = math.hypot(0.2, 0.7)
        assert stats.kstest(second, stats.t(collapsed.FREEDOM, MEAN[1], sd).cdf).pvalue > ALPHA
    elif marks[0] == 2.0:
        assert stats.kstest(first, lambda x: law.cdf(x) - law.cdf(-x)).pvalue > ALPHA
    else:  # negative ones are refused
        assert (first > 0.0).all()
        below = law.cdf(0.0)
        assert stats.kstest(first, lambda x: (law.cdf(x) - below) / (1.0 - below)).pvalue > ALPHA


def test_running_moments_are_those_of_numpy():
    d = 3
    memory = np.zeros(p.collapsed_memory_size(d))
    draws = np.random.default_rng(1).normal(size=(80, d)) @ np.array(
        [[1, 0, 0], [0.5, 2, 0], [0.1, 0.3, 0.5]]
    )
    for theta in draws:
        collapsed.observe(memory, d, theta)
    work = make_work(plan_of(SLOPES, two_level()).plan)
    collapsed.learn(memory, d, False, work)
    assert memory[collapsed.LEARNED] == 1.0
    found = memory[collapsed.MEAN : collapsed.MEAN + d]
    np.testing.assert_allclose(found, draws.mean(axis=0), rtol=1e-12)
    factor = memory[collapsed.MEAN + d : collapsed.MEAN + d + d * d].reshape(d, d)
    expected = collapsed.WIDEN * np.cov(draws, rowvar=False)
    np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-10)


# ------------------------------------------------------------------ the marginal density
@pytest.mark.parametrize(("df", "scale"), [("flat", 0.0), (5.0, 1.0)])
def test_collapsed_density_is_the_restricted_likelihood(df, scale):
    """Of a mixed model, with the priors of S and of the variance and the Jacobian of (L, log variance)."""
    columns = two_level(4)
    option = "" if df == "flat" else "OPTIONS: prior1; "
    planned = plan_of(f"DATA: t; CLUSTERID: g; FIXED: x z; {option}MODEL: y ~ x z | x;", columns)
    store, work = planned.store.copy(), make_work(planned.plan)
    from toys import Running, steps_of

    running = Running.start(planned)
    for number in range(steps_of(planned, p.STEP_COLLAPSED)[0]):
        running.step(number)
    store = running.store
    row = planned.plan.collapsed[0]
    y, cluster = columns["y"], columns["g"]
    one = np.ones(len(y))
    x, z = np.stack([one, columns["x"], columns["z"]], axis=1), np.stack([columns["x"], one], axis=1)
    rng = np.random.default_rng(1)
    found, expected = [], []
    for _ in range(4):
        lower = factor_of(2, rng)
        log_variance = rng.normal()
        variance = math.exp(log_variance)
        theta = np.array([*lower[np.tril_indices(2)], log_variance])
        found.append(collapsed.log_marginal(planned.plan, store, row, theta, work))
        value = naive.log_restricted(y, x, [(z, cluster, lower @ lower.T)], variance)
        value += naive.log_prior_of_factor(lower, -3.0 if df == "flat" else 3.0, 0.0 if df == "flat" else 1.0)
        a, b = (-1.0, 0.0) if df == "flat" else (1.0, 0.5)
        value += naive.log_inverse_gamma(variance, a, b) + log_variance
        expected.append(value)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8, atol=1e-8)


def test_missing_outcomes_do_not_count():
    """An outcome that nothing needs adds no row to the density."""
    columns = holed(two_level, ("y",))
    planned = plan_of("DATA: t; CLUSTERID: g; FIXED: x z; MISSING: NA; MODEL: y ~ x z | x;", columns)
    assert planned.plan.variances[0, p.VARIANCE_COUNT] == np.isfinite(columns["y"]).sum()


# ------------------------------------------------------------------ the random walk
def hits(memory, work, marks, start, target, radius=0.12, count=150_000):
    """How many walk proposals from one point fall into a box around another."""
    rng, new, found = generator(5), np.zeros(2), 0
    for _ in range(count):
        collapsed.propose_walk(memory, 2, start, new, marks, rng, work)
        found += abs(new[0] - target[0]) < radius and abs(new[1] - target[1]) < radius
    return found


def test_random_walk_proposals_are_symmetric():
    """The acceptance ratio has no proposal density: a move and its reverse must be as likely.

    The first parameter is a diagonal element near zero, which the step keeps positive.
    """
    memory, work = proposal(2, np.zeros(2), np.array([[0.5, 0.0], [0.45, 0.2]]))
    here, there, marks = np.array([0.15, 0.0]), np.array([0.5, 0.6]), np.array([1.0, 0.0])
    forth = hits(memory, work, marks, here, there)
    back = hits(memory, work, marks, there, here)
    assert min(forth, back) > 1000
    assert abs(forth - back) < critical() * math.sqrt(forth + back)

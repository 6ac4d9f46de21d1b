"""Log likelihoods of units against dense multivariate normal densities."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlbayes import pipeline
from mlbayes.data.table import Column, Table
from mlbayes.engine.likelihood import conditional_likelihood, marginal_likelihood
from mlbayes.engine.state import State
from mlbayes.plan.starts import start_state
from mlbayes.source import Source

SCRIPT = """
DATA: built-in;
CLUSTERID: pupil school;
FIXED: x w;
MODEL: y ~ x w | x;
SEED: 1;
"""


@pytest.fixture(scope="module")
def state():
    """Nine schools of four pupils and three rows, shuffled, with parameters far from where they start."""
    rng = np.random.default_rng(5)
    pupil = rng.permutation(np.repeat(np.arange(36.0), 3))
    columns = {
        "pupil": pupil,
        "school": pupil // 4,
        "x": rng.normal(size=108),
        "w": rng.normal(size=9)[(pupil // 4).astype(int)],
    }
    columns["y"] = columns["x"] + rng.normal(size=36)[pupil.astype(int)] + rng.normal(size=108)
    table = Table(
        Path("built-in"),
        {name: Column(name, name, values) for name, values in columns.items()},
        lines=np.arange(1, 109, dtype=np.int64),
    )
    script, _ = pipeline.parse(Source(Path("built-in"), SCRIPT))
    model, _ = pipeline.build(script, table, np.arange(table.rows))
    planned = pipeline.plan(model)
    store = start_state(planned, rng)
    (r,) = planned.regressions.outcomes
    store[r.precision] = 1.0 / 0.7
    for offset in r.factors:
        store[offset : offset + 3] = [0.9, -0.4, 0.3 + offset % 5]
    for term, value in zip(r.coefficients, (2.0, -1.0, 0.5), strict=True):
        (atom,) = term.atoms()
        store[planned.symbols.place[atom]] = value
    return State(planned, store, rng)


def parts(state):
    """Outcome, fixed design times coefficients, random-effects design, and clusters at both levels."""
    (r,) = state.planned.regressions.outcomes
    x, w, y = state.value("x"), state.value("w"), state.value("y")
    design = {0: np.ones_like(x), 1: x}
    hierarchy = state.model.hierarchy
    w = w[hierarchy.ancestors(1, state.model.variables["w"].level)]
    mean = 2.0 - x + 0.5 * w
    return r, y, mean, design, hierarchy.ancestors(1, 2), hierarchy.ancestors(1, 3)


def test_marginal_likelihood_is_that_of_the_dense_covariance_matrix(state):
    r, y, mean, design, pupil, school = parts(state)
    covariance = 0.7 * np.eye(y.size)
    for group, offset in zip(r.equation.random, r.factors, strict=True):
        cluster = pupil if group.level == 2 else school
        z = np.stack([design[t] for t in reversed(group.terms)])  # the order of the factor
        factor = state.factor(offset, 2)
        covariance += (cluster[:, None] == cluster) * (z.T @ factor @ factor.T @ z)
    assert [group.level for group in r.equation.random] in ([2, 3], [3, 2])
    found = marginal_likelihood(state)
    for unit in range(9):
        own = np.flatnonzero(school == unit)
        expected = stats.multivariate_normal.logpdf(y[own], mean[own], covariance[np.ix_(own, own)])
        assert found[unit] == pytest.approx(expected, rel=1e-10)


def test_conditional_likelihood_is_that_of_the_residuals(state):
    _, y, _, _, _, school = parts(state)
    densities = stats.norm.logpdf(y, state.fitted[0], np.sqrt(0.7))
    np.testing.assert_allclose(conditional_likelihood(state), np.bincount(school, densities), rtol=1e-10)

"""Draws of series against the dense precision matrix of the missing values, from the joint density of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_joint_density import values_of
from toys import Columns, Running, Script, at_step, generator, plan_of, steps_of, two_level

from mlbayes.engine.steps.series import draw_banded, draw_series
from mlbayes.plan import plan as p
from mlbayes.plan.polynomial import Atom

Array = np.ndarray
HEAD = "DATA: t; MISSING: NA; CLUSTERID: g; TIMEID: t; "


def occasions() -> Columns:
    """Series of y and m with values missing at the start, at the end, next to each other, and a whole cluster's."""
    columns = two_level(9, clusters=7)
    g = columns["g"].astype(int)
    starts = np.searchsorted(g, np.arange(8))
    columns["t"] = (np.arange(g.size) - starts[g]).astype(float)
    y, m = columns["y"], columns["m"]
    y[[starts[0], starts[1] + 1, starts[1] + 2, starts[3] - 1]] = np.nan
    y[starts[4] : starts[5]] = np.nan
    m[[starts[0], starts[0] + 1, starts[2] - 1]] = np.nan
    return columns


MODELS = {
    "lag 1": "FIXED: x; MODEL: y ~ y.lag x;",
    "lag 2": "FIXED: x; MODEL: y ~ y.lag y.lag2 x;",
    "lag 2 alone": "MODEL: y ~ y.lag2;",
    "lag of an outcome elsewhere": "FIXED: x; MODEL: y ~ y.lag; m ~ y.lag y x;",
    "random slope": "FIXED: x; MODEL: y ~ y.lag x | y.lag;",
    "cross-lagged": "MODEL: y ~ y.lag m.lag; m ~ m.lag y.lag;",
    "cross-lagged, residual covariance": "MODEL: y ~ y.lag m.lag; m ~ m.lag y.lag; y ~~ m;",
    "residual covariance, lag 2": "MODEL: y ~ y.lag2 m.lag; m ~ y; y ~~ m;",
}
PLANS = {name: plan_of(HEAD + text, occasions()) for name, text in MODELS.items()}
CASES = [(name, number) for name, planned in PLANS.items() for number in steps_of(planned, p.STEP_SERIES)]


class Dense:
    """The missing values of a series and those before its start: precision matrix and linear part, by differencing.

    The log density is a quadratic function of the values, so that its differences are exact.
    """

    def __init__(self, running: Running, number: int) -> None:
        self.planned, self.running = running.planned, running
        row = self.planned.plan.series[self.planned.plan.steps[number, 1]]
        self.name = next(
            name for name in ("y", "m") if self.planned.symbols.series_values(name) == row[p.SERIES_VALUES]
        )
        self.series = self.planned.symbols.series(self.name)
        self.values = slice(row[p.SERIES_VALUES], row[p.SERIES_VALUES] + self.series.places)
        self.cells = np.flatnonzero(~self.series.known)
        self.start = running.store[self.values].copy()

    def log_density(self, shift: Array) -> float:
        """Joint log density with the unknown values moved."""
        store = self.running.store.copy()
        moved = self.start.copy()
        moved[self.cells] += shift
        symbols, series = self.planned.symbols, self.series
        value = Atom("value", self.name, 1)
        if value in symbols.place:
            store[symbols.place[value] :][: series.rows.size] = moved[series.rows]
        for k in range(1, series.order + 1):
            store[symbols.place[symbols.lag(self.name, k)] :][: series.rows.size] = moved[series.rows - k]
        before = moved[series.before] - series.mean
        return self.log_outcomes(store) - 0.5 * float(np.sum(series.precision * before**2))

    def log_outcomes(self, store: Array) -> float:
        """Outcomes given their linear predictors, with residual covariances."""
        values = values_of(self.planned, store)
        matrices = self.planned.regressions.covariances
        if not matrices:
            return values.log_outcomes()
        (c,) = matrices
        members = [self.planned.regressions.outcomes[k] for k in c.members]
        residuals = np.stack(
            [values.data[r.equation.outcome] - values.fitted(r.planned.source) for r in members]
        )
        lower = np.zeros((2, 2))
        lower[np.tril_indices(2)] = store[c.factor : c.factor + 3]
        return -0.5 * float(np.sum(residuals * np.linalg.solve(lower @ lower.T, residuals)))

    def moments(self) -> tuple[Array, Array]:
        """Mean of the shift of the unknown values, and its precision matrix."""
        n = self.cells.size
        eye = np.eye(n)
        base = self.log_density(np.zeros(n))
        up = np.array([self.log_density(e) for e in eye])
        down = np.array([self.log_density(-e) for e in eye])
        precision = np.diag(2.0 * base - up - down)
        for i in range(n):
            for j in range(i):
                both = self.log_density(eye[i] + eye[j])
                precision[i, j] = precision[j, i] = up[i] + up[j] - both - base
        return np.linalg.solve(precision, 0.5 * (up - down)), precision


def shifts(running: Running, number: int, dense: Dense, normals: Array) -> Array:
    """What the step in plain Python moves the unknown values by, given its standard normal numbers."""
    running = running.copy()
    step = int(running.planned.plan.steps[number, 1])
    script = Script(normals)
    assert draw_series.py_func(running.planned.plan, running.store, step, script, running.work)
    assert script.used == dense.cells.size
    return (running.store[dense.values] - dense.start)[dense.cells]


def compared(name: str, number: int, mistake=None) -> tuple[Array, Array, Array, Array]:
    """Mean and covariance matrix of the draw, and those of the joint density."""
    running = at_step(PLANS[name], number)
    dense = Dense(running, number)
    mean, precision = dense.moments()
    if mistake is not None:
        mistake(running, number)
    n = dense.cells.size
    centre = shifts(running, number, dense, np.zeros(n))
    root = np.stack([shifts(running, number, dense, e) - centre for e in np.eye(n)], axis=1)
    return centre, root @ root.T, mean, np.linalg.inv(precision)


@pytest.fixture
def plain(monkeypatch):
    """Normal numbers of the draw can be chosen."""
    from mlbayes.engine.steps import series

    monkeypatch.setattr(series, "draw_banded", draw_banded.py_func)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("name", "number"), CASES)
def test_series_have_the_moments_of_the_joint_density(name, number):
    """A draw is its mean plus a linear map of standard normal numbers; both are found exactly."""
    centre, covariance, mean, expected = compared(name, number)
    np.testing.assert_allclose(centre, mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(covariance, expected, rtol=1e-6, atol=1e-8)


def without_the_last_pair(running: Running, number: int) -> None:
    """The cross term of two residuals."""
    series = running.planned.plan.series.copy()
    series[running.planned.plan.steps[number, 1], p.SERIES_LAST] -= 1
    running.planned = replace(running.planned, plan=running.planned.plan._replace(series=series))


def wrong_prior(running: Running, number: int) -> None:
    row = running.planned.plan.series[running.planned.plan.steps[number, 1]]
    running.store[row[p.SERIES_PRIOR] :][: row[p.SERIES_PLACES]] *= 1.05


def wrong_factor_of_a_lag(running: Running, number: int) -> None:
    row = running.planned.plan.series[running.planned.plan.steps[number, 1]]
    equation = running.planned.plan.series_equations[row[p.SERIES_FIRST]]
    factors = running.planned.plan.index[equation[p.SERIES_EQUATION_FACTORS] :][: row[p.SERIES_ORDER] + 1]
    running.store[factors[-1] : factors[-1] + 10] += 0.05


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("cross-lagged, residual covariance", without_the_last_pair),
        ("lag 1", wrong_prior),
        ("lag 2", wrong_factor_of_a_lag),
    ],
)
def test_a_mistake_in_a_series_is_seen(name, mistake):
    centre, covariance, mean, expected = compared(name, steps_of(PLANS[name], p.STEP_SERIES)[0], mistake)
    assert max(np.abs(centre - mean).max(), np.abs(covariance - expected).max()) > 1e-3


@pytest.mark.parametrize(("m", "order"), [(1, 1), (2, 1), (9, 1), (9, 2), (6, 3), (2, 4), (12, 4)])
def test_banded_draws_are_dense_ones(m, order):
    """Against numpy's Cholesky factor C of the precision matrix Q: Q^-1 h + C'^-1 z."""
    rng = generator(41)
    lower = np.tril(rng.normal(size=(m, m))) * (np.subtract.outer(np.arange(m), np.arange(m)) <= order)
    q = lower @ lower.T + np.eye(m)
    linear, normals = rng.normal(size=m), rng.normal(size=m)
    band = np.zeros((m + 2, order + 1))
    for k in range(min(order, m - 1) + 1):
        band[k:m, k] = np.diag(q, -k)
    factor = np.linalg.cholesky(q)
    expected = np.linalg.solve(q, linear) + np.linalg.solve(factor.T, normals)
    found = linear.copy()
    assert draw_banded.py_func(band.copy(), found, m, order, Script(normals))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    compiled = linear.copy()
    assert draw_banded(band.copy(), compiled, m, order, generator(42))
    plain = linear.copy()
    assert draw_banded.py_func(band.copy(), plain, m, order, generator(42))
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)


def test_no_draw_from_a_matrix_that_is_not_positive_definite():
    band = np.array([[1.0, 0.0], [1.0, 2.0]])
    assert not draw_banded(band, np.zeros(2), 2, 1, generator(43))

"""Labels that enter other than linearly: draws against the exact posterior on a grid."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from rates import ALPHA, critical
from scipy import stats
from toys import Running, generator, plan_of

from mlbayes.plan import plan as p
from mlbayes.plan.polynomial import TOP, Atom

CHAINS, BURN, KEPT = 4, 500, 4000


def draws(planned, name: str) -> np.ndarray:
    """Draws of a parameter after burn-in, shape (chains, draws)."""
    place = planned.symbols.offset(Atom("parameter", name, TOP))
    found = np.empty((CHAINS, KEPT))
    for chain in range(CHAINS):
        running = Running.start(planned, seed=50 + chain, sweeps=BURN, burn=BURN)
        for i in range(KEPT):
            running.sweeps(1, BURN, BURN + i)
            found[chain, i] = running.store[place]
    return found


def agree(drawn: np.ndarray, grid: np.ndarray, log_density: np.ndarray) -> None:
    """Mean and mean square of the draws against those on a grid."""
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    assert max(weight[0], weight[-1]) < 1e-9  # the grid is wide enough
    centre = float(weight @ grid)
    for values, exact in (
        (drawn, centre),
        ((drawn - centre) ** 2, float(weight @ (grid - centre) ** 2)),
    ):
        assert abs(values.mean() - exact) / naive.batch_error(values) < critical(39)


def log_marginal(y: np.ndarray, known: np.ndarray, x: np.ndarray) -> float:
    """Log density of y ~ N(known + X beta, v) with beta and v integrated out, both flat."""
    rest = y - known
    if not x.shape[1]:
        return -(0.5 * y.size - 1.0) * np.log(rest @ rest)
    beta = np.linalg.lstsq(x, rest, rcond=None)[0]
    squares = float(((rest - x @ beta) ** 2).sum())
    half = 0.5 * (y.size - x.shape[1]) - 1.0
    return -half * np.log(squares) - 0.5 * np.linalg.slogdet(x.T @ x)[1]


def test_constraint_by_an_exponential():
    """y ~ l1 + exp(l1) x with l1 ~ N(0, 1/4): the posterior of l1 is known up to one integral."""
    rng = generator(21)
    x = rng.normal(size=40)
    y = 0.4 + np.exp(0.4) * x + rng.normal(size=40)
    script = "DATA: a.dat; FIXED: x; MODEL: y ~ 1@l1 x@l2; PARAMETERS: l2 = exp(l1); l1 ~ normal(0, 0.25);"
    planned = plan_of(script, {"x": x, "y": y})
    grid = np.linspace(-0.6, 1.6, 4001)
    nothing = np.empty((40, 0))
    exact = np.array([log_marginal(y, t + np.exp(t) * x, nothing) - 2.0 * t * t for t in grid])
    agree(draws(planned, "l1"), grid, exact)


@pytest.mark.parametrize("bounds", ["", "low ~ truncate(-50, 50);"])
def test_rate_of_decay(bounds):
    """Asymptote, fall and rate: the rate's exact posterior, drawn with the others integrated out or given them."""
    rng = generator(22)
    t = rng.uniform(0.0, 5.0, 80)
    y = 2.0 + 4.0 * np.exp(-0.8 * t) + 0.25 * rng.normal(size=80)
    script = (
        "DATA: a.dat; FIXED: t; MODEL: y ~ 1@low (exp(-rate*t))@fall;"
        f"PARAMETERS: rate ~ truncate(0.3, 2.5); {bounds}"
    )
    planned = plan_of(script, {"t": t, "y": y})
    assert (planned.plan.parameters[:, p.PARAMETER_BLOCK] < 0).all() == bool(bounds)
    grid = np.linspace(0.3, 2.5, 4001)
    columns = [np.column_stack([np.ones(80), np.exp(-rate * t)]) for rate in grid]
    exact = np.array([log_marginal(y, np.zeros(80), x) for x in columns])
    agree(draws(planned, "rate"), grid, exact)


def test_an_equation_without_free_coefficients():
    """Its residual variance has the posterior IG(n/2 - 1, SSE/2), and is drawn."""
    rng = generator(23)
    x = rng.normal(size=50)
    y = 1.0 + 2.0 * x + rng.normal(size=50)
    planned = plan_of("DATA: a.dat; FIXED: x; MODEL: y ~ 1@1 x@2;", {"x": x, "y": y})
    kept = Running.start(planned, seed=60).sweeps(KEPT)
    variances = kept[:, planned.layout.equations[0].variance]
    squares = float(((y - 1.0 - 2.0 * x) ** 2).sum())
    assert stats.kstest(variances, stats.invgamma(24.0, scale=0.5 * squares).cdf).pvalue > ALPHA

"""Simulation-based calibration (Talts et al. 2018): the rank of the truth among posterior draws is uniform.

Each simulation draws the parameters from their priors and data from the model, fits the model, and notes where each
parameter and the log likelihood lie among thinned draws.  All this is done with numpy alone, apart from the fit.
Ranks are held against the uniform law by a Kolmogorov-Smirnov test (exact, ties broken at random) and, against an
excess in the middle or at both ends, by a chi-square test of |rank - middle| in five classes; false-alarm rate
RATE for each quantity and test.  Thinned draws are still slightly dependent, which matters far less than this rate.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from toys import Columns, generator, model_of

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.results.draws import Draws

RATE = ALPHA  # 58 quantities, two tests each: within the budget of tests/rates.py
SIMULATIONS = 100
CHAINS = 2
Values = dict[str, np.ndarray]  # quantities, each of shape (draws,)


@dataclass(frozen=True)
class Family:
    """A model: script; parameters from the priors with data; parameters of draws; log likelihood of one point."""

    script: str
    simulate: Callable[[np.random.Generator], tuple[Values, Columns]]
    read: Callable[[Draws], Values]
    log_likelihood: Callable[[Values, Columns], float]
    burn: int
    thin: int
    kept: int  # thinned draws of each chain


def log_normals(rows: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Log density of rows from one normal law."""
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (rows - mean).T)
    size = rows.size
    return float(
        -0.5 * (z * z).sum() - len(rows) * np.log(np.diag(root)).sum() - 0.5 * size * np.log(2 * np.pi)
    )


# ------------------------------------------------------------------ two levels, random slope
CLUSTERS, SIZE = 30, 6
X = generator(51).normal(size=(CLUSTERS, SIZE))
W = generator(52).normal(size=CLUSTERS)

MIXED = """DATA: t; CLUSTERID: g; FIXED: x w; OPTIONS: prior1;
MODEL: y ~ 1@c x@a w@b x*w@d | x; y@v;
PARAMETERS: c ~ normal(1, 1); a ~ normal(0, 1); b ~ normal(-.5, .5); d ~ normal(0, .25);"""
MIXED_PRIORS = {"c": (1.0, 1.0), "a": (0.0, 1.0), "b": (-0.5, 0.5), "d": (0.0, 0.25)}


def simulate_mixed(rng: np.random.Generator) -> tuple[Values, Columns]:
    true = {name: rng.normal(m, np.sqrt(v)) for name, (m, v) in MIXED_PRIORS.items()}
    true["v"] = 0.5 / rng.gamma(1.0)  # prior1: IG(1, .5) and IW(3, I)
    s = stats.invwishart.rvs(3, np.eye(2), random_state=rng)
    true |= {"S11": s[0, 0], "S1x": s[0, 1], "Sxx": s[1, 1]}
    u = np.linalg.cholesky(s) @ rng.normal(size=(2, CLUSTERS))
    level = true["c"] + true["b"] * W + u[0]
    slope = true["a"] + true["d"] * W + u[1]
    y = level[:, None] + slope[:, None] * X + np.sqrt(true["v"]) * rng.normal(size=X.shape)
    g = np.repeat(np.arange(CLUSTERS), SIZE).astype(float)
    return true, {"g": g, "x": X.ravel(), "w": np.repeat(W, SIZE), "y": y.ravel()}


def read_mixed(draws: Draws) -> Values:
    found = {name: draws.parameters[name] for name in (*MIXED_PRIORS, "v")}
    s = draws.equations[0].random[0].covariance
    return found | {"S11": s[:, :, 0, 0], "S1x": s[:, :, 0, 1], "Sxx": s[:, :, 1, 1]}


def log_likelihood_mixed(values: Values, columns: Columns) -> float:
    s = np.array([[values["S11"], values["S1x"]], [values["S1x"], values["Sxx"]]])
    z = np.stack([np.ones_like(X), X], axis=2)
    covariance = z @ s @ z.transpose(0, 2, 1) + values["v"] * np.eye(SIZE)
    level, slope = values["c"] + values["b"] * W, values["a"] + values["d"] * W
    rest = columns["y"].reshape(CLUSTERS, SIZE) - level[:, None] - slope[:, None] * X
    solved = np.linalg.solve(covariance, rest[:, :, None])[:, :, 0]
    total = (rest * solved).sum() + np.linalg.slogdet(covariance)[1].sum()
    return float(-0.5 * (total + rest.size * np.log(2 * np.pi)))


# ------------------------------------------------------------------ factors
PEOPLE = 80
NAMES = ("x1", "x2", "x3", "z1", "z2", "z3")
FACTORS = """DATA: t; MISSING: NA; LATENT: f h;
MODEL: f -> x1@1 x2@l2 x3@l3; h -> z1@1 z2@k2 z3@k3; h ~ f@b; f@s; h@t;
x1 ~ 1@m1; x2 ~ 1@m2; x3 ~ 1@m3; z1 ~ 1@n1; z2 ~ 1@n2; z3 ~ 1@n3;
x1@u1; x2@u2; x3@u3; z1@w1; z2@w2; z3@w3;
PARAMETERS: """
LOADINGS = {"l2": (1.0, 0.1), "l3": (0.7, 0.1), "k2": (1.0, 0.1), "k3": (-0.7, 0.1), "b": (0.5, 0.25)}
LOADINGS |= {name: (0.5, 1.0) for name in ("m1", "m2", "m3", "n1", "n2", "n3")}
VARIANCES = {"s": (4.0, 3.0), "t": (4.0, 3.0)} | {n: (4.0, 2.0) for n in ("u1", "u2", "u3", "w1", "w2", "w3")}
FACTORS += " ".join(f"{name} ~ normal({m}, {v});" for name, (m, v) in LOADINGS.items())
FACTORS += " ".join(f"{name} ~ ig({a}, {b});" for name, (a, b) in VARIANCES.items())


def moments(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance matrix of the six indicators."""
    v = values
    loadings = np.array([[1.0, v["l2"], v["l3"], 0, 0, 0], [0, 0, 0, 1.0, v["k2"], v["k3"]]]).T
    cross = v["b"] * v["s"]
    factors = np.array([[v["s"], cross], [cross, v["b"] * cross + v["t"]]])
    own = np.diag([v[name] for name in ("u1", "u2", "u3", "w1", "w2", "w3")])
    mean = np.array([v[name] for name in ("m1", "m2", "m3", "n1", "n2", "n3")])
    return mean, loadings @ factors @ loadings.T + own


def simulate_factors(rng: np.random.Generator) -> tuple[Values, Columns]:
    true = {name: rng.normal(m, np.sqrt(v)) for name, (m, v) in LOADINGS.items()}
    true |= {name: b / rng.gamma(a) for name, (a, b) in VARIANCES.items()}
    mean, covariance = moments(true)
    table = mean + rng.normal(size=(PEOPLE, 6)) @ np.linalg.cholesky(covariance).T
    table[: PEOPLE // 5, 1] = table[PEOPLE // 10 : PEOPLE // 4, 4] = np.nan
    return true, dict(zip(NAMES, table.T, strict=True))


def read_factors(draws: Draws) -> Values:
    return {name: draws.parameters[name] for name in (*LOADINGS, *VARIANCES)}


def log_likelihood_factors(values: Values, columns: Columns) -> float:
    mean, covariance = moments(values)
    table = np.column_stack([columns[name] for name in NAMES])
    total = 0.0
    seen = ~np.isnan(table)
    for pattern in np.unique(seen, axis=0):
        rows = table[(seen == pattern).all(axis=1)][:, pattern]
        total += log_normals(rows, mean[pattern], covariance[np.ix_(pattern, pattern)])
    return total


FAMILIES = {
    "two levels with a random slope": Family(
        MIXED, simulate_mixed, read_mixed, log_likelihood_mixed, burn=400, thin=15, kept=32
    ),
    "factors": Family(
        FACTORS, simulate_factors, read_factors, log_likelihood_factors, burn=500, thin=25, kept=32
    ),
}


def ranks(family: Family, number: int) -> dict[str, float]:
    """Ranks of all quantities of one simulation, spread over (0, 1)."""
    rng = generator(60, number)
    true, columns = family.simulate(rng)
    total = CHAINS * family.thin * family.kept
    settings = f" SEED: {number + 1}; BURN: {family.burn}; ITER: {total}; CHAINS: {CHAINS};"
    planned = pipeline.plan(model_of(family.script + settings, columns))
    draws = pipeline.sample(planned, CHAINS, SilentProgress(), threading.Event())
    last = slice(draws.burn + family.thin - 1, None, family.thin)
    found = {name: values[:, last].ravel() for name, values in family.read(draws).items()}
    assert list(found) == list(true)
    points = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    found["log likelihood"] = np.array([family.log_likelihood(point, columns) for point in points])
    true["log likelihood"] = family.log_likelihood(true, columns)
    count = CHAINS * family.kept
    return {
        name: (float((values < true[name]).sum()) + rng.random()) / (count + 1)
        for name, values in found.items()
    }


def uniform(values: np.ndarray) -> tuple[float, float]:
    """p-values of the two tests."""
    classes = np.minimum((10.0 * np.abs(values - 0.5)).astype(int), 4)
    return (
        float(stats.ks_1samp(values, stats.uniform.cdf).pvalue),
        float(stats.chisquare(np.bincount(classes, minlength=5)).pvalue),
    )


def check(family: Family, simulations: int) -> dict[str, tuple[float, float]]:
    """p-values of all quantities."""
    found = [ranks(family, number) for number in range(simulations)]
    return {name: uniform(np.array([one[name] for one in found])) for name in found[0]}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_ranks_are_uniform(name):
    found = check(FAMILIES[name], SIMULATIONS)
    assert all(p > RATE for both in found.values() for p in both), found


def test_the_tests_of_uniformity_notice_what_they_should():
    """Posteriors too narrow by 1.8 or too wide by 2.3, or shifted by 0.75 SD, are mostly noticed in 100 simulations."""
    rng = np.random.default_rng(8)
    z = rng.normal(size=(200, SIMULATIONS))
    wrong = {"narrow": 1.8 * z, "wide": z / 2.3, "shifted": z + 0.75}
    for name, values in wrong.items():
        noticed = [min(uniform(row)) < RATE for row in stats.norm.cdf(values)]
        assert np.mean(noticed) > 0.5, (name, np.mean(noticed))
    fine = [min(uniform(row)) for row in stats.norm.cdf(z)]
    assert min(fine) > RATE

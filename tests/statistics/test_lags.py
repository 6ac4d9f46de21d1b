"""Models with lags against a plain sampler written for one of them, and against the truth in one long simulation."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from latent_models import Fit, fit
from rates import critical
from toys import Columns, generator

BOUND = critical(39)  # Monte Carlo errors by batch means have 39 degrees of freedom
LAGS = np.array([[0.35, 0.15], [-0.2, 0.3]])  # x on the lags of x and y; y on the same
CONSTANTS = np.array([0.5, -0.3])
CORRELATION, LOG_VARIANCE = 0.5, np.array([0.2, 0.5])  # of residuals; of those of y: constant, slope of w
SCRIPT = (
    "MISSING: NA; CLUSTERID: g; TIMEID: t; FIXED: w;"
    "MODEL: x ~ x.lag y.lag | 1@0; y ~ x.lag y.lag | 1@0; var(y) ~ w; x ~~ y;"
)


def panel(clusters: int, times: int, seed: int, missing: float) -> Columns:
    """Vector autoregressions of x (variance 1) and y, all of the same law, after 20 occasions that nobody sees."""
    rng = generator(seed)
    w = rng.normal(size=(times + 20, clusters))
    noise = rng.normal(size=(times + 20, 2, clusters))
    sd = np.exp(0.5 * (LOG_VARIANCE[0] + LOG_VARIANCE[1] * w))
    errors = np.stack(
        [noise[:, 0], sd * (CORRELATION * noise[:, 0] + np.sqrt(1.0 - CORRELATION**2) * noise[:, 1])], axis=1
    )
    values = np.zeros((times + 20, 2, clusters))
    for k in range(1, times + 20):
        values[k] = CONSTANTS[:, None] + LAGS @ values[k - 1] + errors[k]
    x, y = values[20:, 0].T.copy(), values[20:, 1].T.copy()
    for z in (x, y):
        z[rng.random(z.shape) < missing] = np.nan
    g, t = np.repeat(np.arange(clusters), times), np.tile(np.arange(times), clusters)
    return {"g": g.astype(float), "t": t.astype(float), "x": x.ravel(), "y": y.ravel(), "w": w[20:].T.ravel()}


# ------------------------------------------------------------------ a plain sampler
def plain_sampler(columns: Columns, draws: int, burn: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Value by value, coefficients by generalised least squares, variances and correlation by a random walk.

    Flat priors on coefficients, on the variance of x and on the correlation; values before the first occasion are
    normal with mean and variance of what is observed of their series.
    """
    clusters = int(columns["g"].max()) + 1
    w = columns["w"].reshape(clusters, -1).T
    times = len(w)
    given = np.stack([columns[name].reshape(clusters, times).T for name in ("x", "y")], axis=1)
    first = np.nanmean(given, axis=0), np.nanvar(given, axis=0, ddof=1)
    z = np.concatenate(
        [first[0][None], np.where(np.isnan(given), first[0], given)]
    )  # (times + 1, 2, clusters)
    unknown = np.concatenate([np.ones((1, 2, clusters), bool), np.isnan(given)])
    b = np.zeros((2, 3))
    theta = np.array(
        [0.0, 0.0, 0.0, 0.0]
    )  # log variance of x, of y (constant, slope), Fisher's z of the correlation
    names = (
        "x",
        "x lag x",
        "x lag y",
        "y",
        "y lag x",
        "y lag y",
        "log v",
        "gamma 0",
        "gamma 1",
        "r",
        "missing",
    )
    kept = {name: np.empty(draws) for name in names}
    walk, seen = 0.05 * np.eye(4), []
    for i in range(-burn, draws):
        p = precision(theta, w)
        for k in range(times + 1):
            for v in range(2):
                z[k, v] = single_value(z, b, p, first, k, v, unknown[k, v], rng)
        design = np.concatenate([np.ones((times, 1, clusters)), z[:-1]], axis=1)
        total = np.einsum("tijc,tac,tbc->iajb", p, design, design).reshape(6, 6)
        linear = np.einsum("tijc,tac,tjc->ia", p, design, z[1:]).ravel()
        b = naive.draw_gaussian(total, linear, rng).reshape(2, 3)
        e = z[1:] - np.einsum("va,tac->tvc", b, design)
        for _ in range(3):
            other = theta + walk @ rng.normal(size=4)
            if np.log(rng.random()) < log_density(other, e, w) - log_density(theta, e, w):
                theta = other
        if i < 0:
            seen.append(theta)
            if i in (-burn // 2, -burn // 4):
                walk = 1.2 * np.linalg.cholesky(np.cov(np.array(seen[len(seen) // 2 :]).T))
            continue
        row = (*b.ravel(), *theta[:3], np.tanh(theta[3]), z[1:][unknown[1:]].mean())
        for name, value in zip(names, row, strict=True):
            kept[name][i] = value
    return kept


def precision(theta: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Inverse residual covariance matrices, shape (times, 2, 2, clusters)."""
    r = np.tanh(theta[3])
    x, y = np.full_like(w, np.exp(-0.5 * theta[0])), np.exp(-0.5 * (theta[1] + theta[2] * w))
    return np.stack([np.stack([x * x, -r * x * y], 1), np.stack([-r * x * y, y * y], 1)], 1) / (1.0 - r * r)


def log_density(theta: np.ndarray, e: np.ndarray, w: np.ndarray) -> float:
    """Of variances and correlation given the residuals."""
    p = precision(theta, w)
    logs = theta[0] * w.size + (theta[1] + theta[2] * w).sum() + w.size * np.log(1.0 - np.tanh(theta[3]) ** 2)
    quadratic = np.einsum("tic,tijc,tjc->", e, p, e)
    return -0.5 * (logs + quadratic) + theta[0] + np.log(1.0 - np.tanh(theta[3]) ** 2)


def single_value(z, b, p, first, k, v, unknown, rng) -> np.ndarray:
    """New values of variable v at occasion k (0: before the first) in all clusters, where they are unknown."""
    total, linear = np.zeros_like(z[k, v]), np.zeros_like(z[k, v])
    if k == 0:
        total, linear = 1.0 / first[1][v], first[0][v] / first[1][v]
    else:  # its own residual is value - mean
        mean = b[:, 0, None] + b[:, 1:] @ z[k - 1]
        o = 1 - v
        total = total + p[k - 1, v, v]
        linear = linear + p[k - 1, v, v] * mean[v] - p[k - 1, v, o] * (z[k, o] - mean[o])
    if k + 1 < len(z):  # the residuals of the next occasion are rest - b_v value
        slope, o = b[:, 1 + v], 1 - v
        rest = z[k + 1] - b[:, 0, None] - b[:, 1 + o, None] * z[k, o]
        total = total + np.einsum("i,ijc,j->c", slope, p[k], slope)
        linear = linear + np.einsum("i,ijc,jc->c", slope, p[k], rest)
    drawn = linear / total + rng.normal(size=total.size) / np.sqrt(total)
    return np.where(unknown, drawn, z[k, v])


def named(found: Fit) -> dict[str, np.ndarray]:
    """The draws of our sampler by the names of the plain one."""
    burn = found.draws.burn
    at = {e.title: d for e, d in zip(found.planned.model.equations, found.draws.equations, strict=True)}
    values = {"log v": np.log(at["x"].residual[:, burn:]), "r": found.parameters["Cor(x,y)"]}
    for title, names in (("x", ("x", "x lag x", "x lag y")), ("y", ("y", "y lag x", "y lag y"))):
        values |= {name: at[title].coefficients[:, burn:, k] for k, name in enumerate(names)}
    gamma = at["var(y)"].coefficients[:, burn:]
    return values | {"gamma 0": gamma[:, :, 0], "gamma 1": gamma[:, :, 1]}


@pytest.mark.slow
def test_vector_autoregression_against_a_plain_sampler():
    columns = panel(clusters=12, times=8, seed=71, missing=0.2)
    ours = named(fit(SCRIPT, columns, burn=1000, draws=20000))
    plain = plain_sampler(columns, 20000, 2000, generator(72))
    for name, values in ours.items():
        for of in (lambda v: v, np.square):
            assert abs(naive.difference_in_errors(values, plain[name], of)) < BOUND, name


# ------------------------------------------------------------------ the truth
TRUTH = {
    **{"x": CONSTANTS[0], "x lag x": LAGS[0, 0], "x lag y": LAGS[0, 1], "log v": 0.0},
    **{"y": CONSTANTS[1], "y lag x": LAGS[1, 0], "y lag y": LAGS[1, 1], "r": CORRELATION},
    **{"gamma 0": LOG_VARIANCE[0], "gamma 1": LOG_VARIANCE[1]},
}


def test_vector_autoregression_finds_the_truth():
    """3,000 rows, a tenth of the values missing: the truth lies within what posteriors allow, and these are narrow."""
    found = named(fit(SCRIPT, panel(clusters=100, times=30, seed=73, missing=0.1), burn=500, draws=4000))
    for name, truth in TRUTH.items():
        assert abs(found[name].mean() - truth) < critical() * found[name].std(), name
        assert found[name].std() < 0.05, name

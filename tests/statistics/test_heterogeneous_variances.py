"""Residual variances that differ between units against exact posteriors and plain samplers written for one model."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from latent_models import Fit, fit
from rates import critical
from scipy import optimize, stats
from toys import Columns, generator

from mlbayes.problems import ProblemError, ProblemKind

BOUND = critical(39)  # Monte Carlo errors by batch means have 39 degrees of freedom


def close_to_exact(draws: np.ndarray, mean: float, square: float) -> None:
    """First two moments of draws within Monte Carlo error of exact ones."""
    for of, exact in ((draws, mean), (draws**2, square)):
        assert abs(of.mean() - exact) / naive.batch_error(of) < BOUND


# ------------------------------------------------------------------ known variances
def test_meta_analysis_is_exact():
    """y_j ~ N(mu, tau^2 + v_j) with v_j known, flat mu and tau^2: a grid over log tau, mu integrated out."""
    rng = generator(61)
    v = rng.uniform(0.05, 0.4, 24)
    y = 0.4 + 0.35 * rng.normal(size=24) + np.sqrt(v) * rng.normal(size=24)
    columns = {"study": np.arange(24.0), "y": y, "logv": np.log(v)}
    text = "CLUSTERID: study; LATENT: study = b; FIXED: logv; MODEL: b ~ 1; y ~ 1@b; var(y) ~ 1@0 logv@1;"
    found = fit(text, columns, burn=1000, draws=20000)
    logs = np.linspace(-12.0, 3.0, 6001)
    total = np.exp(2.0 * logs)[:, None] + v
    precision = (1.0 / total).sum(axis=1)
    centre = (y / total).sum(axis=1) / precision
    log = -0.5 * np.log(total).sum(axis=1) - 0.5 * np.log(precision) + 2.0 * logs
    log -= 0.5 * ((y - centre[:, None]) ** 2 / total).sum(axis=1)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    b = next(k for k, e in enumerate(found.planned.model.equations) if e.outcome == "b")
    burn, equation = found.draws.burn, found.draws.equations[b]
    close_to_exact(
        equation.coefficients[:, burn:, 0], weights @ centre, weights @ (centre**2 + 1.0 / precision)
    )
    close_to_exact(np.log(equation.residual[:, burn:]), weights @ (2.0 * logs), weights @ (4.0 * logs**2))


# ------------------------------------------------------------------ coefficients
def test_coefficients_of_a_log_variance_are_exact():
    """y ~ x; var(y) ~ w: importance sampling of the variance's coefficients, those of the mean integrated out."""
    rng = generator(62)
    x, w = rng.normal(size=(2, 60))
    y = 1.0 + 0.5 * x + np.exp(0.5 * (-0.3 + 0.6 * w)) * rng.normal(size=60)
    found = fit("FIXED: x w; MODEL: y ~ x; var(y) ~ w;", {"y": y, "x": x, "w": w}, burn=1000, draws=20000)
    design, variance_design = np.column_stack([np.ones(60), x]), np.column_stack([np.ones(60), w])

    def log_density(gamma: np.ndarray) -> float:
        weight = np.exp(-variance_design @ gamma)
        information = design.T @ (weight[:, None] * design)
        beta = np.linalg.solve(information, design.T @ (weight * y))
        squares = (weight * (y - design @ beta) ** 2).sum()
        return 0.5 * (np.log(weight).sum() - np.linalg.slogdet(information)[1] - squares)

    grid = np.stack(np.meshgrid(np.linspace(-1.7, 1.3, 121), np.linspace(-0.9, 1.9, 121)), axis=-1).reshape(
        -1, 2
    )
    log = np.array([log_density(gamma) for gamma in grid])
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    for k, draws in enumerate(
        np.moveaxis(found.draws.equations[1].coefficients[:, found.draws.burn :], -1, 0)
    ):
        close_to_exact(draws, weights @ grid[:, k], weights @ grid[:, k] ** 2)


def test_correlation_of_residuals_with_a_modelled_variance_is_exact():
    """y ~ x; m ~ x; var(y) ~ w; y ~~ m: importance sampling of variances and correlation, coefficients integrated out.

    Flat priors: on the variance of m, on the correlation, on all coefficients.
    """
    rng = generator(67)
    n = 50
    x, w = rng.normal(size=(2, n))
    e = rng.normal(size=(2, n))
    y = 1.0 + 0.5 * x + np.exp(0.5 * (-0.3 + 0.6 * w)) * e[0]
    m = 0.3 * x + 1.5 * (0.6 * e[0] + 0.8 * e[1])
    columns = {"y": y, "m": m, "x": x, "w": w}
    found = fit("FIXED: x w; MODEL: y ~ x; m ~ x; var(y) ~ w; y ~~ m;", columns, burn=1000, draws=20000)
    design, variance_design = np.column_stack([np.ones(n), x]), np.column_stack([np.ones(n), w])

    def log_density(theta: np.ndarray) -> float:
        """Of (coefficients of the log variance, log variance of m, Fisher's z of the correlation)."""
        r, sd = (
            np.tanh(theta[3]),
            [np.exp(0.5 * variance_design @ theta[:2]), np.full(n, np.exp(0.5 * theta[2]))],
        )
        # residuals over their standard deviations, made independent: m's less r times y's, over sqrt(1 - r^2)
        rest = np.sqrt(1.0 - r * r)
        zero = np.zeros_like(design)
        top = np.column_stack([y / sd[0], design / sd[0][:, None], zero])
        low = np.column_stack([m / sd[1], zero, design / sd[1][:, None]])
        both = np.vstack([top, (low - r * top) / rest])
        information = both[:, 1:].T @ both[:, 1:]
        score = both[:, 1:].T @ both[:, 0]
        squares = both[:, 0] @ both[:, 0] - score @ np.linalg.solve(information, score)
        value = -np.log(sd[0]).sum() - np.log(sd[1]).sum() - n * np.log(rest)
        value -= 0.5 * (np.linalg.slogdet(information)[1] + squares)
        return value + theta[2] + np.log(1.0 - r * r)

    mode = optimize.minimize(lambda theta: -log_density(theta), np.array([0.0, 0.3, 0.5, 0.5]))
    law = stats.multivariate_t(mode.x, 1.5 * mode.hess_inv, df=6, seed=rng)
    theta = law.rvs(20000)
    log = np.array([log_density(each) for each in theta]) - law.logpdf(theta)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    burn, equations = found.draws.burn, found.draws.equations
    at = {equation.title: k for k, equation in enumerate(found.planned.model.equations)}
    gamma = equations[at["var(y)"]].coefficients[:, burn:]
    ours = {
        "gamma 0": (gamma[:, :, 0], theta[:, 0]),
        "gamma 1": (gamma[:, :, 1], theta[:, 1]),
        "log variance": (np.log(equations[at["m"]].residual[:, burn:]), theta[:, 2]),
        "correlation": (found.parameters["Cor(y,m)"], np.tanh(theta[:, 3])),
    }
    for name, (draws, exact) in ours.items():
        for of in (lambda v: v, np.square):
            values = of(exact)
            mean = weights @ values
            error = np.hypot(naive.batch_error(of(draws)), np.sqrt((weights**2) @ (values - mean) ** 2))
            assert abs(of(draws).mean() - mean) / error < BOUND, name


# ------------------------------------------------------------------ random log variances
def location_scale(clusters: int = 30, size: int = 8) -> Columns:
    rng = generator(63)
    g = np.repeat(np.arange(clusters), size)
    effects = np.linalg.cholesky([[0.6, -0.2], [-0.2, 0.4]]) @ rng.normal(size=(2, clusters))
    z = rng.normal(size=g.size)
    spread = np.exp(0.5 * (-0.5 + effects[1][g] + 0.3 * z))
    y = 2.0 + effects[0][g] + 0.4 * z + spread * rng.normal(size=g.size)
    return {"g": g.astype(float), "y": y, "z": z}


def plain_location_scale(
    columns: Columns, draws: int, burn: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random-walk Metropolis of log variances and their coefficient, Gibbs draws of all else, flat priors."""
    g, y, z = columns["g"].astype(int), columns["y"], columns["z"]
    n = int(g.max()) + 1
    b, lv = np.zeros((2, n))
    mean, s, beta, gamma = np.zeros(2), np.eye(2), 0.0, 0.0
    kept = {name: np.empty(draws) for name in ("mean", "log mean", "v", "log v", "r", "beta", "gamma")}
    for i in range(-burn, draws):
        weight = np.exp(-lv[g] - gamma * z)
        slope = s[0, 1] / s[1, 1]
        prior, rest = mean[0] + slope * (lv - mean[1]), s[0, 0] - slope * s[0, 1]
        precision = np.bincount(g, weight, n) + 1.0 / rest
        centre = (np.bincount(g, weight * (y - beta * z), n) + prior / rest) / precision
        b = centre + rng.normal(size=n) / np.sqrt(precision)
        total = (weight * z * z).sum()
        beta = (weight * z * (y - b[g])).sum() / total + rng.normal() / np.sqrt(total)
        squares = (y - b[g] - beta * z) ** 2
        slope = s[0, 1] / s[0, 0]
        prior, rest = mean[1] + slope * (b - mean[0]), s[1, 1] - slope * s[0, 1]
        for _ in range(2):
            new = lv + 0.9 * rng.normal(size=n)
            ratio = np.bincount(g, _log(squares, new[g] + gamma * z) - _log(squares, lv[g] + gamma * z), n)
            ratio -= 0.5 * ((new - prior) ** 2 - (lv - prior) ** 2) / rest
            lv = np.where(np.log(rng.random(n)) < ratio, new, lv)
            trial = gamma + 0.2 * rng.normal()
            change = (_log(squares, lv[g] + trial * z) - _log(squares, lv[g] + gamma * z)).sum()
            gamma = trial if np.log(rng.random()) < change else gamma
        both = np.stack([b, lv])
        mean = both.mean(axis=1) + np.linalg.cholesky(s / n) @ rng.normal(size=2)
        deviations = both - mean[:, None]
        s = stats.invwishart.rvs(n - 3, deviations @ deviations.T, random_state=rng)
        if i >= 0:
            r = s[0, 1] / np.sqrt(s[0, 0] * s[1, 1])
            for name, value in zip(
                kept, (*mean, np.log(s[0, 0]), np.log(s[1, 1]), r, beta, gamma), strict=True
            ):
                kept[name][i] = value
    return kept


def _log(squares: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    return -0.5 * (log_variance + squares * np.exp(-log_variance))


def named(found: Fit) -> dict[str, np.ndarray]:
    """The draws of our sampler by the names of the plain one."""
    burn = found.draws.burn
    at = {e.title: d for e, d in zip(found.planned.model.equations, found.draws.equations, strict=True)}
    return {
        "mean": at["b"].coefficients[:, burn:, 0],
        "log mean": at["l"].coefficients[:, burn:, 0],
        "v": np.log(at["b"].residual[:, burn:]),
        "log v": np.log(at["l"].residual[:, burn:]),
        "r": found.parameters["Cor(b,l)"],
        "beta": at["y"].coefficients[:, burn:, 1],
        "gamma": at["var(y)"].coefficients[:, burn:, 1],
    }


def compare(ours: dict[str, np.ndarray], plain: dict[str, np.ndarray]) -> None:
    for name, values in plain.items():
        for of in (lambda x: x, np.square):
            assert abs(naive.difference_in_errors(ours[name], values, of)) < BOUND, name


@pytest.mark.slow
def test_location_scale_model_against_a_plain_sampler():
    columns = location_scale()
    text = "CLUSTERID: g; LATENT: g = b l; FIXED: z; MODEL: b ~ 1; l ~ 1; b ~~ l; y ~ 1@b z; var(y) ~ 1@l z;"
    ours = named(fit(text, columns, burn=1500, draws=20000))
    compare(ours, plain_location_scale(columns, 60000, 2000, generator(64)))


# ------------------------------------------------------------------ variances of clusters
def plain_hev(columns: Columns, draws: int, burn: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Kasim & Raudenbush: every variance, centre and index from their conditional distributions in turn."""
    g, y = columns["g"].astype(int), columns["y"]
    counts = np.bincount(g)
    n = counts.size
    mean, v, sigma2, s0, theta = y.mean(), 0.5, np.ones(n), 1.0, 0.3
    kept = {name: np.empty(draws) for name in ("mean", "v", "s0", "theta", "average")}
    for i in range(-burn, draws):
        total = v + sigma2 / counts
        averages = np.bincount(g, y) / counts
        mean = rng.normal((averages / total).sum() / (1.0 / total).sum(), (1.0 / total).sum() ** -0.5)
        precision = counts / sigma2 + 1.0 / v
        u = (counts * (averages - mean) / sigma2) / precision + rng.normal(size=n) / np.sqrt(precision)
        v = 0.5 * (u @ u) / rng.standard_gamma(0.5 * n - 1.0)
        squares = np.bincount(g, (y - mean - u[g]) ** 2)
        x = 0.5 / theta
        sigma2 = (x * s0 + 0.5 * squares) / rng.standard_gamma(x + 0.5 * counts)
        harmonic, geometric = n / (1.0 / sigma2).sum(), np.exp(np.log(sigma2).mean())
        s0 = rng.standard_gamma(n * x + 1.0) * harmonic / (n * x)
        rate = 0.5 * n * (s0 / harmonic - np.log(s0) + np.log(geometric) - 1.0)
        theta = rate / rng.standard_gamma(0.5 * n - 1.0)
        if i >= 0:
            for name, value in zip(
                kept, (mean, np.log(v), np.log(s0), np.log(theta), sigma2.mean()), strict=True
            ):
                kept[name][i] = value
    return kept


@pytest.mark.slow
def test_variances_of_clusters_against_a_plain_sampler():
    rng = generator(65)
    g = np.repeat(np.arange(40), 7)
    sd = np.sqrt(2.5 / rng.standard_gamma(2.5, size=40))
    y = 1.0 + 0.7 * rng.normal(size=40)[g] + sd[g] * rng.normal(size=g.size)
    columns = {"g": g.astype(float), "y": y}
    found = fit("CLUSTERID: g; OPTIONS: hev; MODEL: y ~ 1;", columns, burn=1000, draws=20000)
    (draws,), burn = found.draws.equations, found.draws.burn
    assert draws.centre is not None
    ours = {
        "mean": draws.coefficients[:, burn:, 0],
        "v": np.log(draws.random[0].covariance[:, burn:, 0, 0]),
        "s0": np.log(draws.centre[:, burn:]),
        "theta": np.log(found.parameters["y: Heterogeneity Index"]),
        "average": draws.residual[:, burn:],
    }
    compare(ours, plain_hev(columns, 80000, 2000, generator(66)))


# ------------------------------------------------------------------ a run that has no posterior
def test_a_log_variance_that_runs_away_stops_the_run():
    """Residuals of exactly 0 where d = 1: the coefficient of d goes to minus infinity."""
    x = np.tile(np.arange(6.0), 5)
    d = (np.arange(30) < 10).astype(float)
    y = np.where(d == 1.0, 1.0 + x, 1.0 + x + np.sin(7.0 * np.arange(30)))
    with pytest.raises(ProblemError) as caught:
        fit("FIXED: x d; MODEL: y ~ x; var(y) ~ d;", {"y": y, "x": x, "d": d}, burn=3000, draws=3000)
    (problem,) = caught.value.problems
    assert problem.kind is ProblemKind.NUMERICAL
    assert "'y' has run away" in problem.message

"""Sampling weights: weighted least squares in one level, a plain weighted Gibbs sampler in two."""

from __future__ import annotations

import naive
import numpy as np
from rates import critical
from toys import Running, generator, plan_of


def draws_of(text: str, columns: dict[str, np.ndarray], draws: int, burn: int = 500):
    """Layout of the equation, and records of two chains, shape (2, draws, width)."""
    planned = plan_of(text, columns)
    records = []
    for chain in range(2):
        running = Running.start(planned, seed=40 + chain)
        running.sweeps(burn, burn=burn)
        records.append(running.sweeps(draws, burn=burn, start=burn))
    return planned.layout.equations[0], np.stack(records)


def z_of_mean(draws: np.ndarray, expected: float) -> float:
    return (draws.mean() - expected) / naive.batch_error(draws)


def test_weights_of_rows_are_weighted_least_squares():
    """Flat priors: the coefficients are t around the weighted estimate, sigma^2 is IG(n/2 - 1 - k/2, SSE/2)."""
    rng = generator(3)
    n = 80
    x, w = rng.normal(size=n), rng.uniform(0.3, 4.0, n)
    y = 1.0 + 0.5 * x + rng.normal(size=n) / np.sqrt(w)
    text = "DATA: toy.dat; FIXED: x; WEIGHT: w; MODEL: y ~ x;"
    place, records = draws_of(text, {"x": x, "y": y, "w": w}, 4000)
    scaled = w * n / w.sum()
    design = np.stack([np.ones(n), x], axis=1)
    cross = design.T @ (scaled[:, None] * design)
    estimate = np.linalg.solve(cross, design.T @ (scaled * y))
    squares = float((scaled * (y - design @ estimate) ** 2).sum())
    shape = 0.5 * n - 1.0 - 1.0  # IG(-1, 0) and two coefficients integrated out
    variance = 0.5 * squares / (shape - 1.0)
    assert abs(z_of_mean(records[:, :, place.variance], variance)) < critical()
    for k in range(2):
        draws = records[:, :, place.coefficients + k]
        assert abs(z_of_mean(draws, estimate[k])) < critical()
        spread = variance * np.linalg.inv(cross)[k, k]
        assert abs(z_of_mean((draws - estimate[k]) ** 2, spread)) < critical()


def test_weights_of_rows_and_clusters_are_a_weighted_gibbs_sampler():
    rng = generator(4)
    clusters, size = 20, 5
    g = np.repeat(np.arange(clusters), size)
    x, inner = rng.normal(size=g.size), rng.uniform(0.5, 2.0, g.size)
    outer = rng.uniform(0.5, 3.0, clusters)
    y = 1.0 + 0.5 * x + 0.8 * rng.normal(size=clusters)[g] + rng.normal(size=g.size)
    text = "DATA: toy.dat; CLUSTERID: g; FIXED: x; WEIGHT: inner outer; MODEL: y ~ x;"
    columns = {"g": g, "x": x, "y": y, "inner": inner, "outer": outer[g]}
    place, records = draws_of(text, columns, 12000)
    plain = weighted_gibbs(y, x, g, inner, outer, 24000, rng)
    ours = {
        "intercept": records[:, :, place.coefficients],
        "slope": records[:, :, place.coefficients + 1],
        "between": records[:, :, place.covariances[0]],
        "within": records[:, :, place.variance],
    }
    for name, theirs in plain.items():
        centre = float(theirs.mean())
        for of in (lambda v: v, lambda v, at=centre: (v - at) ** 2):
            assert abs(naive.difference_in_errors(ours[name], theirs, of)) < critical(), name


def weighted_gibbs(y, x, g, inner, outer, draws, rng) -> dict[str, np.ndarray]:
    """Goldstein's weights in every conditional distribution: of rows, of clusters, or products of both."""
    n, clusters = y.size, outer.size
    inner = inner * (np.bincount(g) / np.bincount(g, inner))[g]
    outer = outer * clusters / outer.sum()
    both = inner * outer[g]
    both = both * n / both.sum()
    design = np.stack([np.ones(n), x], axis=1)
    cross = np.linalg.inv(design.T @ (both[:, None] * design))
    root = np.linalg.cholesky(cross)
    beta, u, between, within = np.zeros(2), np.zeros(clusters), 0.5, 1.0
    kept = {name: np.empty(draws) for name in ("intercept", "slope", "between", "within")}
    for i in range(-500, draws):
        precision = np.bincount(g, inner) / within + 1.0 / between
        linear = np.bincount(g, inner * (y - design @ beta)) / within
        u = linear / precision + rng.standard_normal(clusters) / np.sqrt(precision)
        between = 0.5 * float((outer * u * u).sum()) / rng.standard_gamma(0.5 * clusters - 1.0)
        beta = cross @ design.T @ (both * (y - u[g])) + np.sqrt(within) * root @ rng.standard_normal(2)
        squares = float((both * (y - design @ beta - u[g]) ** 2).sum())
        within = 0.5 * squares / rng.standard_gamma(0.5 * n - 1.0)
        if i >= 0:
            kept["intercept"][i], kept["slope"][i] = beta
            kept["between"][i], kept["within"][i] = between, within
    return kept

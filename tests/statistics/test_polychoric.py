"""Residual correlation of two binary outcomes (tetrachoric) against its exact posterior."""

from __future__ import annotations

import naive
import numpy as np
from rates import critical
from scipy import stats
from toys import Running, generator, plan_of

from mlbayes.engine.assemble import correlation_draws

TEXT = "DATA: toy.dat; ORDINAL: a b; MODEL: a ~ 1; b ~ 1; a ~~ b;"


def test_tetrachoric_correlation():
    """Intercepts N(0, variance 5), correlation uniform on (-1, 1): quadrature over all three."""
    rng = generator(11)
    latent = rng.multivariate_normal([0.3, -0.2], [[1.0, 0.5], [0.5, 1.0]], 120)
    a, b = (latent > 0.0).astype(float).T
    counts = {(i, j): int(((a == i) & (b == j)).sum()) for i in (0, 1) for j in (0, 1)}
    planned = plan_of(TEXT, {"a": a, "b": b})
    records = []
    for chain in range(2):
        running = Running.start(planned, seed=60 + chain)
        running.sweeps(500, burn=500)
        records.append(running.sweeps(15000, burn=500, start=500))
    draws = correlation_draws(planned, np.stack(records))["Cor(a,b)"]
    mean, second = exact_moments(counts)
    for of, expected in ((lambda r: r, mean), (lambda r: r * r, second)):
        found = of(draws)
        assert abs(found.mean() - expected) / naive.batch_error(found) < critical()


def exact_moments(counts: dict[tuple[int, int], int], points: int = 31) -> tuple[float, float]:
    """Posterior mean of the correlation and of its square."""
    rates = [sum(n for key, n in counts.items() if key[k] == 1) / sum(counts.values()) for k in (0, 1)]
    means = [stats.norm.ppf(rate) + np.linspace(-0.75, 0.75, points) for rate in rates]
    correlations = np.linspace(-0.6, 0.97, 2 * points)
    log_density = np.empty((correlations.size, points, points))
    x, y = np.meshgrid(*means, indexing="ij")
    for k, rho in enumerate(correlations):
        both = stats.multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]]).cdf(np.stack([x, y], axis=-1))
        one, other = stats.norm.cdf(x) - both, stats.norm.cdf(y) - both
        shares = {(1, 1): both, (1, 0): one, (0, 1): other, (0, 0): 1.0 - both - one - other}
        log_density[k] = sum(n * np.log(np.maximum(shares[key], 1e-12)) for key, n in counts.items())
    log_density -= (x**2 + y**2) / 10.0
    weights = np.exp(log_density - log_density.max()).sum(axis=(1, 2))
    weights /= weights.sum()
    return float(weights @ correlations), float(weights @ correlations**2)

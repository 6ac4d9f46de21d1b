"""An ordinal predictor centred at the expected codes of its clusters, against the exact posterior.

Given the parameters, latent cluster means are independent; each is integrated out by quadrature, and the random
intercepts by hand.  The parameters are weighted against a t distribution around the mode (`exact_families`).
"""

from __future__ import annotations

import naive
import numpy as np
from exact_families import Posterior, weighted_points
from latent_models import Fit, fit
from rates import critical
from scipy import special, stats
from toys import Columns, generator

Array = np.ndarray

BOUND = critical(39)  # Monte Carlo errors by batch means have 39 degrees of freedom
CODES = np.array([1.0, 2.0, 4.0])
SCRIPT = "CLUSTERID: g; ORDINAL: o; CENTER: groupmean = o; MODEL: y ~ o;"
NAMES = ("intercept", "o", "V(u)", "V(e)", "grand mean", "V(mean)", "threshold")
GRID = np.linspace(-6.0, 6.0, 97)
START = np.array([1.0, 1.5, np.log(0.1), np.log(0.3), 0.3, np.log(0.6), np.log(0.9)])
CHUNK = 500


def columns(clusters: int = 30, size: int = 5) -> Columns:
    """y depends strongly on the deviation of o from the expected code of its cluster."""
    rng = generator(61)
    g = np.repeat(np.arange(clusters), size)
    means = 0.3 + 0.8 * rng.normal(size=clusters)
    o = CODES[np.searchsorted([0.0, 0.9], means[g] + rng.normal(size=g.size))]
    centre = expected(means, np.array(0.9))
    y = 1.0 + 1.5 * (o - centre[g]) + 0.3 * rng.normal(size=clusters)[g] + 0.5 * rng.normal(size=g.size)
    return {"g": g.astype(float), "o": o, "y": y}


def expected(means: Array, threshold: Array) -> Array:
    """Expected codes at latent means."""
    low, high = special.ndtr(means), special.ndtr(means - threshold)
    return CODES[0] + (CODES[1] - CODES[0]) * low + (CODES[2] - CODES[1]) * high


def log_probabilities(means: Array, threshold: Array) -> Array:
    """Log probabilities of the three categories at latent means, (3, ...), the second one from the lower tail."""
    up = np.where(means > 0.0, threshold - means, means)
    low = np.where(means > 0.0, -means, means - threshold)
    log_up, log_low = special.log_ndtr(up), special.log_ndtr(low)
    between = log_up + np.log1p(-np.exp(log_low - log_up))
    return np.stack([special.log_ndtr(-means), between, special.log_ndtr(means - threshold)])


class Exact:
    """Log posterior density, up to a constant, of parameters with variances and the threshold as logarithms."""

    def __init__(self, data: Columns) -> None:
        self.places = np.searchsorted(CODES, data["o"]).reshape(-1, 5)
        self.o = data["o"].reshape(-1, 5)
        self.y = data["y"].reshape(-1, 5)

    def __call__(self, theta: Array) -> Array:
        return np.concatenate([self._density(theta[k : k + CHUNK]) for k in range(0, len(theta), CHUNK)])

    def _density(self, theta: Array) -> Array:
        a, b, log_u, log_e, grand, log_mean, log_threshold = theta.T[:, :, None]
        means = grand + np.exp(0.5 * log_mean) * GRID  # (points, grid)
        threshold = np.exp(log_threshold)
        log_share = log_probabilities(means, threshold)
        counts = np.stack([(self.places == k).sum(axis=1) for k in range(3)])
        log_o = np.einsum("kpm,kj->pjm", log_share, counts)
        n = self.y.shape[1]
        free = self.y - a[..., None] - b[..., None] * self.o  # (points, clusters, rows)
        centre = free.mean(axis=-1)
        within = np.square(free - centre[..., None]).sum(axis=-1)
        variance = np.exp(log_u) + np.exp(log_e) / n
        deviation = centre[:, :, None] + (b * expected(means, threshold))[:, None, :]
        log_y = -0.5 * np.square(deviation) / variance[..., None]
        log_y += (-0.5 * (n - 1) * log_e - 0.5 * within * np.exp(-log_e) - 0.5 * np.log(variance))[..., None]
        total = special.logsumexp(log_o + log_y - 0.5 * np.square(GRID), axis=-1).sum(axis=1)
        total += (log_u + log_e + log_threshold)[:, 0]  # flat on variances of y and on the threshold
        total += stats.invgamma.logpdf(np.exp(log_mean), 1.0, scale=0.5)[:, 0] + log_mean[:, 0]
        return total + stats.norm.logpdf(grand, 0.0, np.sqrt(5.0))[:, 0]

    def posterior(self, points: int) -> Posterior:
        theta, weights = weighted_points(self, START, points, np.random.default_rng(23))
        natural = theta.copy()
        natural[:, [2, 3, 5, 6]] = np.exp(theta[:, [2, 3, 5, 6]])
        return Posterior(NAMES, natural, weights)


def drawn(found: Fit) -> dict[str, Array]:
    equation, predictor = found.draws.equations[0], found.draws.predictors[0]
    draws = (
        equation.coefficients[..., 0],
        equation.coefficients[..., 1],
        equation.random[0].covariance[..., 0, 0],
        equation.residual,
        predictor.grand_mean,
        predictor.parts[1].residual,
        found.draws.parameters["o: Tau 2"],
    )
    return {name: values[:, found.draws.burn :] for name, values in zip(NAMES, draws, strict=True)}


def distances(draws: dict[str, Array], exact: Posterior) -> dict[str, float]:
    """Differences of means, and of mean squared deviations, in Monte Carlo errors."""
    found = {}
    for name, own in draws.items():
        points = exact.of(name)
        mean, error = exact.mean(points)
        found[name] = (own.mean() - mean) / np.hypot(naive.batch_error(own), error)
        square, error = exact.mean(np.square(points - mean))
        squares = np.square(own - mean)
        found[f"{name}, squares"] = (squares.mean() - square) / np.hypot(naive.batch_error(squares), error)
    return found


def test_exact_posterior():
    """Means and mean squared deviations agree within Monte Carlo error, which is small."""
    data = columns()
    exact = Exact(data).posterior(10_000)
    assert exact.effective > 3000
    draws = drawn(fit(SCRIPT, data, burn=1000, draws=48_000))
    for name, own in draws.items():
        assert naive.batch_error(own) < 0.06 * exact.sd(name), name
    found = distances(draws, exact)
    assert max(map(abs, found.values())) < BOUND, found

"""Exact posteriors of models for categorical, count and skewed outcomes, in plain numpy and scipy.

Outcomes with finitely many values: rows with the same predictors and outcome count together, random intercepts are
integrated out on a grid, and the parameters that remain are weighted against a t distribution around the mode.
Yeo-Johnson regression: everything but lambda is integrated out by hand, and lambda is few enough for a grid.
Shares no code with the program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

Array = np.ndarray

FREEDOM = 6.0
STEP = 1e-3  # of differences; parameters have posterior SDs of 0.01 to 1
SMALLEST = 1e-300
CHUNK = 1000
# Standardised random intercepts at which clusters are evaluated.  The trapezoidal rule is wrong by a factor of about
# 1 + 2 exp(-2 (pi s / h)^2), with h the distance of points and s the SD of the intercept given the cluster's data.
GRID = np.linspace(-6.6, 6.6, 45)


@dataclass
class Posterior:
    """Weighted points: `values` (points, parameters) under their `names`, `weights` (points,) with sum 1."""

    names: tuple[str, ...]
    values: Array
    weights: Array

    def of(self, name: str) -> Array:
        return self.values[:, self.names.index(name)]

    def mean(self, values: Array) -> tuple[float, float]:
        """Mean of a function at the points and its standard error."""
        mean = float(self.weights @ values)
        return mean, float(np.sqrt(np.square(self.weights) @ np.square(values - mean)))

    def sd(self, name: str) -> float:
        values = self.of(name)
        return float(np.sqrt(self.weights @ np.square(values - self.weights @ values)))

    def quantile(self, name: str, share: float) -> float:
        order = np.argsort(self.of(name))
        place = np.searchsorted(np.cumsum(self.weights[order]), share)
        return float(self.of(name)[order][min(place, order.size - 1)])

    @property
    def effective(self) -> float:
        """Size of an unweighted sample that would be as good (Kish)."""
        return 1.0 / float(np.square(self.weights).sum())


# ------------------------------------------------------------------ distributions
class Ordered:
    """y <= c where a latent response is below threshold c; the first threshold is 0, the others are in order.

    `cdf`: of the response's residual.  Raw parameters: logarithms of the distances of thresholds.
    """

    predictors = 1

    def __init__(self, cdf: Callable[[Array], Array], categories: int) -> None:
        self.cdf = cdf
        self.shapes = tuple(f"tau {c}" for c in range(2, categories))
        self.outcomes = np.arange(categories)

    def natural(self, raw: Array) -> Array:
        return np.cumsum(np.exp(raw), axis=1)

    def log_prior(self, raw: Array) -> Array:
        """Flat thresholds under their order."""
        return raw.sum(axis=1)

    def log_table(self, eta: Array, shapes: Array) -> Array:
        """Log probabilities (points, rows, outcomes, grid) with eta (points, 1, rows, grid)."""
        tau = np.column_stack([np.zeros(len(shapes)), shapes])[:, None, :, None]
        distance = tau - eta[:, 0, :, None, :]
        inner = ((0, 0), (0, 0), (1, 1), (0, 0))
        ends = ((0.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0))
        below = np.pad(self.cdf(distance), inner, constant_values=ends)
        above = np.pad(self.cdf(-distance), inner, constant_values=tuple(pair[::-1] for pair in ends))
        # differences of small numbers are exact, those of numbers close to 1 are not
        upper = np.pad(distance, ((0, 0), (0, 0), (1, 0), (0, 0)), constant_values=-1.0) > 0.0
        probability = np.where(upper, above[:, :, :-1] - above[:, :, 1:], below[:, :, 1:] - below[:, :, :-1])
        return np.log(np.maximum(probability, SMALLEST))


def probit(categories: int) -> Ordered:
    return Ordered(special.ndtr, categories)


def logit(categories: int) -> Ordered:
    return Ordered(special.expit, categories)


class Multinomial:
    """One linear predictor for each category but the first: log(P_c / P_0) = eta_c."""

    shapes = ()

    def __init__(self, categories: int) -> None:
        self.predictors = categories - 1
        self.outcomes = np.arange(categories)

    def natural(self, raw: Array) -> Array:
        return raw

    def log_prior(self, raw: Array) -> Array:
        return np.zeros(len(raw))

    def log_table(self, eta: Array, shapes: Array) -> Array:
        """Log probabilities (points, rows, outcomes, grid) with eta (points, predictors, rows, grid)."""
        all_eta = np.concatenate([np.zeros_like(eta[:, :1]), eta], axis=1).transpose(0, 2, 1, 3)
        return all_eta - special.logsumexp(all_eta, axis=2, keepdims=True)


class NegativeBinomial:
    """Counts with mean mu = exp(eta) and variance mu + alpha mu^2.  Raw parameter: log alpha.

    `log_prior_of`: log density of alpha.
    """

    predictors = 1
    shapes = ("alpha",)

    def __init__(self, counts: Array, log_prior_of: Callable[[Array], Array]) -> None:
        self.outcomes = np.unique(counts)
        self.log_prior_of = log_prior_of

    def natural(self, raw: Array) -> Array:
        return np.exp(raw)

    def log_prior(self, raw: Array) -> Array:
        return self.log_prior_of(np.exp(raw[:, 0])) + raw[:, 0]

    def log_table(self, eta: Array, shapes: Array) -> Array:
        """Log probabilities (points, rows, outcomes, grid) with eta (points, 1, rows, grid)."""
        size, y = 1.0 / shapes, self.outcomes
        constant = special.gammaln(y + size) - special.gammaln(size) - special.gammaln(y + 1.0)
        eta = eta[:, 0, :, None, :]
        size = size[:, :, None, None]
        log_total = np.logaddexp(eta, np.log(size))
        y = y[:, None]
        return constant[:, None, :, None] + size * (np.log(size) - log_total) + y * (eta - log_total)


def flat(x: Array) -> Array:
    """Log density of an improper flat prior."""
    return np.zeros_like(x)


def log_normal(variance: float) -> Callable[[Array], Array]:
    """Log density of exp(N(0, variance))."""
    return lambda x: -0.5 * np.square(np.log(x)) / variance - np.log(x)


Distribution = Ordered | Multinomial | NegativeBinomial


# ------------------------------------------------------------------ models
class Regression:
    """An outcome's distribution with the linear predictor X b, or X b + u_j with u_j ~ N(0, variance).

    `y`: values out of the distribution's outcomes.  `x`: shape (rows, terms), few distinct rows make it fast.
    `variance`: of the normal prior of coefficients around 0, infinite for flat ones.  `groups`: cluster of each row;
    the variance of random intercepts is flat.  `contrast`: shape (coefficients, free ones), which says what
    coefficients are in terms of free ones; these have the prior.
    """

    def __init__(
        self,
        family: Distribution,
        y: Array,
        x: Array,
        variance: float,
        groups: Array | None = None,
        contrast: Array | None = None,
    ) -> None:
        self.family, self.precision = family, 1.0 / variance
        self.x, row = np.unique(x, axis=0, return_inverse=True)
        outcome = np.searchsorted(family.outcomes, y)
        assert np.array_equal(family.outcomes[outcome], y)
        self.clustered = groups is not None
        _, group = np.unique(np.zeros_like(y) if groups is None else groups, return_inverse=True)
        self.counts = np.zeros((group.max() + 1, len(self.x) * family.outcomes.size))
        np.add.at(self.counts, (group, row.ravel() * family.outcomes.size + outcome), 1.0)
        self.coefficients = family.predictors * x.shape[1]
        self.contrast = np.eye(self.coefficients) if contrast is None else contrast
        self.free = self.contrast.shape[1]
        self.names = (
            *(f"b {k}" for k in range(self.coefficients)),
            *family.shapes,
            *(("variance",) if self.clustered else ()),
        )

    def natural(self, theta: Array) -> Array:
        """Parameters under their names, from (free coefficients, raw shapes, log SD of the intercepts)."""
        b, raw, log_sd = self._parts(theta)
        return np.column_stack([b, self.family.natural(raw), np.exp(2.0 * log_sd)])

    def _parts(self, theta: Array) -> tuple[Array, Array, Array]:
        end = self.free + len(self.family.shapes)
        return theta[:, : self.free] @ self.contrast.T, theta[:, self.free : end], theta[:, end:]

    def log_likelihood(self, theta: Array) -> Array:
        """Shape (points,); random intercepts are integrated out."""
        parts = np.array_split(theta, 1 + len(theta) // CHUNK)
        return np.concatenate([self._log_likelihood(part) for part in parts])

    def _log_likelihood(self, theta: Array) -> Array:
        b, raw, log_sd = self._parts(theta)
        each = b.reshape(len(b), self.family.predictors, -1)
        eta = (each @ self.x.T)[..., None]
        if self.clustered:
            eta = eta + np.exp(log_sd)[:, :, None, None] * GRID
        table = self.family.log_table(eta, self.family.natural(raw))
        by_cluster = self.counts @ table.reshape(len(theta), -1, table.shape[-1])
        if not self.clustered:
            return by_cluster[:, 0, 0]
        width = (GRID[1] - GRID[0]) / np.sqrt(2.0 * np.pi)
        return special.logsumexp(by_cluster - 0.5 * GRID**2, axis=2, b=width).sum(axis=1)

    def log_density(self, theta: Array) -> Array:
        """Of the posterior of theta but for a constant, shape (points,)."""
        _, raw, log_sd = self._parts(theta)
        free = theta[:, : self.free]
        priors = -0.5 * self.precision * np.square(free).sum(axis=1) + self.family.log_prior(raw)
        return self.log_likelihood(theta) + priors + 2.0 * log_sd.sum(axis=1)

    def start(self) -> Array:
        start = np.zeros(self.free + len(self.family.shapes) + self.clustered)
        if isinstance(self.family, NegativeBinomial):
            by_outcome = self.counts.sum(axis=0).reshape(len(self.x), -1).sum(axis=0)
            start[0] = np.log(by_outcome @ self.family.outcomes / by_outcome.sum())
        return start

    def posterior(self, points: int, rng: np.random.Generator) -> Posterior:
        """By importance sampling."""
        theta, weights = weighted_points(self.log_density, self.start(), points, rng)
        return Posterior(self.names, self.natural(theta), weights)

    def maximum_likelihood(self) -> tuple[Array, Array]:
        """Estimates and standard errors (observed information, delta method) in the order of `names`."""
        mode, curvature = maximum(self.log_likelihood, self.start())
        steps = STEP * np.eye(len(mode))
        jacobian = (self.natural(mode + steps) - self.natural(mode - steps)).T / (2.0 * STEP)
        covariance = jacobian @ np.linalg.inv(-curvature) @ jacobian.T
        return self.natural(mode[None])[0], np.sqrt(np.diag(covariance))


# ------------------------------------------------------------------ importance sampling
def weighted_points(
    log_density: Callable[[Array], Array], start: Array, points: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Points (points, parameters) and their weights, from a t distribution that starts as Laplace's approximation."""
    mean, curvature = maximum(log_density, start)
    covariance = np.linalg.inv(-curvature)
    for count in (2000, 4000, points):
        z = rng.standard_normal((count, len(mean)))
        z *= np.sqrt(FREEDOM / rng.chisquare(FREEDOM, count))[:, None]
        theta = mean + z @ np.linalg.cholesky(1.1 * covariance).T
        log_weights = log_density(theta)
        log_weights += 0.5 * (FREEDOM + len(mean)) * np.log1p(np.square(z).sum(axis=1) / FREEDOM)
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        mean = weights @ theta
        covariance = ((theta - mean) * weights[:, None]).T @ (theta - mean)
    return theta, weights


# ------------------------------------------------------------------ maxima
def maximum(density: Callable[[Array], Array], start: Array) -> tuple[Array, Array]:
    """Where a smooth log density is largest, and its second derivatives there."""
    found = optimize.minimize(lambda theta: -density(theta[None])[0], start, method="BFGS").x
    for _ in range(3):
        gradient, curvature = derivatives(density, found)
        found = found - np.linalg.solve(curvature, gradient)
    gradient, curvature = derivatives(density, found)
    assert np.abs(gradient / np.sqrt(-np.diag(curvature))).max() < 1e-4
    return found, curvature


def derivatives(density: Callable[[Array], Array], at: Array) -> tuple[Array, Array]:
    """Gradient and second derivatives by central differences."""
    d = len(at)
    steps = STEP * np.eye(d)
    sums = (steps[:, None] + steps[None, :]).reshape(-1, d)
    differences = (steps[:, None] - steps[None, :]).reshape(-1, d)
    values = density(at + np.concatenate([steps, -steps, sums, differences, -differences, -sums]))
    up, down = values[:d], values[d : 2 * d]
    both, first, second, neither = values[2 * d :].reshape(4, d, d)
    return (up - down) / (2.0 * STEP), (both - first - second + neither) / (4.0 * STEP**2)


# ------------------------------------------------------------------ Yeo-Johnson regression
def yeo_johnson(z: Array, power: Array | float) -> Array:
    """The transformation of Yeo & Johnson (2000), for a power within (0, 2)."""
    positive = (np.power(1.0 + np.maximum(z, 0.0), power) - 1.0) / power
    negative = -(np.power(1.0 - np.minimum(z, 0.0), 2.0 - power) - 1.0) / (2.0 - power)
    return np.where(z >= 0.0, positive, negative)


def yeo_johnson_posterior(z: Array, x: Array, draws: int, rng: np.random.Generator) -> Posterior:
    """Independent draws of the model YJ(z; lambda) = X b + e under flat priors, lambda within (0, 2).

    b is flat and so is the residual variance, IG(-1, 0).
    """
    n, k = x.shape
    grid = np.linspace(0.0, 2.0, 4001)
    grid = 0.5 * (grid[1:] + grid[:-1])
    w = yeo_johnson(z, grid[:, None])
    inverse = np.linalg.inv(x.T @ x)
    b = w @ x @ inverse
    squares = np.square(w - b @ x.T).sum(axis=1)
    log_jacobian = (grid - 1.0) * float((np.sign(z) * np.log1p(np.abs(z))).sum())
    a = 0.5 * (n - k) - 1.0
    log_density = log_jacobian - a * np.log(squares)
    share = np.exp(log_density - log_density.max())
    at = rng.choice(grid.size, size=draws, p=share / share.sum())
    power = grid[at] + (grid[1] - grid[0]) * (rng.random(draws) - 0.5)
    variance = 0.5 * squares[at] / rng.standard_gamma(a, draws)
    noise = rng.standard_normal((draws, k)) @ np.linalg.cholesky(inverse).T
    values = np.column_stack([b[at] + np.sqrt(variance)[:, None] * noise, variance, power])
    names = (*(f"b {i}" for i in range(k)), "variance", "lambda")
    return Posterior(names, values, np.full(draws, 1.0 / draws))

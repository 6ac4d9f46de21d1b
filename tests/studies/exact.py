"""Imputations of one discrete variable drawn from the exact posterior, in numpy alone, for single-level data.

The missing values are summed out of the likelihood; its parameters are drawn by importance sampling around its mode.
Nothing is shared with the program: no augmentation, no Gibbs sampling, no chains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from scipy.special import gammaln, log_softmax, logsumexp, softmax

DRAWS = 600  # importance draws
FREEDOM = 6  # of the t distribution that they come from
WIDER = 1.3  # its scale against the curvature at the mode
LARGEST = 60.0  # count that is summed over
COEFFICIENT_VARIANCE = 5.0  # of coefficients of probit and logit models
DISPERSION_VARIANCE = 10.0  # of the log dispersion

Vector = np.ndarray


@dataclass(frozen=True)
class Problem:
    """A variable t (nan where missing) given `design` (rows, q) and, if y is not None, y given t and `design`.

    `scores`: what t enters the equation of y as, a function of values to an array (values, k).
    """

    kind: str
    t: Vector
    design: Vector
    y: Vector | None
    scores: Callable[[Vector], Vector]

    @property
    def values(self) -> Vector:
        """All values that t can have."""
        if self.kind == "count":
            return np.arange(LARGEST + 1.0)
        return np.unique(self.t[~np.isnan(self.t)])

    # -------------------------------------------------------------- parameters: those of t, then those of y
    def own(self) -> int:
        """How many parameters t's equation has."""
        q, k = self.design.shape[1], len(self.values)
        return {"count": q + 2, "nominal": (k - 1) * (q + 1)}.get(self.kind, k - 1 + q)

    def start(self) -> Vector:
        start = np.zeros(self.own())
        seen = self.t[~np.isnan(self.t)]
        if self.kind == "count":
            start[0], start[-1] = np.log(seen.mean()), -1.0
        if self.y is None:
            return start
        k = self.scores(self.values[:1]).shape[1]
        return np.concatenate([start, [self.y.mean()], np.zeros(k + self.design.shape[1]), [0.0]])

    def log_prior(self, theta: Vector) -> float:
        """As the program has it: flat thresholds, flat variance of y (here a log standard deviation)."""
        own = theta[: self.own()]
        total = 0.0 if self.y is None else 2.0 * theta[-1]
        if self.kind == "count":
            return total - 0.5 * own[-1] ** 2 / DISPERSION_VARIANCE
        gaps = own[1 : len(self.values) - 1] if self.kind != "nominal" else np.zeros(0)
        rest = own if self.kind == "nominal" else np.delete(own, np.arange(1, len(self.values) - 1))
        # a predictor's model has flat coefficients
        normal = 0.0 if self.y is not None else 0.5 * float(rest @ rest) / COEFFICIENT_VARIANCE
        return total + float(gaps.sum()) - normal

    def log_probabilities(self, theta: Vector) -> Vector:
        """Log probability of each value of t, shape (rows, values)."""
        own, q = theta[: self.own()], self.design.shape[1]
        if self.kind == "nominal":
            b = own.reshape(-1, q + 1)
            return log_softmax(np.pad(b[:, 0] + self.design @ b[:, 1:].T, ((0, 0), (1, 0))), axis=1)
        if self.kind == "count":
            mean, size = np.exp(own[0] + self.design @ own[1:-1])[:, None], np.exp(-own[-1])
            k = self.values
            constant = gammaln(k + size) - gammaln(size) - gammaln(k + 1.0)
            return constant + size * np.log(size / (size + mean)) + k * np.log(mean / (size + mean))
        cuts = own[0] + np.concatenate([[0.0], np.cumsum(np.exp(own[1 : len(self.values) - 1]))])
        below = stats.norm.cdf(cuts - (self.design @ own[len(self.values) - 1 :])[:, None])
        return np.log(np.maximum(np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=(0, 1))), 1e-300))

    def log_joint(self, theta: Vector) -> Vector:
        """Log density of t = each value together with y, shape (rows, values)."""
        cells = self.log_probabilities(theta)
        if self.y is None:
            return cells
        b, scores = theta[self.own() :], self.scores(self.values)
        k = scores.shape[1]
        mean = b[0] + (scores @ b[1 : k + 1])[None] + (self.design @ b[k + 1 : -1])[:, None]
        return cells - 0.5 * ((self.y[:, None] - mean) / np.exp(b[-1])) ** 2 - b[-1]

    def log_posterior(self, theta: Vector) -> float:
        """Up to a constant."""
        cells = self.log_joint(theta)
        holes = np.isnan(self.t)
        seen = np.flatnonzero(~holes)
        total = cells[seen, np.searchsorted(self.values, self.t[seen])].sum()
        return float(total + logsumexp(cells[holes], axis=1).sum()) + self.log_prior(theta)


def curvature(function: Callable[[Vector], float], at: Vector, step: float = 2e-3) -> Vector:
    """Second derivatives by central differences."""
    moves = step * np.eye(at.size)
    return np.array(
        [
            [
                function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
                for b in moves
            ]
            for a in moves
        ]
    ) / (4.0 * step**2)


def posterior_draws(problem: Problem, count: int, rng: np.random.Generator) -> Vector:
    """Parameters from the posterior, shape (count, parameters)."""
    mode = optimize.minimize(
        lambda theta: -problem.log_posterior(theta), problem.start(), method="BFGS", options={"gtol": 1e-3}
    ).x
    root = np.linalg.cholesky(WIDER * np.linalg.inv(-curvature(problem.log_posterior, mode)))
    normal = rng.normal(size=(DRAWS, mode.size))
    stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, DRAWS))
    theta = mode + (normal * stretch[:, None]) @ root.T
    distance = (normal**2).sum(axis=1) * stretch**2
    proposal = -0.5 * (FREEDOM + mode.size) * np.log1p(distance / FREEDOM)
    weights = softmax(np.array([problem.log_posterior(one) for one in theta]) - proposal)
    return theta[rng.choice(DRAWS, count, p=weights)]


def completed_values(problem: Problem, count: int, rng: np.random.Generator) -> list[Vector]:
    """`count` completions of t."""
    holes = np.isnan(problem.t)
    found = []
    for theta in posterior_draws(problem, count, rng):
        chances = softmax(problem.log_joint(theta)[holes], axis=1).cumsum(axis=1)
        places = (chances < rng.random((int(holes.sum()), 1))).sum(axis=1)
        t = problem.t.copy()
        t[holes] = problem.values[np.minimum(places, len(problem.values) - 1)]
        found.append(t)
    return found

"""The exact posterior of a two-level model under flat priors, by importance sampling in plain numpy.

Coefficients, random effects and nothing else are integrated out by hand; the variances that remain are few
enough to be weighted against a t distribution.  Shares no code with the program.
"""

from dataclasses import dataclass

import numpy as np

FREEDOM = 5.0


@dataclass
class Posterior:
    """Weighted points: `covariance` (points, 2, 2) of the random effects, `residual` variance, `weights`."""

    covariance: np.ndarray
    residual: np.ndarray
    weights: np.ndarray

    def share_below(self, values, bound):
        return float(self.weights @ (values < bound))

    @property
    def effective(self):
        return 1.0 / float(self.weights @ self.weights)


class MixedModel:
    """y = X b + Z u + e with two random effects, the first columns of X, in groups."""

    def __init__(self, y, x, groups):
        _, group = np.unique(groups, return_inverse=True)
        self.groups = group.max() + 1
        self.rows, self.terms = x.shape
        both = np.column_stack([x, y])
        products = np.zeros((self.groups, both.shape[1], both.shape[1]))
        np.add.at(products, group, both[:, :, None] * both[:, None, :])
        self.zz, self.zw, self.ww = products[:, :2, :2], products[:, :2], products.sum(0)

    def log_density(self, theta):
        """Of (log residual variance, log L11, L21, log L22) with covariance L L', flat on the variances."""
        residual, factor = unpacked(theta)
        crossed = np.repeat(self.ww[None], len(theta), axis=0)
        log_determinant = (self.rows - 2 * self.groups) * theta[:, 0]
        turned = factor.transpose(0, 2, 1)
        for zz, zw in zip(self.zz, self.zw, strict=True):
            inner = residual[:, None, None] * np.eye(2) + turned @ zz @ factor
            right = turned @ zw
            crossed -= right.transpose(0, 2, 1) @ np.linalg.solve(inner, right)
            log_determinant += np.linalg.slogdet(inner)[1]
        crossed /= residual[:, None, None]
        xx, xy, yy = crossed[:, :-1, :-1], crossed[:, :-1, -1], crossed[:, -1, -1]
        explained = (xy * np.linalg.solve(xx, xy[:, :, None])[:, :, 0]).sum(1)
        log_likelihood = -0.5 * (log_determinant + np.linalg.slogdet(xx)[1] + yy - explained)
        return log_likelihood + theta[:, 0] + 3.0 * theta[:, 1] + 2.0 * theta[:, 3]  # Jacobian of the scales

    def posterior(self, start, spread, points, rng):
        """Points from a t distribution that is fitted to the posterior in a few rounds."""
        mean, covariance = np.asarray(start), np.diag(np.square(spread))
        for count in (5_000, 10_000, 20_000, 20_000, points):
            stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, count))[:, None]
            z = rng.standard_normal((count, 4)) * stretch
            theta = mean + z @ np.linalg.cholesky(covariance).T
            log_weight = self.log_density(theta)
            log_weight += 0.5 * (FREEDOM + 4) * np.log1p((z**2).sum(1) / FREEDOM)
            weights = np.exp(log_weight - log_weight.max())
            weights /= weights.sum()
            mean = weights @ theta
            covariance = 1.1 * ((theta - mean) * weights[:, None]).T @ (theta - mean)
        residual, factor = unpacked(theta)
        return Posterior(factor @ factor.transpose(0, 2, 1), residual, weights)


def unpacked(theta):
    factor = np.zeros((len(theta), 2, 2))
    factor[:, 0, 0], factor[:, 1, 0], factor[:, 1, 1] = np.exp(theta[:, 1]), theta[:, 2], np.exp(theta[:, 3])
    return np.exp(theta[:, 0]), factor

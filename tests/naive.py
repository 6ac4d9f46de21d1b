"""Slow, obvious implementations of what the engine computes, with numpy and scipy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg, stats

Array = np.ndarray


# ------------------------------------------------------------------ densities
def log_normal(x: Array, mean: Array | float, variance: float) -> float:
    """Log density of independent normals with one variance."""
    return float(stats.norm.logpdf(x, mean, np.sqrt(variance)).sum())


def log_inverse_gamma(x: float, a: float, b: float) -> float:
    """log of x^(-a-1) exp(-b/x): normalised only if the prior is proper, which differences do not need."""
    if a > 0.0 and b > 0.0:
        return float(stats.invgamma.logpdf(x, a, scale=b))
    return -(a + 1.0) * np.log(x) - b / x


def log_inverse_wishart(s: Array, df: float, scale: Array) -> float:
    """log of |S|^(-(df+p+1)/2) exp(-tr(scale S^-1)/2); normalised by scipy when the prior is proper."""
    p = len(s)
    if df > p - 1 and np.linalg.det(scale) > 0.0:
        return float(stats.invwishart.logpdf(s, df, scale))
    return -0.5 * (df + p + 1) * np.linalg.slogdet(s)[1] - 0.5 * float(np.trace(scale @ np.linalg.inv(s)))


def log_jacobian_of_factor(factor: Array) -> float:
    """log |d vech(LL') / d vech(L)| by differencing the map itself (exact: it is quadratic)."""
    p = len(factor)
    lower = np.tril_indices(p)
    jacobian = []
    for i, j in zip(*lower, strict=True):
        e = np.zeros((p, p))
        e[i, j] = 1.0
        jacobian.append((e @ factor.T + factor @ e.T)[lower])
    return float(np.linalg.slogdet(np.array(jacobian))[1])


def log_prior_of_factor(factor: Array, df: float, scale: float) -> float:
    """Log density of L when LL' ~ IW(df, scale I)."""
    s = factor @ factor.T
    return log_inverse_wishart(s, df, scale * np.eye(len(s))) + log_jacobian_of_factor(factor)


def log_mixed_model(
    y: Array, x: Array, beta: Array, parts: Sequence[tuple[Array, Array, Array]], variance: float
) -> float:
    """Log density of y ~ N(X beta, sum over levels of Z S Z' + variance I).

    `parts`: for each level (Z of shape (rows, effects), cluster of each row, S).
    """
    return float(stats.multivariate_normal.logpdf(y, x @ beta, mixed_covariance(len(y), parts, variance)))


def mixed_covariance(n: int, parts: Sequence[tuple[Array, Array, Array]], variance: float) -> Array:
    """Marginal covariance matrix of a mixed model."""
    total = variance * np.eye(n)
    for z, cluster, s in parts:
        same = cluster[:, None] == cluster[None, :]
        total = total + same * (z @ s @ z.T)
    return total


def log_restricted(y: Array, x: Array, parts: Sequence[tuple[Array, Array, Array]], variance: float) -> float:
    """Log of the integral of the mixed model's density over flat coefficients (a restricted likelihood)."""
    v = mixed_covariance(len(y), parts, variance)
    vx, vy = np.linalg.solve(v, x), np.linalg.solve(v, y)
    information = x.T @ vx
    residual = y @ vy - (x.T @ vy) @ np.linalg.solve(information, x.T @ vy)
    n, k = x.shape
    total = (n - k) * np.log(2.0 * np.pi) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    return -0.5 * float(total + residual)


# ------------------------------------------------------------------ small algebra
def cross_products(a: Array, b: Array, parents: Array, size: int) -> Array:
    """Sums of a b within each parent, one after the other."""
    sums = np.zeros(size)
    for x, y, u in zip(a, b, parents, strict=True):
        sums[u] += x * y
    return sums


def eliminate(p: Array, h: Array, keep: int) -> tuple[Array, Array, float]:
    """Integrate out all but the last `keep` of a Gaussian exp(-(t'Pt - 2h't)/2): P, h left and log determinant."""
    inner, outer = slice(0, len(h) - keep), slice(len(h) - keep, None)
    solved = np.linalg.solve(p[inner, inner], np.column_stack([p[inner, outer], h[inner]]))
    rest = p[outer, outer] - p[outer, inner] @ solved[:, :-1]
    return rest, h[outer] - p[outer, inner] @ solved[:, -1], float(np.linalg.slogdet(p[inner, inner])[1])


# ------------------------------------------------------------------ explained variance
def variance_parts(
    x: Array, beta: Array, groups: Sequence[tuple[Sequence[int], Array]]
) -> dict[str, list[float]]:
    """Rights & Sterba (2019): variance by the coefficients, and by each group's intercepts and slopes.

    `x`: terms, shape (rows, terms), raw; `groups`: (positions of the terms, covariance matrix).
    """
    parts = {"sd": list(x.std(axis=0, ddof=1)), "explained": [float(np.var(x @ beta, ddof=1))], "random": []}
    for terms, t in groups:
        z = x[:, list(terms)]
        mean, spread = z.mean(axis=0), np.atleast_2d(np.cov(z, rowvar=False))
        parts["random"] += [float(mean @ t @ mean), float(np.trace(spread @ t))]
    return parts


# ------------------------------------------------------------------ a plain Gibbs sampler
def gibbs_mixed_model(
    y: Array,
    x: Array,
    z: Array,
    cluster: Array,
    prior_mean: Array,
    prior_variance: Array,
    variance_prior: tuple[float, float],
    matrix_prior: tuple[float, Array],
    draws: int,
    burn: int,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """The textbook sampler for y = X beta + Z u_j + e: beta, every u_j, S and the variance in turn.

    beta ~ N(prior_mean, diag(prior_variance)), variance ~ IG(a, b), S ~ IW(df, scale).
    """
    n, k = x.shape
    q = z.shape[1]
    members = [np.flatnonzero(cluster == j) for j in np.unique(cluster)]
    u = np.zeros((len(members), q))
    beta, s, variance = np.zeros(k), np.eye(q), 1.0
    own = np.zeros((n, q))
    kept = {"beta": np.empty((draws, k)), "s": np.empty((draws, q, q)), "variance": np.empty(draws)}
    for i in range(-burn, draws):
        precision = x.T @ x / variance + np.diag(1.0 / prior_variance)
        linear = x.T @ (y - (z * own).sum(axis=1)) / variance + prior_mean / prior_variance
        beta = _gaussian(precision, linear, rng)
        rest = y - x @ beta
        inverse = np.linalg.inv(s)
        for j, rows in enumerate(members):
            u[j] = _gaussian(z[rows].T @ z[rows] / variance + inverse, z[rows].T @ rest[rows] / variance, rng)
            own[rows] = u[j]
        df, scale = matrix_prior
        s = np.atleast_2d(stats.invwishart.rvs(df + len(members), scale + u.T @ u, random_state=rng))
        squares = float(((rest - (z * own).sum(axis=1)) ** 2).sum())
        a, b = variance_prior
        variance = (b + 0.5 * squares) / rng.standard_gamma(a + 0.5 * n)
        if i >= 0:
            kept["beta"][i], kept["s"][i], kept["variance"][i] = beta, s, variance
    return kept


def _gaussian(precision: Array, linear: Array, rng: np.random.Generator) -> Array:
    """A draw from N(P^-1 h, P^-1)."""
    lower = np.linalg.cholesky(precision)
    half = linalg.solve_triangular(lower, linear, lower=True)
    return linalg.solve_triangular(lower.T, half + rng.standard_normal(len(linear)), lower=False)


# ------------------------------------------------------------------ Monte Carlo error
def batch_error(draws: Array, batches: int = 40) -> float:
    """Standard error of a mean by batch means; `draws` of shape (chains, draws) or (draws,)."""
    chains = np.atleast_2d(draws)
    each = max(2, batches // len(chains))
    length = chains.shape[1] // each
    means = chains[:, : each * length].reshape(len(chains) * each, length).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(means.size))


def difference_in_errors(a: Array, b: Array, of: Callable[[Array], Array] = lambda x: x) -> float:
    """Difference of two posterior means of a function, in units of its Monte Carlo error."""
    a, b = of(a), of(b)
    return float((a.mean() - b.mean()) / np.hypot(batch_error(a), batch_error(b)))

"""Log likelihood of each independent unit: a top-level cluster, or a row of single-level data.

Conditional: given the random effects.  Marginal: with the random effects of `|` integrated out, level by
level, by the matrix determinant lemma and the Woodbury identity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.state import State
from mlbayes.plan.polynomial import Polynomial
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance

Vector = NDArray[np.float64]
LOG_2PI = float(np.log(2.0 * np.pi))


def conditional_likelihood(state: State) -> Vector:
    """Log likelihood of every unit given all random effects, all equations added up; shape (units,)."""
    hierarchy = state.model.hierarchy
    top = hierarchy.levels
    total = np.zeros(hierarchy.units[top - 1])
    for c in state.planned.regressions.covariances:
        level = state.planned.regressions.outcomes[c.members[0]].equation.level
        total += sums(_correlated(state, c), hierarchy.ancestors(level, top), total.size)
    for source, parts in enumerate(state.sources):
        r = parts[0]
        if not r.continuous and not r.covariance and not r.of_variance:
            values = state.log_likelihood(source)
            total += np.bincount(hierarchy.ancestors(r.equation.level, top), values, total.size)
    for r in state.planned.regressions.locations:
        if not r.continuous:
            continue
        parents = hierarchy.ancestors(r.equation.level, top)
        if r.transformation is not None:
            total += np.bincount(parents, state.log_slope(r), total.size)
        if r.covariance:
            continue
        variance = state.variance(r)
        values = -0.5 * (LOG_2PI + np.log(variance) + state.residual(r.number) ** 2 / variance)
        total += np.bincount(parents, values, total.size)
    return total


def _correlated(state: State, c: ResidualCovariance) -> Vector:
    """Log density of the correlated residuals of several equations, of latent responses where there are any."""
    root = np.linalg.cholesky(state.residual_covariance(c))
    roots = np.stack([state.root(state.planned.regressions.outcomes[k]) for k in c.members])
    z = np.linalg.solve(root, roots * np.stack([state.deviation(k) for k in c.members]))
    log_density = -0.5 * (len(c.members) * LOG_2PI + (z * z).sum(axis=0)) - np.log(np.diag(root)).sum()
    return log_density + np.log(roots).sum(axis=0)


def marginal_likelihood(state: State) -> Vector:
    """The same with random effects integrated out."""
    hierarchy = state.model.hierarchy
    total = np.zeros(hierarchy.units[hierarchy.levels - 1])
    for c in state.planned.regressions.covariances:
        level = state.planned.regressions.outcomes[c.members[0]].equation.level
        total += sums(_correlated(state, c), hierarchy.ancestors(level, hierarchy.levels), total.size)
    for r in state.planned.regressions.locations:
        parents = hierarchy.ancestors(r.equation.level, hierarchy.levels)
        if not r.continuous:  # these have no random effects where this is used
            if r is state.sources[r.planned.source][0] and not r.covariance:
                total += sums(state.log_likelihood(r.planned.source), parents, total.size)
            continue
        if r.transformation is not None:
            total += sums(np.asarray(state.log_slope(r)), parents, total.size)
        if not r.covariance:
            total += _marginal(state, r)
    return total


def sums(values: Vector, parents: NDArray[np.int64], size: int) -> Vector:
    """Sums within groups."""
    return np.bincount(parents, values, size).astype(np.float64)


def _marginal(state: State, r: OutcomeRegression) -> Vector:
    """Log likelihood of the units of one equation."""
    hierarchy = state.model.hierarchy
    level, top = r.equation.level, hierarchy.levels
    variance = state.variance(r)
    fixed = Polynomial.of(r.left)
    for coefficient, term in zip(r.coefficients, r.terms, strict=True):
        fixed = fixed - coefficient * term
    groups = sorted(zip(r.equation.random, r.factors, strict=True), key=lambda pair: pair[0].level)
    columns = [state.evaluate(r.terms[t], level) for group, _ in groups for t in reversed(group.terms)]
    columns.append(state.evaluate(fixed, level))
    rows = np.stack(columns) / np.sqrt(variance)
    base = groups[0][0].level if groups else top
    parents = hierarchy.ancestors(level, base)
    size = hierarchy.units[base - 1]
    width = len(columns)
    cross = np.empty((size, width, width))
    for i in range(width):
        for j in range(i + 1):
            cross[:, i, j] = cross[:, j, i] = np.bincount(parents, rows[i] * rows[j], size)
    total = sums(-0.5 * (LOG_2PI + np.log(variance)), parents, size)
    for group, factor in groups:
        if group.level > base:
            cross, total = _add_up(
                cross, total, hierarchy.ancestors(base, group.level), hierarchy.units[group.level - 1]
            )
            base = group.level
        n = len(group.terms)
        cross, log_determinant = _integrate(cross, state.factor(factor, n))
        total = total - 0.5 * log_determinant
    total = total - 0.5 * cross[:, 0, 0]
    return sums(total, hierarchy.ancestors(base, top), hierarchy.units[top - 1])


def _add_up(cross: Vector, total: Vector, parents: NDArray[np.int64], size: int) -> tuple[Vector, Vector]:
    """Sums of cross products and of log likelihoods within the clusters of a higher level."""
    summed = np.zeros((size, *cross.shape[1:]))
    np.add.at(summed, parents, cross)
    return summed, sums(total, parents, size)


def _integrate(cross: Vector, factor: Vector) -> tuple[Vector, Vector]:
    """Integrate out the effects of the first columns, covariance L L'; returns what is left and log determinants."""
    n = len(factor)
    precision = np.eye(n) + factor.T @ cross[:, :n, :n] @ factor
    rest = factor.T @ cross[:, :n, n:]
    root = np.linalg.cholesky(precision)
    solved = np.linalg.solve(root, rest)
    log_determinant = 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return cross[:, n:, n:] - np.swapaxes(solved, 1, 2) @ solved, log_determinant

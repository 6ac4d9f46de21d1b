"""Log likelihood of each independent unit: a top-level cluster, or a row of single-level data.

Conditional: given the random effects.  Marginal: with the random effects of `|` integrated out, level by
level, by the matrix determinant lemma and the Woodbury identity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.state import State
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance

Vector = NDArray[np.float64]
LOG_2PI = float(np.log(2.0 * np.pi))
QUIET = np.errstate(all="ignore")  # a chain whose numbers overflow is ended, and said why, by what watches it


@QUIET
def conditional_likelihood(state: State) -> Vector:
    """Log likelihood of every unit given all random effects, all equations added up; shape (units,)."""
    hierarchy = state.model.hierarchy
    top = hierarchy.levels
    total = np.zeros(hierarchy.units[top - 1])
    for c in state.planned.regressions.covariances:
        level = state.planned.regressions.outcomes[c.members[0]].equation.level
        total += hierarchy.sums(_correlated(state, c), level, top)
    for source, parts in enumerate(state.sources):
        r = parts[0]
        if not r.continuous and not r.covariance and not r.of_variance:
            total += hierarchy.sums(state.log_likelihood(source), r.equation.level, top)
    for r in state.planned.regressions.locations:
        if not r.continuous:
            continue
        level = r.equation.level
        if r.transformation is not None:
            total += hierarchy.sums(np.asarray(state.log_slope(r)), level, top)
        if r.covariance:
            continue
        variance = state.variances(r)
        values = -0.5 * (LOG_2PI + np.log(variance) + state.residual(r.number) ** 2 / variance)
        total += hierarchy.sums(values, level, top)
    return total


def _correlated(state: State, c: ResidualCovariance) -> Vector:
    """Log density of the correlated residuals of several equations, of latent responses where there are any."""
    root = np.linalg.cholesky(state.residual_covariance(c))
    roots = np.stack([state.root(state.planned.regressions.outcomes[k]) for k in c.members])
    z = np.linalg.solve(root, roots * np.stack([state.deviation(k) for k in c.members]))
    log_density = -0.5 * (len(c.members) * LOG_2PI + (z * z).sum(axis=0)) - np.log(np.diag(root)).sum()
    return log_density + np.log(roots).sum(axis=0)


@QUIET
def marginal_likelihood(state: State) -> Vector:
    """The same with random effects integrated out."""
    hierarchy = state.model.hierarchy
    top = hierarchy.levels
    total = np.zeros(hierarchy.units[top - 1])
    for c in state.planned.regressions.covariances:
        level = state.planned.regressions.outcomes[c.members[0]].equation.level
        total += hierarchy.sums(_correlated(state, c), level, top)
    for r in state.planned.regressions.locations:
        level = r.equation.level
        if not r.continuous:  # these have no random effects where this is used
            if r is state.sources[r.planned.source][0] and not r.covariance:
                total += hierarchy.sums(state.log_likelihood(r.planned.source), level, top)
            continue
        if r.transformation is not None:
            total += hierarchy.sums(np.asarray(state.log_slope(r)), level, top)
        if not r.covariance:
            total += _marginal(state, r)
    return total


def _marginal(state: State, r: OutcomeRegression) -> Vector:
    """Log likelihood of the units of one equation."""
    hierarchy = state.model.hierarchy
    level, top = r.equation.level, hierarchy.levels
    variance = state.variances(r)
    groups = sorted(zip(r.equation.random, r.factors, strict=True), key=lambda pair: pair[0].level)
    columns = [state.evaluate(r.terms[t], level) for group, _ in groups for t in reversed(group.terms)]
    columns.append(state.evaluate(r.fixed_residual, level))
    if variance.size > 1:
        root = np.sqrt(variance)
        columns = [column / root for column in columns]
    base = groups[0][0].level if groups else top
    width = len(columns)
    cross = np.empty((width, width, hierarchy.units[base - 1]))
    for i in range(width):
        for j in range(i + 1):
            cross[i, j] = cross[j, i] = hierarchy.sums(columns[i] * columns[j], level, base)
    if variance.size == 1:
        cross /= variance
    constant = np.broadcast_to(-0.5 * (LOG_2PI + np.log(variance)), (hierarchy.units[level - 1],))
    total = hierarchy.sums(constant, level, base)
    for group, factor in groups:
        if group.level > base:
            cross = hierarchy.sums(cross, base, group.level)
            total = hierarchy.sums(total, base, group.level)
            base = group.level
        cross, log_determinant = _integrate(cross, state.factor(factor, len(group.terms)))
        total = total - 0.5 * log_determinant
    return hierarchy.sums(total - 0.5 * cross[0, 0], base, top)


def _integrate(cross: Vector, factor: Vector) -> tuple[Vector, Vector]:
    """Integrate out the effects of the first columns, covariance L L'; returns what is left and log determinants.

    `cross`: (columns, columns, units), `factor`: L.  The few columns are looped over, so that each operation is one on
    a vector of all units: R = I + L'QL = CC', and Q - V'V with V = C^-1 L'Q is left.
    """
    n, width = len(factor), len(cross)
    half = [sum(factor[k, a] * cross[k] for k in range(a, n)) for a in range(n)]
    root: list[list[Vector]] = []
    solved: list[Vector] = []
    log_determinant = np.zeros(cross.shape[-1])
    for a in range(n):
        row: list[Vector] = []
        for b in range(a + 1):
            value = sum(factor[k, b] * half[a][k] for k in range(b, n)) + float(a == b)
            for i in range(b):
                value = value - row[i] * (root[b][i] if b < a else row[i])
            row.append(np.sqrt(value) if a == b else value / root[b][b])
        root.append(row)
        rest = half[a][n:]
        for i in range(a):
            rest = rest - row[i] * solved[i]
        solved.append(rest / row[a])
        log_determinant += 2.0 * np.log(row[a])
    left = cross[n:, n:].copy()
    for i in range(width - n):
        for j in range(width - n):
            for v in solved:
                left[i, j] -= v[i] * v[j]
    return left, log_determinant

"""The log likelihood of a model graph by scipy.stats, at a point: equation by equation, unit by unit.

It knows the graph and the values of everything in it (`naive.Values`), nothing of plans, blocks and working
responses, and shares no code with the engine.
"""

from __future__ import annotations

import naive
import numpy as np
from scipy import special, stats

Array = np.ndarray


def conditional(values: naive.Values) -> Array:
    """Log likelihood of each unit of the highest level given its random effects, all equations added up."""
    total = np.zeros(values.model.hierarchy.units[-1])
    for members in values.covariances:
        _add(values, total, values.log_correlated(members), members[0])
    for k in _single(values):
        _add(values, total, log_outcome(values, k), k)
    return total


def marginal(values: naive.Values) -> Array:
    """The same with the random effects of `|` integrated out: a dense normal law for each unit."""
    model = values.model
    total = np.zeros(model.hierarchy.units[-1])
    for members in values.covariances:
        _add(values, total, values.log_correlated(members), members[0])
    for k in _single(values):
        equation = model.equations[k]
        if not equation.random:
            _add(values, total, log_outcome(values, k), k)
            continue
        outcome = values.data[equation.outcome]
        left = values.left(k, outcome)
        slope = values.log_slope(k)
        terms = [
            values.expression(t.expression, equation.level, values.modes.get(k, "exact"))
            for t in equation.terms
        ]
        mean = values.fitted(k)
        parts = []
        for group in equation.random:
            effects, z = (
                values.effects[k, None, group.level],
                np.stack([terms[t] for t in group.terms], axis=1),
            )
            above = model.hierarchy.ancestors(equation.level, group.level)
            mean = mean - (z * effects.T[above]).sum(axis=1)
            parts.append((z, above, values.matrices[k, None, group.level]))
        variance = values.variance(k)
        tops = model.hierarchy.ancestors(equation.level, model.hierarchy.levels)
        for unit in range(total.size):
            rows = np.flatnonzero(tops == unit)
            if not rows.size:
                continue
            own = [(z[rows], above[rows], matrix) for z, above, matrix in parts]
            covariance = naive.mixed_covariance(rows.size, own, 0.0) + np.diag(variance[rows])
            law = stats.multivariate_normal(mean[rows], covariance)
            total[unit] += law.logpdf(left[rows]) + slope[rows].sum()
    return total


def log_outcome(values: naive.Values, k: int) -> Array:
    """Log density or probability of the outcome of an equation, for each unit of its level."""
    equation = values.model.equations[k]
    outcome, family = values.data[equation.outcome], equation.distribution.name
    if family in ("NORMAL", "YEO_JOHNSON"):
        law = stats.norm(values.fitted(k), np.sqrt(values.variance(k)))
        plain = family == "NORMAL" and type(equation.left).__name__ == "Reference"
        return law.logpdf(values.left(k, outcome)) + (0.0 if plain else values.log_slope(k))
    if family == "NEGATIVE_BINOMIAL":
        size = 1.0 / values.dispersions[k]
        mean = np.exp(values.fitted(k))
        return stats.nbinom.logpmf(outcome, size, size / (size + mean))
    codes = list(values.model.variables[equation.outcome].codes)
    if family == "MULTINOMIAL":
        logits = {code: values.fitted(k, code) for code in values.categories(k)}
        scores = np.stack([logits.get(code, np.zeros(outcome.size)) for code in codes])
        return special.log_softmax(scores, axis=0)[
            [codes.index(code) for code in outcome], range(outcome.size)
        ]
    law = stats.norm(values.fitted(k), 1.0) if family == "PROBIT" else stats.logistic(values.fitted(k), 1.0)
    cuts = np.concatenate([[-np.inf], values.cuts[k], [np.inf]])
    places = np.array([codes.index(code) for code in outcome])
    return np.log(law.cdf(cuts[places + 1]) - law.cdf(cuts[places]))


def _single(values: naive.Values) -> list[int]:
    """Equations of outcomes whose residuals are not correlated with others."""
    correlated = {k for members in values.covariances for k in members}
    return [
        k
        for k, equation in enumerate(values.model.equations)
        if k not in correlated and equation.distribution.name != "LOG_VARIANCE"
    ]


def _add(values: naive.Values, total: Array, found: Array, k: int) -> None:
    """Add what the units of an equation have to the units of the highest level."""
    hierarchy = values.model.hierarchy
    np.add.at(total, hierarchy.ancestors(values.model.equations[k].level, hierarchy.levels), found)

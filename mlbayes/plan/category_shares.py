"""What nominal predictors are centred at: the probability of each category in their own model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder, UnitSet
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import TOP, Polynomial
from mlbayes.plan.regressions import PredictorRegression
from mlbayes.plan.symbols import Symbols

NODES = 16  # of Gauss-Hermite quadrature: errors below 1e-5 with up to five categories
ROOT_TWO = float(np.sqrt(2.0))


def publish_category_shares(symbols: Symbols, parts: Sequence[PredictorRegression]) -> None:
    """Instructions for the shares of all categories but the reference.

    The average over units of the probabilities of the multinomial probit, where the linear predictors of each response
    are moved by a constant so that their average is the response's grand mean.  `parts`: the lowest part of each
    response's model.
    """
    builder = symbols.builder
    predictors = [Polynomial.of(part.response) - part.residual() for part in parts]
    units, weights = _distinct(symbols, predictors, parts[0].level)
    evaluator = Evaluator(symbols, units)
    n = units.units
    means = []
    for part, predictor in zip(parts, predictors, strict=True):
        mean, product, shift = builder.zeros(n), builder.zeros(n), builder.zeros(1)
        builder.instruct(p.OP_COPY, mean, n, evaluator.vector(predictor))
        builder.instruct(p.OP_MULTIPLY, product, n, mean, weights)
        builder.instruct(p.OP_SUM, shift, n, product)
        builder.instruct(p.OP_SCALE, shift, 1, shift, builder.scalar(-1.0))
        grand = symbols.offset(symbols.grand(part.variable, part.code or 0))
        builder.instruct(p.OP_ADD, shift, 1, grand)
        builder.instruct(p.OP_ADD_SCALAR, mean, n, shift)
        means.append(mean)
    for k, part in enumerate(parts):
        share = symbols.offset(symbols.centre(part.variable, part.code or 0))
        probability = category_probability(builder, n, means, k)
        builder.instruct(p.OP_MULTIPLY, probability, n, probability, weights)
        builder.instruct(p.OP_SUM, share, n, probability)


def _distinct(symbols: Symbols, predictors: Sequence[Polynomial], level: int) -> tuple[UnitSet, int]:
    """The units of the lowest level at which linear predictors vary, and the place of their weights, sum 1."""
    lowest = min((atom.level for one in predictors for atom in one.atoms()), default=TOP)
    n = symbols.units(lowest)
    above = np.zeros(symbols.units(level), dtype=np.int64)
    if lowest != TOP:
        above = symbols.model.hierarchy.ancestors(level, lowest)
    weights = np.bincount(above, minlength=n) / above.size
    return symbols.builder.unit_set(lowest, n, None, None), symbols.builder.vector(weights)


def category_probability(builder: PlanBuilder, n: int, means: Sequence[int], k: int) -> int:
    """Instructions for the probability that response k is the largest of all and 0, at n means; its place.

    Responses are differences of independent normal utilities of variance 1/2.  Given the utility of category k, the
    others are below it independently of each other; it is integrated out by Gauss-Hermite quadrature.
    """
    total, product, below = builder.zeros(n), builder.zeros(n), builder.zeros(n)
    if len(means) == 1:  # the response alone, with variance 1
        builder.instruct(p.OP_NORMAL_CDF, total, n, means[0])
        return total
    gaps = []
    for other in [None, *(mean for mean in means if mean != means[k])]:
        gap = builder.zeros(n)
        builder.instruct(p.OP_COPY, gap, n, means[k])
        if other is not None:
            builder.instruct(p.OP_SUBTRACT, gap, n, other)
        builder.instruct(p.OP_SCALE, gap, n, gap, builder.scalar(ROOT_TWO))
        gaps.append(gap)
    builder.instruct(p.OP_FILL, total, n, builder.zero)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        builder.instruct(p.OP_FILL, product, n, builder.one)
        for gap in gaps:
            builder.instruct(p.OP_COPY, below, n, gap)
            builder.instruct(p.OP_ADD_SCALAR, below, n, builder.scalar(float(node)))
            builder.instruct(p.OP_NORMAL_CDF, below, n, below)
            builder.instruct(p.OP_MULTIPLY, product, n, product, below)
        builder.instruct(p.OP_ADD_SCALED, total, n, product, builder.scalar(float(weight)))
    return total

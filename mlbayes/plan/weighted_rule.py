"""Rule for equations with weighted clusters: a weighted Gibbs sampler.

Each conditional distribution has its own weights, and they belong to no joint distribution (Goldstein 2011,
Multilevel Statistical Models, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choice import Choice, PlannedStep, add_variance
from mlbayes.plan.coefficients import parameters_of, top_unknown
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.unknowns import EffectGroup, Residual, Unknown
from mlbayes.plan.weights import cluster_weights, within_weights


def plan_weighted(choice: Choice, r: OutcomeRegression, groups: Sequence[EffectGroup]) -> None:
    """An equation with weighted clusters: effects, their covariance, coefficients and residual variance in turn."""
    builder, symbols = choice.builder, choice.symbols
    clusters = cluster_weights(choice.model)
    assert clusters is not None and r.root is not None
    within = symbols.fixed_symbol(replace(r.root, kind="root within"), np.sqrt(within_weights(choice.model)))
    weighted = [replace(group, weights=builder.vector(clusters)) for group in groups]
    residual = Residual(r.equation.title, r.expanded(), r.equation.level, r.active, r.precision, True)
    _draw_effects(choice, r, replace(residual, polynomial=_with_root(r, within)), weighted)
    tops = [top_unknown(choice.model, a) for a in dict.fromkeys(parameters_of(r))]
    block = AffineBlock(symbols, [], tops, [residual])
    block.prepare()
    choice.blocks.append(block)
    builder.step(p.STEP_DRAW, block.number)
    parameter = choice.model.parameters[r.equation.residual or ""]
    if parameter.fixed is None:
        prior = inverse_gamma_arguments(parameter.prior)
        row = add_variance(choice, r.precision, prior, int(r.active.sum()))
        builder.step(p.STEP_VARIANCE, block.number, row)
    with builder.program():
        block.publish_values()
    choice.steps.append(
        PlannedStep(
            f"equation of {r.equation.title}: random effects, coefficients and variances in turn",
            "random effects with weights of rows within clusters, their covariance matrix with weights of clusters,"
            " coefficients and residual variance with products of both",
            "two-level weights define these conditional draws, not a joint distribution",
        )
    )


def _with_root(r: OutcomeRegression, root: Atom) -> Polynomial:
    """The residual with other weights."""
    return Polynomial.of(root) * (Polynomial.of(r.left) - r.predictor(False))


def _draw_effects(
    choice: Choice, r: OutcomeRegression, residual: Residual, groups: Sequence[EffectGroup]
) -> None:
    """Random effects given the coefficients, then their covariance matrices."""
    builder = choice.builder
    unknowns = [Unknown(atom, group=True) for group in groups for atom in group.atoms]
    block = AffineBlock(choice.symbols, unknowns, [], [replace(residual, squares=False)], groups)
    block.prepare()
    choice.blocks.append(block)
    builder.step(p.STEP_DRAW, block.number)
    for group, row in zip(r.equation.random, block.group_rows, strict=True):
        if group.variance is None or choice.model.parameters[group.variance].fixed is None:
            builder.step(p.STEP_CONJUGATE, row)
    with builder.program():
        block.publish_values()

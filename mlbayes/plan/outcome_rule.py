"""Rule for outcomes and latent variables with normal distributions.

Equations that share parameters, latent variables or residual covariances form a component.  Its unknowns are
parted into blocks without products among their members; blocks are drawn in turn, each jointly.
"""

from __future__ import annotations

from mlbayes.plan.choice import Choice, PlannedStep, couplings, plan_cells, plan_transformed_cells
from mlbayes.plan.coefficients import top_unknown
from mlbayes.plan.components import Component
from mlbayes.plan.nominal import plan_outcome_categories
from mlbayes.plan.outcome_block import BlockPlan
from mlbayes.plan.parameters import ParameterStep
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.random_effects import set_fixed_factor, write_terms
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.response_steps import plan_category_response, plan_outcome_response
from mlbayes.plan.scale_moves import scale_moves, write_scale_move
from mlbayes.plan.selection import find_selection, plan_selection
from mlbayes.plan.weighted_rule import plan_weighted
from mlbayes.plan.weights import cluster_weights


def plan_outcomes(choice: Choice, component: list[OutcomeRegression]) -> None:
    """Plan the equations of a component."""
    parts = Component(choice, component)
    for atom in parts.stuck:
        plan_cells(choice, atom.name, [])
    for r in parts.transformed:
        plan_transformed_cells(choice, r)
    for r in component:
        for k, group in enumerate(r.equation.random):
            set_fixed_factor(choice, r, k, group.variance)
    if parts.groups and cluster_weights(choice.model) is not None:
        for r in component:  # one only: mlbayes.plan.supported
            plan_weighted(choice, r, parts.groups)
            write_terms(choice, [r])
        return
    for r in component:
        if r.planned.of_several:
            _plan_logit(choice, r)
    sets = [{atom for unit in units for atom in unit} for units in parts.sets()]
    blocks = [BlockPlan(choice, parts, chosen, parts.touched(chosen)) for chosen in sets]
    left = [r for r in component if r.continuous and not any(r in block.included for block in blocks)]
    if left:  # nothing in them is linear and free, but they have residual variances
        blocks.append(BlockPlan(choice, parts, set(), left))
    alone: list[Atom] = []
    for atom in parts.moving:
        block = next((b for b in blocks if b.can_move(atom)), None)
        (alone if block is None else block.moving).append(atom)
    for block in blocks:
        block.only = len(blocks) == 1 and not alone
        block.write()
    for atom in alone:
        _plan_parameter(choice, parts, atom)
    for move in scale_moves(choice, parts):
        write_scale_move(choice, move)
    for r in component:
        if not r.continuous:
            selection = find_selection(choice, r)
            if selection is not None:
                plan_selection(choice, selection)
                write_terms(choice, [selection.outcome, selection.missingness])
            plan_outcome_response(choice, r, [g for g in parts.groups if g.atoms[0].name == str(r.number)])
            write_terms(choice, [r])


def _plan_logit(choice: Choice, r: OutcomeRegression) -> None:
    """What comes before the block of one of several logits: missing categories, once, and its working response."""
    logits = [other for other in choice.regressions.outcomes if other.planned.source == r.planned.source]
    variable = choice.model.variables[r.equation.outcome]
    if r is logits[0] and variable.incomplete and r.active.all():
        plan_outcome_categories(choice, logits)
    plan_category_response(choice, r)


def _plan_parameter(choice: Choice, parts: Component, atom: Atom) -> None:
    """A parameter whose equations are in several blocks: slice sampling given everything else."""
    entered = parts.equations_of(atom)
    matrices = [c for c in choice.regressions.covariances if any(r.number in c.members for r in entered)]
    covarying = {number for c in matrices for number in c.members}
    equations = [r for r in parts.regressions if r in entered or r.number in covarying]
    residuals = [parts.residual(r) for r in equations]
    step = ParameterStep(choice.symbols, top_unknown(choice.model, atom))
    step.with_jacobians(entered)
    step.with_residuals(residuals, couplings(matrices, [r.number for r in equations]))
    write_terms(choice, entered)
    choice.steps.append(
        PlannedStep(
            f"parameter {atom.name}",
            "slice sampling given everything else, width of the slice tuned in burn-in",
            "it enters equations in a power or inside a function, and no block holds all of them",
        )
    )

"""Rule for predictors without an equation of their own: one block for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.model.model import Kind, Model
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choice import (
    Choice,
    PlannedStep,
    Theta,
    add_collapsed,
    add_variance,
    involves,
    not_affine,
    outcome_logits,
    outcome_residuals,
    plan_cells,
    plan_mean_cells,
)
from mlbayes.plan.expected_codes import expected_codes
from mlbayes.plan.modulators import other_predictors, plan_predictor_modulators, predictor_residual
from mlbayes.plan.nominal import plan_predictor_categories
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.predictor_regressions import response_precisions
from mlbayes.plan.priors import CATEGORICAL_PRIOR
from mlbayes.plan.regressions import PredictorRegression
from mlbayes.plan.response_steps import plan_predictor_response
from mlbayes.plan.unknowns import Coupling, Residual, TopUnknown, Unknown

RELIABLE = 0.85  # reliability of cluster means below which variances of predictors get a collapsed step


def plan_predictor(choice: Choice, name: str) -> None:
    """A predictor model: missing values, cluster means and regression coefficients in one joint draw."""
    model, symbols = choice.model, choice.symbols
    variable = model.variables[name]
    parts = [part for part in choice.regressions.predictors if part.variable == name]
    categorical = variable.kind in (Kind.ORDINAL, Kind.NOMINAL)
    plan_predictor_modulators(choice, name, parts)
    means = [part.response for part in parts if part.response.kind == "mean"]
    grands = [part.intercept for part in parts if part.intercept.kind == "grand"]
    moving = [*means, *grands]
    if not categorical and variable.incomplete and not _has_equation(choice, name):
        moving.append(symbols.value(name))
    moving = [atom for atom in moving if atom not in choice.modulators]
    centres = {code.mean: code for code in expected_codes(symbols, parts[0], choice.shares)}
    several = [a for a in moving if outcome_logits(choice, [a]) or a in centres]
    others = other_predictors(choice, name)
    outcomes, _ = outcome_residuals(choice, moving)
    own = [predictor_residual(symbols, part, True) for part in parts]
    tops = [top for part in parts for top in _slopes(model, part, categorical)]
    tops += [_grand_mean(model, name, grand, categorical) for grand in grands if grand in moving]
    fixed = not_affine([r.polynomial for r in (*own, *others, *outcomes)], moving, [top.atom for top in tops])
    fixed = list(dict.fromkeys([*fixed, *several]))
    unknowns = [Unknown(mean) for mean in means if mean in moving and mean not in fixed]
    cells = symbols.value(name) in moving and symbols.value(name) not in fixed
    if cells:
        unknowns.insert(0, Unknown(symbols.value(name), variable.missing, cells=variable.level == 1))
    own_part = [*own, *_shrinkage(parts), *(r for r in others if involves(r, moving))]
    tops = [top for top in tops if top.atom not in fixed]
    drawn = [*(a for a in grands if a in moving and a not in fixed), *(unknown.atom for unknown in unknowns)]
    outcomes, coupled = outcome_residuals(choice, drawn, first=len(own_part))
    if variable.kind is Kind.ORDINAL:
        plan_predictor_response(choice, parts[0], others, list(centres.values()))
    elif variable.kind is Kind.NOMINAL:
        plan_predictor_categories(choice, [part for part in parts if part.fixed])
    elif symbols.value(name) in fixed:
        plan_cells(choice, name, [own[0], *others])
    for atom in fixed:
        if atom.kind != "value":
            plan_mean_cells(choice, atom, centres.get(atom), [*own, *others])
    coupled = [*_response_couplings(choice, parts), *coupled]
    block = AffineBlock(symbols, unknowns, tops, [*own_part, *outcomes], couplings=coupled)
    block.prepare()
    choice.blocks.append(block)
    variances = [
        add_variance(choice, part.precision, part.prior, part.units + len(part.shrunk))
        for part in parts
        if not part.fixed
    ]
    small = any(u.atom in means for u in unknowns) and (
        categorical or mean_reliability(model, name) < RELIABLE
    )
    if small and variances:
        add_collapsed(choice, block, [Theta(p.THETA_VARIANCE, row, 1) for row in variances], name)
    choice.builder.step(p.STEP_DRAW, block.number)
    for row in variances:
        choice.builder.step(p.STEP_VARIANCE, block.number, row)
    with choice.builder.program():
        block.publish_values()
    choice.steps.append(_predictor_words(variable.name, unknowns, outcomes, small))


def _predictor_words(
    name: str, unknowns: Sequence[Unknown], outcomes: Sequence[Residual], small: bool
) -> PlannedStep:
    drawn = ["missing values"] if any(u.atom.kind == "value" for u in unknowns) else []
    drawn += ["latent cluster means"] if any(u.atom.kind == "mean" for u in unknowns) else []
    drawn.append("regression coefficients")
    what = f"predictor model of {name}: {', '.join(drawn)}"
    why = "all enter linearly in the model of the predictor"
    if outcomes:
        why += " and " + ", ".join(f"the equation of {r.name}" for r in outcomes)
    how = "one exact joint Gaussian draw by elimination, then inverse gamma draws of the variances"
    if small:
        how += ", and a Metropolis step on the variances with all of these integrated out"
        why += (
            "; cluster means are not reliable, so that they and the variances depend strongly on each other"
        )
    return PlannedStep(what, how, why)


def mean_reliability(model: Model, name: str) -> float:
    """Reliability of a variable's observed cluster means, 1 - MS_within / MS_between (0 when that is negative)."""
    variable = model.variables[name]
    parents = model.hierarchy.ancestors(variable.level, variable.level + 1)
    seen = ~variable.missing
    values, groups = variable.values[seen], parents[seen]
    counts = np.bincount(groups)
    used = counts > 0
    means = np.bincount(groups, values)[used] / counts[used]
    counts = counts[used]
    between = (counts * (means - values.mean()) ** 2).sum() / max(counts.size - 1, 1)
    within = ((values**2).sum() - (counts * means**2).sum()) / max(values.size - counts.size, 1)
    return max(0.0, 1.0 - within / between) if between > 0.0 else 0.0


def _shrinkage(parts: Sequence[PredictorRegression]) -> list[Residual]:
    """Slopes with a prior of the same variance as the residuals, as residuals of their own."""
    one = np.ones(1, dtype=np.bool_)
    return [
        Residual(part.variable, Polynomial.of(part.slopes[i]), TOP, one, part.precision, True)
        for part in parts
        for i in part.shrunk
    ]


def _has_equation(choice: Choice, name: str) -> bool:
    return any(r.equation.outcome == name for r in choice.regressions.locations)


def _slopes(model: Model, part: PredictorRegression, categorical: bool) -> list[TopUnknown]:
    """The slopes of a part with their priors; those of `shrunk` are residuals of their own."""
    given = model.further.predictors.get(part.variable)
    if categorical or given is None:
        return [TopUnknown(atom, 1.0 / CATEGORICAL_PRIOR if categorical else 0.0) for atom in part.slopes]
    own = next(m for m in model.predictor_models if m.variable == part.variable)
    variances = given.slopes[[other.level for other in own.parts].index(part.level)]
    precisions = [0.0] * len(part.shrunk) + [1.0 / variance for variance in variances]
    return [TopUnknown(atom, precision) for atom, precision in zip(part.slopes, precisions, strict=True)]


def _grand_mean(model: Model, name: str, atom: Atom, categorical: bool) -> TopUnknown:
    """A grand mean with its prior."""
    given = model.further.predictors.get(name)
    if categorical or given is None:
        return TopUnknown(atom, 1.0 / CATEGORICAL_PRIOR if categorical else 0.0)
    return TopUnknown(atom, 1.0 / given.grand[1], given.grand[0])


def _response_couplings(choice: Choice, parts: Sequence[PredictorRegression]) -> list[Coupling]:
    """The latent responses of a nominal predictor covary: 1/2, with variances 1."""
    places = [place for place, part in enumerate(parts) if part.fixed]
    precision = choice.builder.scalar(response_precisions(len(places))[1])
    return [Coupling(a, b, precision) for a in places for b in places if b < a]

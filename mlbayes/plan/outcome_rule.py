"""Rule for outcomes with a normal distribution: one block for each set of equations that share parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.model.model import Family, Parameter, RandomEffects
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.choice import (
    Choice,
    PlannedStep,
    add_collapsed,
    add_variance,
    involves,
    not_affine,
    outcome_residuals,
    plan_cells,
)
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, Regressions, inverse_gamma_arguments
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import EffectGroup, Residual, TopUnknown, Unknown


def components(regressions: Regressions) -> list[list[OutcomeRegression]]:
    """Equations that share a parameter belong to one block."""
    components: list[list[OutcomeRegression]] = []
    for regression in regressions.outcomes:
        joined = [c for c in components if any(_shares(regression, other) for other in c)]
        merged = [other for c in joined for other in c] + [regression]
        components = [c for c in components if c not in joined] + [merged]
    return components


def _shares(a: OutcomeRegression, b: OutcomeRegression) -> bool:
    mine = {atom for c in a.coefficients for atom in c.atoms()}
    return a.precision == b.precision or bool(mine & {atom for c in b.coefficients for atom in c.atoms()})


def plan_outcomes(choice: Choice, component: list[OutcomeRegression]) -> None:
    """Equations of outcomes: coefficients, random effects and missing outcomes that serve as predictors."""
    model, symbols = choice.model, choice.symbols
    own = [
        Residual(r.equation.title, r.expanded(), r.equation.level, r.active, r.precision, True)
        for r in component
    ]
    atoms = dict.fromkeys(atom for r in component for c in r.coefficients for atom in sorted(c.atoms()))
    tops = [_coefficient(model.parameters[atom.name], atom) for atom in atoms]
    effects = [Unknown(a, group=1) for r in component for g in r.equation.random for a in _group_atoms(r, g)]
    values = [r.outcome for r in component if r.equation.outcome in choice.regressions.used]
    values = [atom for atom in values if model.variables[atom.name].incomplete]
    numbers = {r.number for r in component}
    others = [r for r in outcome_residuals(choice, values, numbers)]
    drawn = [*(top.atom for top in tops), *(u.atom for u in effects)]
    fixed = not_affine([r.polynomial for r in (*own, *others)], values, drawn)
    cells = [atom for atom in values if atom not in fixed]
    row_cells = [atom for atom in cells if atom.level == 1]
    fixed += row_cells[1:]  # one variable's cells at most have a tier in a block
    cells = [atom for atom in cells if atom not in fixed]
    for atom in fixed:
        plan_cells(choice, atom.name, None)
    unknowns = [Unknown(a, model.variables[a.name].missing, cells=a.level == 1) for a in cells]
    others = [r for r in others if involves(r, cells)]
    groups = [g for r in component for g in _effect_groups(r)]
    for r in component:
        for k, group in enumerate(r.equation.random):
            _set_fixed_factor(choice, r, k, group.variance)
    block = AffineBlock(symbols, [*unknowns, *effects], tops, [*own, *others], groups)
    block.prepare()
    choice.blocks.append(block)
    _outcome_steps(choice, component, block, bool(row_cells[:1]) and row_cells[0] in cells)
    choice.steps.append(_outcome_words(component, block, cells))


def _outcome_steps(
    choice: Choice, component: list[OutcomeRegression], block: AffineBlock, has_cells: bool
) -> None:
    builder = choice.builder
    variances = []
    for precision in dict.fromkeys(r.precision for r in component):
        sharing = [r for r in component if r.precision == precision]
        parameter = choice.model.parameters[sharing[0].equation.residual or ""]
        if parameter.fixed is None:
            count = sum(int(r.active.sum()) for r in sharing)
            variances.append(add_variance(choice, precision, inverse_gamma_arguments(parameter.prior), count))
    bounded = any(top.bounds for top in block.tops)
    free = _free_groups(choice, component, block)
    if free and not bounded:
        add_collapsed(choice, block, free, variances, 1 if choice.model.hierarchy.levels < 3 else 2)
    builder.step(p.STEP_DRAW, block.number)
    for row in free:
        builder.step(p.STEP_CONJUGATE, row)
    if free and len(free) == len(block.group_rows) and not has_cells:
        builder.step(p.STEP_INTERWEAVE, block.number, builder.zeros(2))
    for row in variances:
        builder.step(p.STEP_VARIANCE, block.number, row)
    first = builder.count("program")
    block.publish_values()
    for r in component:
        _publish_terms(choice, r)
    builder.step_program(first)


def _free_groups(choice: Choice, component: list[OutcomeRegression], block: AffineBlock) -> list[int]:
    """Covariance groups that are estimated (a single variance may be fixed by the user)."""
    groups = [group for r in component for group in r.equation.random]
    fixed = [
        group.variance is not None and choice.model.parameters[group.variance].fixed is not None
        for group in groups
    ]
    return [row for row, is_fixed in zip(block.group_rows, fixed, strict=True) if not is_fixed]


def _set_fixed_factor(choice: Choice, r: OutcomeRegression, k: int, name: str | None) -> None:
    """Give a random-effect variance that the user fixed its value."""
    value = choice.model.parameters[name].fixed if name is not None else None
    if value is not None:
        first = choice.builder.count("program")
        choice.builder.instruct(p.OP_COPY, r.factors[k], 1, choice.builder.scalar(float(np.sqrt(value))))
        choice.builder.step_program(first)


def _publish_terms(choice: Choice, r: OutcomeRegression) -> None:
    """Coefficients together with their random effects, for the steps of other blocks."""
    symbols, builder = choice.symbols, choice.builder
    for t in range(len(r.terms)):
        symbol = r.term_symbol(t)
        if symbol is None:
            continue
        units = builder.unit_set(symbol.level, symbols.units(symbol.level), None, None)
        total = r.coefficients[t]
        for level in r.random_levels(t):
            total = total + Polynomial.of(r.effect(level, t))
        value = Evaluator(symbols, units).vector(total)
        builder.instruct(p.OP_COPY, symbols.offset(symbol), units.units, value)


def _outcome_words(
    component: list[OutcomeRegression], block: AffineBlock, cells: Sequence[Atom]
) -> PlannedStep:
    names = ", ".join(r.equation.title for r in component)
    drawn = ["coefficients"]
    if block.groups:
        drawn.append("random effects")
    if cells:
        drawn.append("missing values of " + ", ".join(atom.name for atom in cells))
    how = "one exact joint Gaussian draw by elimination; inverse gamma draws of residual variances"
    why = "the equation is linear in all of them"
    if block.groups:
        how = (
            "covariance matrices and residual variance by a Metropolis step with coefficients and effects integrated"
            " out; then " + how + "; conjugate and interweaving draws of the covariance matrices"
        )
        why += "; variances depend so strongly on the effects that they must not be drawn given them alone"
    if len(component) > 1:
        why += "; the equations share parameters"
    return PlannedStep(f"equation of {names}: {', '.join(drawn)}", how, why)


def _coefficient(parameter: Parameter, atom: Atom) -> TopUnknown:
    """A coefficient with its prior."""
    prior = parameter.prior
    if prior.family is Family.NORMAL:
        return TopUnknown(atom, 1.0 / prior.arguments[1], prior.arguments[0])
    if prior.family is Family.TRUNCATED:
        return TopUnknown(atom, bounds=(prior.arguments[0], prior.arguments[1]))
    if prior.family is Family.FLAT:
        return TopUnknown(atom)
    raise unsupported(
        f"the prior of '{parameter.name}' does not suit a coefficient", "use normal or truncate"
    )


def _group_atoms(r: OutcomeRegression, group: RandomEffects) -> list[Atom]:
    """Symbols of a group's effects, the intercept last: it then has an innovation of its own given the slopes."""
    return [r.effect(group.level, t) for t in reversed(group.terms)]


def _effect_groups(r: OutcomeRegression) -> list[EffectGroup]:
    result = []
    for group, factor in zip(r.equation.random, r.factors, strict=True):
        df, scale = group.prior.arguments
        result.append(EffectGroup(tuple(_group_atoms(r, group)), group.level, df, scale, factor))
    return result

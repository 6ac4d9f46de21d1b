"""Random effects as unknowns, and coefficients together with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.model.model import RandomEffects
from mlbayes.plan import plan as p
from mlbayes.plan.choice import Choice
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.unknowns import EffectGroup

SEPARATE = {
    1.0: (1.0, 0.5),
    0.0: (0.0, 0.0),
}  # priors of variances under prior1 and prior3, by the scale of theirs


def set_fixed_factor(choice: Choice, r: OutcomeRegression, k: int, name: str | None) -> None:
    """Give a random-effect variance that the user fixed its value."""
    value = choice.model.parameters[name].fixed if name is not None else None
    if value is not None:
        with choice.builder.program():
            choice.builder.instruct(p.OP_COPY, r.factors[k], 1, choice.builder.scalar(float(np.sqrt(value))))


def publish_terms(choice: Choice, r: OutcomeRegression) -> None:
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


def write_terms(choice: Choice, regressions: Sequence[OutcomeRegression]) -> None:
    """A step that publishes the terms of some equations."""
    with choice.builder.program():
        for r in regressions:
            publish_terms(choice, r)


def _group_atoms(r: OutcomeRegression, group: RandomEffects) -> list[Atom]:
    """Symbols of a group's effects, the intercept last: it then has an innovation of its own given the slopes."""
    return [r.effect(group.level, t) for t in reversed(group.terms)]


def effect_groups(choice: Choice, r: OutcomeRegression) -> list[EffectGroup]:
    """The random effects of an equation, level by level."""
    phantom = "use_phantom" in choice.model.settings.options
    result = []
    for group, factor in zip(r.equation.random, r.factors, strict=True):
        df, scale = group.prior.arguments
        if group.variance is not None:  # a variance alone, with the prior of its parameter
            a, b = inverse_gamma_arguments(choice.model.parameters[group.variance].prior)
            df, scale = 2.0 * a, 2.0 * b
        atoms = tuple(_group_atoms(r, group))
        separate = None
        if phantom and len(atoms) > 1:
            separate = SEPARATE.get(scale, (-1.0, 0.0)) if df > -len(atoms) - 1.0 else (-1.0, 0.0)
            df, scale = -len(atoms) - 1.0, 0.0
        result.append(EffectGroup(atoms, group.level, df, scale, factor, separate))
    return result


def free_groups(choice: Choice, r: OutcomeRegression, groups: Sequence[EffectGroup]) -> list[EffectGroup]:
    """Random effects with a free covariance matrix that no other equation uses."""
    elsewhere = {
        atom
        for other in choice.regressions.outcomes
        if other.number != r.number
        for atom in other.expanded().atoms()
    }
    free = []
    for group, effects in zip(r.equation.random, groups, strict=True):
        fixed = group.variance is not None and choice.model.parameters[group.variance].fixed is not None
        if not fixed and effects.separate is None and not elsewhere & set(effects.atoms):
            free.append(effects)
    return free

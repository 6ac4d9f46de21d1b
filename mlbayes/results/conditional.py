"""Conditional effects: intercept and slope of a focal predictor at values of its moderators."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import At, Centring, ConditionalEffect, Form, Model, ModeratorSpec, Variable
from mlbayes.results.draws import EquationDraws, ModeratorDraws
from mlbayes.results.rows import RowDraws, TableDraws

Array = NDArray[np.float64]

NOTES = [
    "Intercepts are computed by setting all predictors not involved in the conditional effect to zero.",
    "Standard deviations and quantiles of moderators are those of the centered variables over the units "
    "of their level.",
]
QUANTILES = {At.QUANTILE: ("Q84", "Q50", "Q16"), At.QUARTILE: ("Q75", "Q50", "Q25")}


def point_labels(moderator: ModeratorSpec, count: int) -> tuple[str, ...]:
    """How the values of a moderator are printed, in the order of its points."""
    if moderator.at is At.SD:
        if moderator.reference.centring is Centring.NONE:
            return ("Mean + 1 SD", "Mean", "Mean - 1 SD")
        return ("+1 SD", "0", "-1 SD")
    if moderator.at in QUANTILES:
        return QUANTILES[moderator.at]
    return tuple(f"{value:g}" for value in moderator.values[:count])


def is_possible(moderators: tuple[ModeratorSpec, ...], choice: tuple[int, ...]) -> bool:
    """Can the chosen values occur together: of the dummy codes of a nominal variable only one can be 1."""
    ones = [
        spec.reference.variable
        for spec, k in zip(moderators, choice, strict=True)
        if is_dummy(spec) and spec.values[k] == 1.0
    ]
    return len(ones) == len(set(ones))


def sort_key(
    moderators: tuple[ModeratorSpec, ...], choice: tuple[int, ...], variables: Mapping[str, Variable]
) -> list[float]:
    """What to sort choices by, so that the codes of a nominal variable come in their order."""
    return [
        _code(spec.reference.variable, moderators, choice, variables) if is_dummy(spec) else k
        for spec, k in zip(moderators, choice, strict=True)
    ]


def _code(
    name: str,
    moderators: tuple[ModeratorSpec, ...],
    choice: tuple[int, ...],
    variables: Mapping[str, Variable],
) -> float:
    """The code that a choice gives to a nominal variable; when all its dummy codes are 0 the reference category."""
    places = [i for i, spec in enumerate(moderators) if is_dummy(spec) and spec.reference.variable == name]
    for i in places:
        if moderators[i].values[choice[i]] == 1.0:
            return moderators[i].reference.argument
    reference = variables[name].reference
    whole = len(places) == len(variables[name].codes) - 1
    return reference if whole and reference is not None else -np.inf


def is_dummy(spec: ModeratorSpec) -> bool:
    """Is the moderator a dummy code that is held at 0 and 1."""
    return spec.reference.form is Form.DUMMY and spec.at is At.CODES


def weighted_sum(
    entries: tuple[tuple[int, tuple[int, ...]], ...], coefficients: Array, points: tuple[Array, ...]
) -> Array:
    """Sum over entries (term, its moderators) of the coefficient times the values of the moderators."""
    total = np.zeros((1, 1))
    for term, moderators in entries:
        value = coefficients[..., term]
        for moderator in moderators:
            value = value * points[moderator]
        total = total + value
    return total


def conditional_table(
    effect: ConditionalEffect, model: Model, draws: EquationDraws, moderators: tuple[ModeratorDraws, ...]
) -> TableDraws:
    """The table of a conditional effect: intercept and slope for each combination of moderator values."""
    equation = model.equations[effect.equation]
    labels = [
        point_labels(spec, drawn.points.shape[-1])
        for spec, drawn in zip(effect.moderators, moderators, strict=True)
    ]
    rows = []
    choices = (c for c in product(*(range(len(n)) for n in labels)) if is_possible(effect.moderators, c))
    for choice in sorted(choices, key=lambda c: sort_key(effect.moderators, c, model.variables)):
        held = [f"{spec.label} @ {labels[m][choice[m]]}" for m, spec in enumerate(effect.moderators)]
        section = f"{effect.focal_label} | {', '.join(held)}"
        points = tuple(drawn.points[..., choice[m]] for m, drawn in enumerate(moderators))
        intercept = weighted_sum(effect.intercepts, draws.coefficients, points)
        slope = weighted_sum(effect.slopes, draws.coefficients, points)
        rows.append(RowDraws("Intercept", intercept, section, tested=True))
        rows.append(RowDraws("Slope", slope, section, tested=True))
    return TableDraws(
        "conditional-effects",
        "Conditional Effects",
        equation.title,
        rows,
        block=equation.block,
        notes=list(NOTES),
    )


def conditional_tables(
    position: int, model: Model, draws: EquationDraws, moderators: tuple[tuple[ModeratorDraws, ...], ...]
) -> list[TableDraws]:
    """All conditional effects of the equation at a position of the model's list, in one table."""
    tables = [
        conditional_table(effect, model, draws, drawn)
        for effect, drawn in zip(model.conditional_effects, moderators, strict=True)
        if effect.equation == position
    ]
    for table in tables[1:]:
        tables[0].rows.extend(table.rows)
    return tables[:1]

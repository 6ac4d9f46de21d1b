"""Conditional effects: intercept and slope of a focal predictor, or a quantity, at values of moderators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Centring, Form
from mlbayes.model.model import At, ConditionalEffect, ConditionalQuantity, Model, ModeratorSpec, Variable
from mlbayes.results.draws import Draws, ModeratorDraws
from mlbayes.results.expressions import evaluate
from mlbayes.results.outcomes import by_category, category_of
from mlbayes.results.parameters import Parameters
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
    if moderator.at is At.PARAMETER:
        return (moderator.parameter,)
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


@dataclass(frozen=True)
class Held:
    """One choice of values for all moderators: as printed (`m @ +1 SD`), and draw by draw."""

    text: str
    points: tuple[Array, ...]


def choices(
    moderators: tuple[ModeratorSpec, ...],
    drawn: tuple[ModeratorDraws, ...],
    model: Model,
    parameters: Parameters,
) -> Iterator[Held]:
    """All combinations of moderator values that can occur, in order of printing."""
    points = [
        parameters.find(spec.parameter)[..., None] if spec.at is At.PARAMETER else found.points
        for spec, found in zip(moderators, drawn, strict=True)
    ]
    labels = [point_labels(spec, found.shape[-1]) for spec, found in zip(moderators, points, strict=True)]
    possible = (c for c in product(*(range(len(n)) for n in labels)) if is_possible(moderators, c))
    for choice in sorted(possible, key=lambda c: sort_key(moderators, c, model.variables)):
        text = ", ".join(f"{spec.label} @ {labels[m][choice[m]]}" for m, spec in enumerate(moderators))
        yield Held(text, tuple(found[..., choice[m]] for m, found in enumerate(points)))


def conditional_tables(position: int, model: Model, draws: Draws, parameters: Parameters) -> list[TableDraws]:
    """All conditional effects of the equation at a position of the model's list, in one table."""
    equation = model.equations[position]
    coefficients = draws.equations[position].coefficients
    rows = []
    for effect, drawn in zip(model.conditional_effects, draws.moderators, strict=True):
        if not isinstance(effect, ConditionalEffect) or effect.equation != position:
            continue
        for held in choices(effect.moderators, drawn, model, parameters):
            section = f"{effect.focal_label} | {held.text}"
            intercept = weighted_sum(effect.intercepts, coefficients, held.points)
            slope = weighted_sum(effect.slopes, coefficients, held.points)
            category = category_of(equation, effect.slopes[0][0])
            rows.append(RowDraws("Intercept", intercept, section, category, tested=True))
            rows.append(RowDraws("Slope", slope, section, category, tested=True))
    if not rows:
        return []
    title = "Conditional Effects"
    return [
        TableDraws(
            "conditional-effects",
            title,
            equation.title,
            by_category(rows),
            block=equation.block,
            notes=list(NOTES),
        )
    ]


def quantity_rows(model: Model, draws: Draws, parameters: Parameters) -> list[RowDraws]:
    """The rows of conditional quantities: a group for each expression, a row for each choice of values."""
    rows = []
    for quantity, drawn in zip(model.conditional_effects, draws.moderators, strict=True):
        if not isinstance(quantity, ConditionalQuantity):
            continue
        references = [spec.reference for spec in quantity.moderators]
        for held in choices(quantity.moderators, drawn, model, parameters):
            values = dict(zip(references, held.points, strict=True))
            value = evaluate(quantity.expression, parameters.find, values)
            rows.append(RowDraws(held.text, value, quantity.printed, tested=True))
    return rows

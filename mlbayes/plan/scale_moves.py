"""Moves of the scale of latent variables that categorical or count outcomes measure.

Given latent responses, a factor's scale is nearly fixed; with the responses integrated out it is not.  A move is
possible where every product with the variable has a free coefficient of its own, which makes up for the scale, or
stands in an equation whose likelihood can be computed at any scale.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mlbayes.model.model import Distribution
from mlbayes.plan import plan as p
from mlbayes.plan.choice import Choice, PlannedStep, outcome_residuals
from mlbayes.plan.coefficients import top_unknown
from mlbayes.plan.components import Component
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom, Monomial, Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.responses import response_codes, response_family


@dataclass
class ScaleMove:
    """What moves with a latent variable: loadings that make up for it, own coefficients, equations that change."""

    latent: Atom
    own: OutcomeRegression
    down: list[Atom] = field(default_factory=list)
    up: list[Atom] = field(default_factory=list)
    changed: dict[int, Polynomial] = field(
        default_factory=dict
    )  # by equation: products without such a loading


def scale_moves(choice: Choice, parts: Component) -> list[ScaleMove]:
    """The moves of a component; none where all outcomes are normal, since collapsed steps do as well there."""
    if all(r.continuous for r in parts.regressions):
        return []
    found = [_scale_move(choice, parts, latent) for latent in parts.latent]
    return [move for move in found if move is not None]


def _scale_move(choice: Choice, parts: Component, latent: Atom) -> ScaleMove | None:
    own = next(r for r in parts.regressions if r.left == latent)
    predictors = {r.number: r.predictor(False) for r in parts.regressions}
    uses = Counter(atom for predictor in predictors.values() for m in predictor.terms for atom in m)
    uses.update(choice.common)  # other equations hold these, too
    move = ScaleMove(latent, own)
    for monomial in predictors[own.number].terms:
        coefficient = _free_coefficient(monomial, uses)
        if coefficient is None or latent in monomial:
            return None
        move.up.append(coefficient)
    for r in parts.regressions:
        for monomial, number in predictors[r.number].terms.items():
            if latent not in monomial:
                continue
            coefficient = _free_coefficient(monomial, uses)
            if monomial.count(latent) > 1:
                return None
            if coefficient is not None:
                move.down.append(coefficient)
            else:
                part = move.changed.get(r.number, Polynomial())
                rest = tuple(atom for atom in monomial if atom != latent)
                move.changed[r.number] = part + Polynomial({rest: number})
    return move if _possible(choice, parts, move) else None


def _free_coefficient(monomial: Monomial, uses: Counter[Atom]) -> Atom | None:
    """The coefficient of a product, if it occurs there alone."""
    free = [atom for atom in monomial if atom.kind == "parameter" and uses[atom] == 1]
    return free[0] if len(free) == 1 and not any(atom.kind == "function" for atom in monomial) else None


def _possible(choice: Choice, parts: Component, move: ScaleMove) -> bool:
    """Is the residual variance free and its own, and can all equations that change be evaluated."""
    own = move.own
    if own.equation.residual is None:
        return False
    residual = choice.model.parameters[own.equation.residual]
    sharing = [r for r in choice.regressions.outcomes if r.equation.residual == own.equation.residual]
    if own.equation.random or residual.fixed is not None or residual.definition or len(sharing) > 1:
        return False
    for number in move.changed:
        r = choice.regressions.outcomes[number]
        if r.equation.distribution is Distribution.MULTINOMIAL or r.covariance or r.heterogeneous:
            return False
        if not r.continuous and outcome_residuals(choice, [r.left], {number})[0]:
            return False
    numbers = {r.number for r in parts.regressions}
    return not outcome_residuals(choice, [move.latent], numbers)[0]


def write_scale_move(choice: Choice, move: ScaleMove) -> None:
    """Append the step."""
    builder, symbols = choice.builder, choice.symbols
    with builder.program():
        items = [_item(choice, move, number) for number in move.changed]
    start = builder.count("scale_items")
    for item in items:
        builder.add("scale_items", item)
    own = move.own
    residual = choice.model.parameters[own.equation.residual or ""]
    precision, factor, parts, size, place = own.precision, -1, -1, 1, 0
    prior = inverse_gamma_arguments(residual.prior) if not own.covariance else (0.0, 0.0)
    if own.covariance:
        matrix = next(c for c in choice.regressions.covariances if c.name == own.covariance)
        precision, factor, parts = matrix.precision, matrix.factor, matrix.parts
        size, place = len(matrix.members), matrix.members.index(own.number)
        prior = (matrix.df, matrix.scale) if parts < 0 else inverse_gamma_arguments(residual.prior)
    row = [
        symbols.offset(move.latent),
        symbols.units(move.latent.level),
        _coefficients(choice, move.down),
        _coefficients(choice, move.up),
        precision,
        factor,
        parts,
        size,
        place,
        builder.vector(prior),
        start,
        builder.count("scale_items"),
        builder.vector([0.2, 0.1]),
    ]
    builder.step(p.STEP_SCALE, builder.add("scales", row))
    titles = [choice.regressions.outcomes[number].equation.title for number in move.changed]
    choice.steps.append(
        PlannedStep(
            f"scale of {move.latent.name} with its loadings and its variance",
            "slice sampling along the transformation that leaves all other equations as they are, responses of "
            + (", ".join(titles) or "none")
            + " integrated out",
            "given latent responses the scale of a latent variable is nearly fixed",
        )
    )


def _coefficients(choice: Choice, atoms: list[Atom]) -> int:
    """Index list of coefficients with their priors."""
    builder = choice.builder
    entries = [len(atoms)]
    for atom in atoms:
        top = top_unknown(choice.model, atom)
        low, high = top.bounds or (-float("inf"), float("inf"))
        entries += [choice.symbols.offset(atom), builder.vector([top.precision, top.mean, low, high])]
    return builder.indices(entries)


def _item(choice: Choice, move: ScaleMove, number: int) -> list[int]:
    """An equation that changes: what is free of the scale, and what is multiplied with it."""
    builder = choice.builder
    r = choice.regressions.outcomes[number]
    level = r.equation.level
    units = builder.unit_set(level, choice.symbols.units(level), None, None)
    evaluator = Evaluator(choice.symbols, units)
    part = move.changed[number] * Polynomial.of(move.latent)
    active = None if r.active.all() else r.active.astype(float)
    if r.continuous:
        rest = r.expanded() + part
        offsets = [evaluator.vector(rest, active), evaluator.vector(part, active)]
        return [p.ITEM_NORMAL, units.units, *offsets, r.precision, 0, 1]
    variable = choice.model.variables[r.equation.outcome]
    rest = r.predictor(False) - part
    cuts = r.dispersion if r.dispersion >= 0 else r.cuts
    family = response_family(r, len(variable.codes))
    offsets = [evaluator.vector(rest), evaluator.vector(part)]
    return [family, units.units, *offsets, response_codes(choice, r), cuts, max(len(variable.codes), 1)]

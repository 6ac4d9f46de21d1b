"""Are there enough clusters and rows for flat priors of (co)variances.

The default priors are flat.  With too few units the posterior has no finite mass: a chain then wanders off to
huge variances without a word, so this is checked before the first iteration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlbayes.language.nodes import Script
from mlbayes.model.expressions import Expression, Operation, level_of
from mlbayes.model.model import Equation, Family, Kind, Model, Prior, Role
from mlbayes.model.notes import Notes
from mlbayes.model.places import place_of
from mlbayes.problems import ProblemKind
from mlbayes.source import Span

MARGIN = 5  # units above the bound below which a warning is due


@dataclass(frozen=True)
class _Flat:
    """A p x p covariance matrix with a flat prior, estimated from so many units.

    `q`: coefficients at the level of the units that belong to one random effect or residual.
    """

    what: str
    units: int
    p: int
    q: int
    span: Span | None

    @property
    def needed(self) -> int:
        """The posterior is proper only with J - q > 2p units J."""
        return 2 * self.p + self.q + 1


def check_flat_priors(model: Model, script: Script, notes: Notes) -> None:
    """A flat prior needs enough units, and with few of them it matters."""
    for flat in (*_random_effects(model), *_blocks(model), *_residuals(model)):
        hint = "specify fewer random effects or predictors, or use OPTIONS: prior1;"
        if flat.units < flat.needed:
            message = f"{flat.what}: the flat prior of (co)variances needs at least {flat.needed}"
            notes.problem(message, flat.span, hint)
        elif flat.units < flat.needed + MARGIN:
            text = f"{flat.what}: with so few the prior of (co)variances matters"
            notes.warn(f"{text}; consider OPTIONS: prior1.")
    if "joint" not in model.settings.options:
        _check_predictor_models(model, script, notes)


def _check_predictor_models(model: Model, script: Script, notes: Notes) -> None:
    """Slopes of predictor models are flat: there must be more values than coefficients."""
    places = {name.name: name.span for name in script.fcs}
    if _has_nothing_within(model, places, notes):
        return
    for predictor in model.predictor_models:
        variable = model.variables[predictor.variable]
        if variable.kind is not Kind.CONTINUOUS:
            continue  # coefficients of latent responses have proper priors
        for k, part in enumerate(predictor.parts):
            units = model.hierarchy.units[part.level - 1] if k else int((~variable.missing).sum())
            if units <= len(part.predictors) + 1:
                what = "cluster means" if k else "observed values"
                message = f"the model of '{variable.name}' at level {part.level} has {len(part.predictors)} predictors"
                hint = "use fewer variables, or OPTIONS: joint;"
                place = places.get(variable.name) or place_of(variable.name, model.equations)
                notes.problem(f"{message}, but there are only {units} {what}", place, hint)


def _has_nothing_within(model: Model, places: dict[str, Span], notes: Notes) -> bool:
    """Refuse slopes of predictor models within clusters where all clusters are single rows."""
    hierarchy = model.hierarchy
    if hierarchy.levels == 1 or hierarchy.units[0] != hierarchy.units[1]:
        return False
    for predictor in model.predictor_models:
        name, within = predictor.variable, predictor.parts[0]
        if within.level == 1 and within.predictors and model.variables[name].kind is Kind.CONTINUOUS:
            identifier = hierarchy.identifiers[0]
            message = (
                f"every cluster of '{identifier}' has a single row: '{name}' does not vary within clusters"
            )
            place = places.get(name) or place_of(name, model.equations)
            notes.problem(message, place, f"take '{identifier}' out of CLUSTERID", ProblemKind.DATA)
            return True
    return False


def _is_flat(prior: Prior) -> bool:
    return prior.family in (Family.INVERSE_WISHART, Family.INVERSE_GAMMA) and prior.arguments[0] < 0


def _units(model: Model, level: int) -> str:
    """How many units a level has, in words."""
    number = model.hierarchy.units[level - 1]
    if level == 1:
        return f"{number} rows"
    return f"{number} clusters of '{model.hierarchy.identifiers[level - 2]}'"


def _random_effects(model: Model) -> Iterator[_Flat]:
    for equation in model.equations:
        for random in equation.random:
            fixed = random.variance is not None and model.parameters[random.variance].fixed is not None
            if fixed or not _is_flat(random.prior):
                continue
            p = len(random.terms)
            q = max(_coefficients(equation, position, random.level) for position in random.terms)
            what = f"{p} random effect(s) of '{equation.title}' over {_units(model, random.level)}"
            yield _Flat(what, model.hierarchy.units[random.level - 1], p, q, equation.span)


def _blocks(model: Model) -> Iterator[_Flat]:
    for block in model.covariances:
        if _is_flat(block.prior):
            p = len(block.members)
            q = max(len(e.terms) for e in model.equations if e.outcome in block.members)
            what = f"a covariance matrix of {' '.join(block.members)} over {_units(model, block.level)}"
            yield _Flat(what, model.hierarchy.units[block.level - 1], p, q, block.span)


def _residuals(model: Model) -> Iterator[_Flat]:
    members = {name for block in model.covariances for name in block.members}
    for equation in model.equations:
        parameter = model.parameters.get(equation.residual or "")
        if parameter is None or parameter.fixed is not None or not _is_flat(parameter.prior):
            continue
        if equation.outcome not in members:
            variable = model.variables[equation.outcome]
            latent = variable.role is Role.LATENT
            units = len(variable.values) if latent else int((~variable.missing).sum())
            if not units:
                continue  # that it has no values is said elsewhere
            what = f"the residual variance of '{equation.title}' from {_units(model, equation.level)}"
            if units < len(variable.values):
                what += f", {units} of them observed"
            yield _Flat(what, units, 1, len(equation.terms), equation.span)


def _coefficients(equation: Equation, position: int, level: int) -> int:
    """How many free coefficients share a random effect: its own and its products with cluster variables."""
    own = _lower_factors(equation.terms[position].expression, level)
    terms = (term for term in equation.terms if not term.hidden)
    return sum(_lower_factors(term.expression, level) == own for term in terms)


def _lower_factors(expression: Expression, level: int) -> frozenset[Expression]:
    """The factors of a term that vary below a level."""
    is_product = isinstance(expression, Operation) and expression.operator == "*"
    factors = expression.arguments if is_product and isinstance(expression, Operation) else (expression,)
    return frozenset(factor for factor in factors if level_of(factor) < level)

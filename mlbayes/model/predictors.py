"""Predictors without an equation: who gets a distribution, and which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlbayes.language.nodes import Name, Script
from mlbayes.model.expressions import Centring, Form, Reference, references
from mlbayes.model.model import Equation, Kind, PredictorModel, PredictorPart, Role, Variable
from mlbayes.model.names import Names
from mlbayes.model.notes import Notes
from mlbayes.model.places import place_of
from mlbayes.source import Span

SILENTLY_FIXED = "it is complete and not centred, as are all predictors that are not FIXED"
FIXED_AND_CENTRED = "The following variables are fixed and will be centered with observed means: "


def assign_roles(
    script: Script,
    names: Names,
    variables: dict[str, Variable],
    equations: Sequence[Equation],
    levels: int,
    notes: Notes,
) -> dict[str, Variable]:
    """The variables with their roles, and why each has its role."""
    identifiers = {name.name for name in script.cluster_ids}
    outcomes = {equation.outcome for equation in equations}
    asked = list(dict.fromkeys(name for e in equations for name in _predictors_of(e)))
    right = [name for name in asked if name not in outcomes and variables[name].role is not Role.LATENT]
    right = [name for name in right if name not in names.effects]
    declared = {name.name: name for name in script.fixed}
    rest = [name for name in right if name not in declared and name not in identifiers]
    reasons = _reasons(rest, _names_in_simple(script, names), variables, equations)
    result = {}
    for name, variable in variables.items():
        role, because = variable.role, variable.because
        if name in outcomes:
            if role is not Role.LATENT:
                role = Role.OUTCOME
            because = f"it has the equation {_printed_of(name, equations)}"
        elif name in right:
            role, because = _role_on_the_right(name, variable, declared, identifiers, reasons)
        result[name] = replace(variable, role=role, because=because)
        check_role(result[name], declared, notes, place_of(name, equations))
    _note_roles(result, levels, notes)
    return result


def _predictors_of(equation: Equation) -> Iterable[str]:
    """Variables on the right of an equation; a lag of something is that variable at another time."""
    return (r.variable for term in equation.terms for r in references(term.expression))


def _printed_of(name: str, equations: Sequence[Equation]) -> str:
    return next(e.printed for e in equations if e.outcome == name)


def _reasons(
    rest: list[str], simple: set[str], variables: dict[str, Variable], equations: Sequence[Equation]
) -> dict[str, str]:
    """Why a predictor needs a distribution, for those that need one."""
    means = {
        reference.variable
        for equation in equations
        for term in equation.terms
        for reference in references(term.expression)
        if reference.form in (Form.MEAN, Form.RESPONSE)
    }
    reasons = {}
    for name in rest:
        variable = variables[name]
        if variable.incomplete:
            reasons[name] = "it has missing values"
        elif variable.centring is not Centring.NONE:
            reasons[name] = "it is centred at an estimated mean"
        elif name in means:
            reasons[name] = "a latent form of it is a predictor"
        elif name in simple:
            reasons[name] = "SIMPLE needs its mean and standard deviation"
    return reasons


def _names_in_simple(script: Script, names: Names) -> set[str]:
    """Focal predictors and moderators."""
    written = [s.focal.name for s in script.simple if isinstance(s.focal, Name)]
    written += [moderator.name.name for s in script.simple for moderator in s.moderators]
    return {split.base for split in map(names.split, written) if split is not None}


def _role_on_the_right(
    name: str,
    variable: Variable,
    declared: dict[str, Name],
    identifiers: set[str],
    reasons: dict[str, str],
) -> tuple[Role, str]:
    if name in declared:
        return Role.FIXED, "it is listed in FIXED"
    if name in identifiers:
        return Role.FIXED, "it is an identifier"
    if variable.indicates:
        return Role.FIXED, "whether a value is missing is always known"
    if name in reasons:
        return Role.PREDICTOR, reasons[name]
    if reasons:
        other = next(iter(reasons))
        return (
            Role.PREDICTOR,
            f"'{other}' needs a distribution, and then all predictors that are not FIXED get one",
        )
    return Role.FIXED, SILENTLY_FIXED


def check_role(
    variable: Variable,
    declared: dict[str, Name],
    notes: Notes,
    place: Span | None = None,
    imputation: bool = False,
) -> None:
    """A variable must be able to play its role.  `place`: where the model, or FCS, speaks of it."""
    name = variable.name
    if variable.role is Role.OUTCOME and name in declared:
        hint = "take it out of FIXED or remove its equation"
        notes.problem(f"'{name}' is listed in FIXED but has an equation", declared[name].span, hint)
    if variable.role is Role.PREDICTOR and variable.kind is Kind.COUNT and imputation:
        hint = f"use MODEL with an equation for it: {name} ~ ...;"
        notes.problem(f"FCS has no model for the count '{name}'", place, hint)
    elif variable.role is Role.PREDICTOR and variable.kind is Kind.COUNT:
        given = "" if variable.incomplete else f" or take it as given: FIXED: {name};"
        hint = f"write an equation for it: {name} ~ ...;{given}"
        notes.problem(f"the count '{name}' needs a distribution as a predictor", place, hint)


def _note_roles(variables: dict[str, Variable], levels: int, notes: Notes) -> None:
    joint = [v.name for v in variables.values() if v.role is Role.PREDICTOR]
    split = [name for name in joint if variables[name].level < levels]
    if split:
        because = "their distribution has a part within and a part between clusters"
        notes.add(f"latent cluster means of {' '.join(split)}", because)
    if joint:
        because = "; ".join(f"{name}: {variables[name].because}" for name in joint)
        notes.add(f"a joint distribution of the predictors {' '.join(joint)}", because)
    centred = [v.name for v in variables.values() if v.role is Role.FIXED and v.centring is not Centring.NONE]
    if centred:
        notes.warn(FIXED_AND_CENTRED + " ".join(centred))
    silent = [v for v in variables.values() if v.because == SILENTLY_FIXED]
    if silent:
        notes.add(f"{' '.join(v.name for v in silent)} fixed", silent[0].because)


# ------------------------------------------------------------------ their models
def build_predictor_models(variables: dict[str, Variable], levels: int) -> tuple[PredictorModel, ...]:
    """A model for each predictor with a distribution, in file order, then the means models."""
    names = [v for v in variables.values() if v.role in (Role.PREDICTOR, Role.FIXED)]
    models = [
        PredictorModel(
            variable.name,
            tuple(_part(variable, level, levels, names) for level in range(variable.level, levels + 1)),
        )
        for variable in names
        if variable.role is Role.PREDICTOR
    ]
    return tuple(models)


def build_means_models(
    variables: dict[str, Variable], equations: Sequence[Equation], levels: int, notes: Notes
) -> tuple[PredictorModel, ...]:
    """Models that estimate the centring means of outcomes that are centred predictors elsewhere."""
    used = [r for e in equations for term in e.terms for r in references(term.expression)]
    models = []
    for variable in variables.values():
        mine = [r for r in used if r.variable == variable.name]
        centred = any(r.centring is not Centring.NONE or r.form is Form.MEAN for r in mine)
        if variable.role is Role.OUTCOME and centred:
            parts = (PredictorPart(level, (), ()) for level in range(variable.level, levels + 1))
            models.append(PredictorModel(variable.name, tuple(parts), means_only=True))
            because = "it is an outcome and a centred predictor: its means are estimated apart"
            notes.add(f"a means model of {variable.name}", because)
    return tuple(models)


def _part(variable: Variable, level: int, levels: int, others: Sequence[Variable]) -> PredictorPart:
    """What predicts a variable or its cluster mean at a level: the others that vary there, in file order.

    Not whether it is missing itself, which is constant wherever it is observed.
    """
    predictors = [
        pair
        for other in others
        if variable.name not in (other.name, other.indicates)
        for pair in _at_level(other, level, levels)
    ]
    return PredictorPart(level, tuple(r for r, _ in predictors), tuple(label for _, label in predictors))


def _at_level(other: Variable, level: int, levels: int) -> list[tuple[Reference, str]]:
    """The references that stand for another predictor in a part of this level, with their labels."""
    if other.level > level or (other.role is Role.FIXED and other.level != level):
        return []
    codes = [code for code in other.codes if code != other.reference] if other.kind is Kind.NOMINAL else [0]
    top = level == levels or other.role is Role.FIXED
    centring = Centring.GRAND if top else Centring.GROUP
    form = Form.VALUE
    if other.level < level:
        form = Form.MEAN
    elif other.kind is Kind.NOMINAL:
        form = Form.DUMMY
    elif other.kind is Kind.ORDINAL and other.role is Role.PREDICTOR:
        form = Form.RESPONSE
    nominal = other.kind is Kind.NOMINAL
    return [
        (
            Reference(other.name, level, form, code, centring),
            f"{other.name}.{code}" if nominal else other.name,
        )
        for code in codes
    ]

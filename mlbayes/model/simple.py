"""SIMPLE: conditional effects of a focal predictor at values of its moderators (language reference, 12.3)."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.language.nodes import Moderator, Name, Number, Script, Simple
from mlbayes.model.model import (
    At,
    Centring,
    ConditionalEffect,
    Constant,
    Equation,
    EquationTerm,
    Form,
    Kind,
    ModeratorSpec,
    Reference,
    Variable,
    factors,
)
from mlbayes.model.resolve import Resolver

KEYWORDS = {
    "quantile": At.QUANTILE,
    "quantiles": At.QUANTILE,
    "quartile": At.QUARTILE,
    "quartiles": At.QUARTILE,
}
Positions = tuple[tuple[int, tuple[int, ...]], ...]


def build_conditional_effects(
    script: Script, resolver: Resolver, equations: Sequence[Equation]
) -> tuple[ConditionalEffect, ...]:
    """The conditional effects of every SIMPLE statement, in order of equations."""
    effects: list[ConditionalEffect] = []
    for statement in script.simple:
        effects += _effects(statement, resolver, equations)
    return tuple(effects)


def _effects(statement: Simple, resolver: Resolver, equations: Sequence[Equation]) -> list[ConditionalEffect]:
    if not isinstance(statement.focal, Name):
        message = "conditional effects of an expression are not supported"
        resolver.notes.unsupported(
            message, statement.span, "name a predictor, or compute the effect in PARAMETERS"
        )
        return []
    focal = resolver.terms(statement.focal)
    moderators = [spec for m in statement.moderators for spec in _specs(m, resolver)]
    if not moderators or not all(isinstance(f.expression, Reference) for f in focal):
        return []
    found = []
    for position, equation in enumerate(equations):
        for resolved in focal:
            assert isinstance(resolved.expression, Reference)
            effect = _effect(position, equation, resolved.expression, resolved.text, tuple(moderators))
            if effect is not None:
                found.append(effect)
    if not found:
        names = " and ".join(spec.label for spec in moderators)
        message = f"no equation has '{statement.focal.name}' and its product with {names}"
        resolver.notes.problem(
            message, statement.span, f"MODEL needs a term {statement.focal.name}*{moderators[0].label}"
        )
        return []
    variable = resolver.variables.get(found[0].focal.variable)
    if variable is not None and variable.centring is Centring.NONE:
        name = variable.name
        resolver.notes.warn(
            f"The focal predictor {name} is not centered: conditional intercepts are at {name} = 0."
        )
    return found


# ------------------------------------------------------------------ moderators
def _specs(moderator: Moderator, resolver: Resolver) -> list[ModeratorSpec]:
    specs = []
    for resolved in resolver.terms(moderator.name):
        reference = resolved.expression
        if not isinstance(reference, Reference):
            if not isinstance(reference, Constant):  # a constant stands for a name that was reported
                message = f"'{moderator.name.name}' cannot be a moderator: it is not a variable"
                resolver.notes.unsupported(message, moderator.name.span)
            continue
        at, values = _at(moderator, reference, resolver.variables[reference.variable], resolver)
        specs.append(ModeratorSpec(reference, at, resolved.text, values))
    return specs


def _at(
    moderator: Moderator, reference: Reference, variable: Variable, resolver: Resolver
) -> tuple[At, tuple[float, ...]]:
    """Where the moderator is held, and at which values if they are known."""
    if isinstance(moderator.at, Number):
        return At.VALUE, (moderator.at.value,)
    if isinstance(moderator.at, Name):
        if moderator.at.name in KEYWORDS:
            return KEYWORDS[moderator.at.name], ()
        message = f"a moderator held at '{moderator.at.name}' is not supported"
        resolver.notes.unsupported(message, moderator.at.span, "use a number, quantile or quartile")
        return At.SD, ()
    if reference.form is Form.DUMMY:
        return At.CODES, (0.0, 1.0)
    if variable.kind in (Kind.ORDINAL, Kind.NOMINAL) and reference.form is Form.VALUE:
        return At.CODES, tuple(float(code) for code in variable.codes)
    return At.SD, ()


# ------------------------------------------------------------------ terms
def _effect(
    position: int, equation: Equation, focal: Reference, label: str, moderators: tuple[ModeratorSpec, ...]
) -> ConditionalEffect | None:
    """The effect in one equation, None if it does not have the focal predictor times a moderator."""
    slopes, intercepts = [], []
    references = [spec.reference for spec in moderators]
    for i, term in enumerate(equation.terms):
        powers = _powers(term, focal, references)
        if powers is None or term.hidden:
            continue
        degree, product = powers
        if degree == 1:
            slopes.append((i, product))
        elif degree == 0:
            intercepts.append((i, product))
    if not any(product for _, product in slopes):
        return None
    return ConditionalEffect(position, focal, label, moderators, tuple(slopes), tuple(intercepts))


def _powers(
    term: EquationTerm, focal: Reference, moderators: Sequence[Reference]
) -> tuple[int, tuple[int, ...]] | None:
    """How often the focal variable is a factor, and which moderators are; None with any other factor."""
    degree, product = 0, []
    for factor in factors(term.expression):
        if factor == focal:
            degree += 1
        elif factor in moderators and isinstance(factor, Reference):
            product.append(list(moderators).index(factor))
        elif factor != Constant(1.0):
            return None
    return degree, tuple(product)

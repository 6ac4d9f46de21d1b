"""SIMPLE: conditional effects of a focal predictor at values of its moderators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlbayes.language.nodes import Moderator, Name, Number, Script, Simple, names_in
from mlbayes.model.expressions import (
    Centring,
    Constant,
    Expression,
    Form,
    ParameterReference,
    Reference,
    factors,
    leaves,
    references,
)
from mlbayes.model.model import (
    At,
    ConditionalEffect,
    ConditionalQuantity,
    Equation,
    EquationTerm,
    Kind,
    ModeratorSpec,
    Variable,
)
from mlbayes.model.quantities import check_variances
from mlbayes.model.resolve import Resolved, Resolver

KEYWORDS = {
    "quantile": At.QUANTILE,
    "quantiles": At.QUANTILE,
    "quartile": At.QUARTILE,
    "quartiles": At.QUARTILE,
}
Positions = tuple[tuple[int, tuple[int, ...]], ...]


def build_conditional_effects(
    script: Script, resolver: Resolver, equations: Sequence[Equation]
) -> tuple[ConditionalEffect | ConditionalQuantity, ...]:
    """The conditional effects and quantities of every SIMPLE statement, in order of equations."""
    found: list[ConditionalEffect | ConditionalQuantity] = []
    for statement in script.simple:
        check_variances(names_in(statement.focal), equations, resolver.notes)
        focal = resolver.terms(statement.focal)
        moderators = tuple(spec for m in statement.moderators for spec in _specs(m, resolver))
        if not moderators or not focal or all(isinstance(f.expression, Constant) for f in focal):
            continue
        if len(focal) == 1 and _is_quantity(focal[0].expression, moderators):
            found.append(
                ConditionalQuantity(focal[0].expression, _without_brackets(focal[0].text), moderators)
            )
        else:
            found += _effects(statement, focal, moderators, resolver, equations)
    return tuple(found)


def _is_quantity(expression: Expression, moderators: tuple[ModeratorSpec, ...]) -> bool:
    """Is it computed from parameters, and from no variables but the moderators."""
    held = {spec.reference for spec in moderators}
    named = any(isinstance(leaf, ParameterReference) for leaf in leaves(expression))
    return named and held.issuperset(references(expression))


def _without_brackets(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _effects(
    statement: Simple,
    focal: Sequence[Resolved],
    moderators: tuple[ModeratorSpec, ...],
    resolver: Resolver,
    equations: Sequence[Equation],
) -> list[ConditionalEffect]:
    found = []
    for position, equation in enumerate(equations):
        for resolved in focal:
            for category in dict.fromkeys(term.category for term in equation.terms):
                effect = _effect(position, category, equation, resolved, moderators)
                if effect is not None:
                    found.append(effect)
    if not found:
        names = " and ".join(spec.label for spec in moderators)
        what = statement.focal.name if isinstance(statement.focal, Name) else focal[0].text
        message = f"no equation has '{what}' and its product with {names}"
        hint = f"MODEL needs a term {what}*{moderators[0].label}"
        if any(spec.label == what for spec in moderators):
            message = f"'{what}' cannot be its own moderator"
            hint = f"slopes of a curve: MODEL: y ~ {what}@b1 {what}^2@b2; SIMPLE: b1 + 2*b2*{what} | {what};"
        resolver.notes.problem(message, statement.span, hint)
        return []
    first = found[0].focal
    if isinstance(first, Reference) and resolver.variables[first.variable].centring is Centring.NONE:
        name = first.variable
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
        parameter = moderator.at.name if at is At.PARAMETER and isinstance(moderator.at, Name) else ""
        specs.append(ModeratorSpec(reference, at, resolved.text, values, parameter))
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
        value = resolver.expression(moderator.at)
        if not isinstance(
            value.expression, ParameterReference | Constant
        ):  # a constant: the name was reported
            message = f"'{moderator.at.name}' is not a value at which '{moderator.name.name}' can be held"
            hint = "use a number, quantile, quartile, or a name of PARAMETERS"
            resolver.notes.problem(message, moderator.at.span, hint)
        return At.PARAMETER, ()
    if reference.form is Form.DUMMY:
        return At.CODES, (0.0, 1.0)
    if variable.kind in (Kind.ORDINAL, Kind.NOMINAL) and reference.form is Form.VALUE:
        return At.CODES, tuple(float(code) for code in variable.codes)
    return At.SD, ()


# ------------------------------------------------------------------ terms
def _effect(
    position: int,
    category: int | None,
    equation: Equation,
    focal: Resolved,
    moderators: tuple[ModeratorSpec, ...],
) -> ConditionalEffect | None:
    """The effect in one equation (or logit), None if it does not have the focal predictor times a moderator."""
    slopes, intercepts = [], []
    references = [spec.reference for spec in moderators]
    for i, term in enumerate(equation.terms):
        powers = _powers(term, focal.expression, references)
        if powers is None or term.hidden or term.category != category:
            continue
        degree, product = powers
        if degree == 1:
            slopes.append((i, product))
        elif degree == 0:
            intercepts.append((i, product))
    if not any(product for _, product in slopes):
        return None
    return ConditionalEffect(
        position, focal.expression, focal.text, moderators, tuple(slopes), tuple(intercepts)
    )


def _powers(
    term: EquationTerm, focal: Expression, moderators: Sequence[Reference]
) -> tuple[int, tuple[int, ...]] | None:
    """How often the focal predictor is in a product, and which moderators are; None with any other factor."""
    rest = Counter(factors(term.expression))
    once = Counter(factors(focal))
    degree, product = 0, []
    while once <= rest:
        rest -= once
        degree += 1
    for factor in rest.elements():
        if factor in moderators and isinstance(factor, Reference):
            product.append(list(moderators).index(factor))
        elif factor != Constant(1.0):
            return None
    return degree, tuple(product)

"""Parameters that no data could determine: warnings, given only where this is certain.

Of a latent variable neither the unit of measurement nor the zero point can be observed; each must be set by a fixed
parameter.  These two are looked for in every model, since changing them leaves no trace also where latent
variables are multiplied.  Whatever else is not determined is found in linear models from means and covariances
(`mlbayes.model.moments`).  The program runs such models, since a prior may be meant to decide, but the draws of the
parameters concerned drift.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from mlbayes.language.nodes import Loading, Name, Script
from mlbayes.model.expressions import Constant, Expression, Form, Reference, factors, references
from mlbayes.model.model import Distribution, Equation, EquationTerm, Family, Model, Parameter, Role
from mlbayes.model.moments import (
    Diagram,
    Moments,
    draw_diagram,
    has_own_information,
    moments,
    tied_parameters,
)
from mlbayes.model.notes import Notes

MOST_NAMES = 6  # parameters that one warning lists


def check_identification(model: Model, script: Script, notes: Notes) -> None:
    """Warn of latent variables without a scale, zero point or measure, and of parameters without information."""
    if notes.problems:
        return
    for text in _two_scales(model, script):
        notes.warn(text)
    found: set[str] = set()
    for name, variable in model.variables.items():
        if variable.role is not Role.LATENT:
            continue
        text = _doubt(model, name)
        if text:
            found.add(name)
            notes.warn(text)
    if "hev" in model.settings.options:
        return  # variances that differ between clusters may tell more than means and covariances
    diagram = draw_diagram(model)
    for component in diagram.components():
        if found.isdisjoint(component):
            told = moments(diagram, component)
            for text in _not_told(model, diagram, component, told) if told else ():
                notes.warn(text)


def _doubt(model: Model, name: str) -> str:
    """What is wrong with a latent variable alone; empty if nothing is."""
    place = model.in_line(_equation(model, name).span, "latent")
    if not _uses(model, name):
        return (
            f"The latent variable '{name}'{place} is not measured: no equation has it as a predictor. "
            f"Give it indicators ({name} -> ...) or leave it out."
        )
    if _scale_is_free(model, name):
        return (
            f"The scale of the latent variable '{name}'{place} is not set: its variance and all its loadings are "
            f"free. Fix a loading (@1) or its variance ({name}@1)."
        )
    if _location_is_free(model, name):
        return (
            f"The mean of the latent variable '{name}'{place} is not identified: its intercept is free, and each "
            f"equation that it predicts has a free term that makes up for it. Fix one of these, as in {name} ~ 1@0."
        )
    return ""


def _two_scales(model: Model, script: Script) -> Iterator[str]:
    """A variance that is fixed beside a loading that `->` fixed is a restriction that was hardly meant."""
    for statement in script.model:
        if not isinstance(statement, Loading) or statement.targets[0].tag is not None:
            continue
        for left in statement.left:
            name = left.expression.name if isinstance(left.expression, Name) and left.tag is None else ""
            if name not in model.variables or model.variables[name].role is not Role.LATENT:
                continue
            residual = _equation(model, name).residual
            if residual is not None and model.parameters[residual].fixed is not None:
                yield (
                    f"The scale of the latent variable '{name}'{model.in_line(statement.span)} is set twice: its "
                    f"variance is fixed, and '->' fixes its first loading at 1. Label that loading to free it "
                    f"({name} -> indicator@label ...), or do not fix the variance."
                )


# ------------------------------------------------------------------ scale and location of a latent variable
def _uses(model: Model, name: str) -> list[tuple[Equation, EquationTerm]]:
    """The terms with a latent variable, those multiplied by 0 left out."""
    return [
        (equation, term)
        for equation in model.equations
        for term in equation.terms
        if any(reference.variable == name for reference in references(term.expression))
        and (term.hidden or model.parameters[term.coefficient].fixed != 0.0)
    ]


def _degree(expression: Expression, name: str) -> int | None:
    """How often a variable is a factor of a term; None if it is in a factor of another form."""
    degree = 0
    for factor in factors(expression):
        if isinstance(factor, Reference) and factor.variable == name and factor.form is Form.VALUE:
            degree += 1
        elif any(reference.variable == name for reference in references(factor)):
            return None
    return degree


def _is_unbounded(parameter: Parameter, scaled: bool) -> bool:
    """Can a free parameter take any value; when `scaled`, it is enough that any multiple of its value is allowed."""
    if parameter.definition is not None or has_own_information(parameter):
        return False
    if parameter.prior.family is Family.TRUNCATED:
        allowed = (0.0, math.inf) if scaled else (math.inf,)
        return all(abs(bound) in allowed for bound in parameter.prior.arguments)
    return True


def _scale_is_free(model: Model, name: str) -> bool:
    """Does multiplying a latent variable by any number, and parameters by powers of it, leave no trace.

    A parameter changes with the number of times the variable stands left of its term less that right of it.
    """
    powers: dict[str, set[int]] = {}
    for equation in model.equations:
        own = equation.outcome == name
        if own and (equation.distribution is not Distribution.NORMAL or equation.residual is None):
            return False
        if equation.residual is not None:
            powers.setdefault(equation.residual, set()).add(2 * own)
        for term in equation.terms:
            degree = _degree(term.expression, name)
            if degree is None:
                return False
            if model.parameters[term.coefficient].fixed != 0.0:
                powers.setdefault(term.coefficient, set()).add(own - degree)
        if any(_degree(equation.terms[i].expression, name) for r in equation.random for i in r.terms):
            return False
    tied = tied_parameters(model)
    return all(
        changes == {0} or (len(changes) == 1 and p not in tied and _is_unbounded(model.parameters[p], True))
        for p, changes in powers.items()
    )


def _location_is_free(model: Model, name: str) -> bool:
    """Does adding any number to a latent variable leave no trace, being taken out again by free coefficients."""
    tied = tied_parameters(model)
    counts = Counter(term.coefficient for equation in model.equations for term in equation.terms)

    def has_free(equation: Equation, rest: Counter[Expression], category: int | None) -> bool:
        return any(
            Counter(f for f in factors(term.expression) if f != Constant(1.0)) == rest
            and term.category == category
            and counts[term.coefficient] == 1
            and term.coefficient not in tied
            and _is_unbounded(model.parameters[term.coefficient], False)
            for term in equation.terms
        )

    if not has_free(_equation(model, name), Counter(), None):
        return False
    for equation, term in _uses(model, name):
        if _degree(term.expression, name) != 1:
            return False
        own = next(f for f in factors(term.expression) if isinstance(f, Reference) and f.variable == name)
        rest = Counter(f for f in factors(term.expression) if f not in (own, Constant(1.0)))
        centred = any(r.centring.value != "none" for r in references(term.expression) if r.variable == name)
        if centred or not has_free(equation, rest, term.category):
            return False
    return not any(
        _degree(equation.terms[i].expression, name) != 0
        for equation in model.equations
        for random in equation.random
        for i in random.terms
    )


# ------------------------------------------------------------------ means and covariances
def _not_told(model: Model, diagram: Diagram, component: Sequence[str], told: Moments) -> Iterator[str]:
    """The warnings of one linear part of a model."""
    observed = " ".join(name for name in component if diagram.nodes[name].observed)
    own = [e for e in model.equations if e.outcome in component]
    own.sort(key=lambda equation: bool(equation.added))
    place = model.in_line(own[0].span if own else None)
    few = all(len(parameters) <= MOST_NAMES // 2 for parameters in told.undetermined)
    if told.number is not None and len(told.free) > told.number and not few:
        yield (
            f"The model of {observed}{place} has {len(told.free)} free parameters, but these variables have only "
            f"{told.number} means and covariances. Fix parameters, make some equal by labels, or add indicators."
        )
        return
    for parameters in told.undetermined:
        words = [diagram.words[name] for name in parameters]
        words[0] = words[0][0].upper() + words[0][1:]
        if len(words) == 1:
            yield (
                f"{words[0]}{place} is not identified: no mean or covariance of {observed} depends on it. "
                f"Fix it, or add variables that do depend on it."
            )
            continue
        if len(words) > MOST_NAMES:
            words = [*words[:MOST_NAMES], f"{len(words) - MOST_NAMES} more"]
        yield (
            f"{', '.join(words[:-1])} and {words[-1]}{place} are not identified: they can change together without "
            f"changing any mean or covariance of {observed}. Fix one of them, or add variables that tell them apart."
        )


def _equation(model: Model, name: str) -> Equation:
    """The equation of a latent variable; each has one."""
    return next(
        e for e in model.equations if e.outcome == name and e.distribution is not Distribution.LOG_VARIANCE
    )

"""Coefficients of equations as unknowns with their priors."""

from __future__ import annotations

from mlbayes.model.model import Family, Model
from mlbayes.plan.choice import Choice
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import TopUnknown


def parameters_of(r: OutcomeRegression) -> list[Atom]:
    """Free parameters of an equation in the order of its terms, which does not depend on their names."""
    polynomials = [part for pair in zip(r.coefficients, r.terms, strict=True) for part in pair]
    return [a for part in polynomials for monomial in part.terms for a in monomial if a.kind == "parameter"]


def all_parameters_of(regressions: Regressions, r: OutcomeRegression) -> list[Atom]:
    """The same, followed by the parameters that are in functions alone."""
    direct = dict.fromkeys(parameters_of(r))
    return [*direct, *sorted(regressions.symbols.parameters_in(r.expanded().atoms()) - set(direct))]


def equations_with(regressions: Regressions, parameter: Atom) -> list[OutcomeRegression]:
    """The equations, those of log variances apart, that a parameter enters, directly or inside a function."""
    return [r for r in regressions.locations if parameter in all_parameters_of(regressions, r)]


def top_unknown(model: Model, atom: Atom) -> TopUnknown:
    """A coefficient with its prior."""
    prior = model.parameters[atom.name].prior
    if prior.family is Family.NORMAL:
        return TopUnknown(atom, 1.0 / prior.arguments[1], prior.arguments[0])
    if prior.family is Family.TRUNCATED:
        return TopUnknown(atom, bounds=(prior.arguments[0], prior.arguments[1]))
    if prior.family is Family.FLAT:
        return TopUnknown(atom)
    raise unsupported(f"the prior of '{atom.name}' does not suit a coefficient", "use normal or truncate")


def free_coefficients(choice: Choice, r: OutcomeRegression, predictor: Polynomial) -> list[TopUnknown]:
    """Coefficients of this equation alone that have no bounds and enter its linear predictor linearly.

    Those inside functions count as elsewhere.
    """
    elsewhere = {
        atom
        for other in choice.regressions.outcomes
        if other.number != r.number
        for atom in parameters_of(other)
    }
    elsewhere |= {atom for function in choice.symbols.functions.values() for atom in function.parameters}
    found: list[TopUnknown] = []
    for atom in dict.fromkeys(parameters_of(r)):
        top = top_unknown(choice.model, atom)
        linear = predictor.is_affine_in([*(other.atom for other in found), atom])
        if atom not in elsewhere and atom not in choice.common and top.bounds is None and linear:
            found.append(top)
    return found

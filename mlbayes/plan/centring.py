"""Grand-mean centring as a change of parameters.

An equation in predictors centred at estimated means is, where its terms allow it, the same equation in raw
predictors with other coefficients: beta_centred = M(means) beta_raw with determinant 1, so flat priors stay
flat.  Sampling the raw form keeps the means out of the outcome's likelihood; the report gets the centred form.
Default priors that are not flat (categorical outcomes) would not stay as they are.  There predictors are taken less
their observed means, which are numbers: the prior is that of the equation centred at these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mlbayes.model.expressions import Centring, Expression, ParameterReference, leaves, references
from mlbayes.model.model import Equation, Family, Model, Prior
from mlbayes.plan.polynomial import TOP, Atom, Monomial, Polynomial
from mlbayes.plan.symbols import Symbols, unsupported

GRAND = Centring.GRAND.value


@dataclass(frozen=True)
class Recentring:
    """`mode`: what becomes of predictors centred at grand means while sampling, as `Symbols.polynomial` has it.

    `change`[(s, t)]: what coefficient t of the sampled form adds to centred coefficient s, as a polynomial in grand
    means (1 for s = t is left out).
    """

    mode: str = "exact"
    change: dict[tuple[int, int], Polynomial] = field(default_factory=dict)


def recentring(model: Model, symbols: Symbols, equation: Equation) -> Recentring:
    """Decide whether an equation can be sampled with raw predictors, and how to get back."""
    centred = {
        reference.variable
        for term in equation.terms
        for reference in references(term.expression)
        if reference.centring is Centring.GRAND and reference.variable in symbols.modelled
    }
    if not centred:
        return Recentring()
    for mode in ("raw", "shifted"):
        change = _change(symbols, equation, mode)
        if change is not None and _priors_allow(model, equation, change, mode):
            return Recentring(mode, change)
    categorical = [name for name in sorted(centred) if model.variables[name].codes]
    if categorical:
        kind = model.variables[categorical[0]].kind.value
        raise unsupported(
            f"the centred {kind} predictor '{categorical[0]}' cannot be run in '{equation.title}'",
            "include the lower-order terms of its products, with free coefficients",
        )
    return Recentring()


def _change(symbols: Symbols, equation: Equation, mode: str) -> dict[tuple[int, int], Polynomial] | None:
    """Terms of the sampled form expanded in centred ones; None when the terms are not closed under that."""
    centred_terms = [_centred_term(symbols, t, term.expression) for t, term in enumerate(equation.terms)]
    places: dict[Monomial, int] = {}
    for t, polynomial in enumerate(centred_terms):
        if len(polynomial.terms) != 1 or next(iter(polynomial.terms.values())) != 1.0:
            return None
        places[next(iter(polynomial.terms))] = t
    change: dict[tuple[int, int], dict[Monomial, float]] = {}
    for t, polynomial in enumerate(centred_terms):
        sampled = polynomial.substitute(lambda atom: _uncentre(symbols, atom, mode))
        for monomial, number in sampled.terms.items():
            means = tuple(atom for atom in monomial if atom.kind in ("grand", "share"))
            rest = tuple(atom for atom in monomial if atom.kind not in ("grand", "share"))
            if rest not in places:
                return None
            if places[rest] != t:
                part = change.setdefault((places[rest], t), {})
                part[means] = part.get(means, 0.0) + number
    return {key: Polynomial(part) for key, part in change.items()}


def _centred_term(symbols: Symbols, t: int, expression: Expression) -> Polynomial:
    """A term in centred symbols; one that is no single product and has no grand-mean centring is one symbol."""
    polynomial = symbols.polynomial(expression, "centred")
    single = len(polynomial.terms) == 1 and 1.0 in polynomial.terms.values()
    if single or any(_uncentre(symbols, atom, "raw") for atom in polynomial.atoms()):
        return polynomial
    return Polynomial.of(Atom("whole term", str(t), TOP))


def _uncentre(symbols: Symbols, atom: Atom, mode: str) -> Polynomial | None:
    """A grand-mean centred symbol plus its mean, less the observed one if "shifted"; group-mean centred ones stay."""
    kind = next((kind for kind in ("value", "code", "mean") if atom.kind == f"centred {kind} {GRAND}"), None)
    if kind is None:
        return None
    centre = symbols.grand(atom.name) if kind == "mean" else symbols.centre(atom.name, atom.index)
    result = Polynomial.of(atom) + Polynomial.of(centre)
    observed = Polynomial.number(symbols.observed_centre(replace(atom, kind=kind)))
    return result - observed if mode == "shifted" else result


def _priors_allow(
    model: Model, equation: Equation, change: dict[tuple[int, int], Polynomial], mode: str
) -> bool:
    """Do the priors stay as they are under the change of parameters, or may be taken at observed means ("shifted")."""
    names = [term.coefficient for term in equation.terms]
    everywhere = [term.coefficient for other in model.equations for term in other.terms]
    for s, _ in change:
        parameter = model.parameters[names[s]]
        free = parameter.fixed is None and parameter.definition is None
        if not free or everywhere.count(names[s]) > 1 or not _prior_allows(parameter.prior, mode):
            return False
        if any(names[s] in _names(other.definition) for other in model.parameters.values()):
            return False
        if any(names[s] in _names(term.expression) for other in model.equations for term in other.terms):
            return False
    for group in equation.random:
        touched = [(s, t) for s, t in change if t in group.terms]
        if any(s not in group.terms for s, _ in touched):
            return False
        scale = group.prior.arguments[1] if len(group.prior.arguments) > 1 else 0.0
        named = any(e.outcome == equation.outcome and e.level == group.level for e in model.named_effects)
        if touched and (scale > 0.0 or group.variance is not None or named):
            return False
    return True


def _prior_allows(prior: Prior, mode: str) -> bool:
    """A prior that the user stated is that of the coefficient at estimated means and nothing else."""
    return prior.family is Family.FLAT or (mode == "shifted" and not prior.stated)


def _names(definition: Expression | None) -> set[str]:
    """Parameters in an expression."""
    if definition is None:
        return set()
    return {leaf.name for leaf in leaves(definition) if isinstance(leaf, ParameterReference)}

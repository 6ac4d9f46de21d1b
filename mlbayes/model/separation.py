"""Categories that the data say too little about: warnings, given only where this is certain.

Where a predictor parts the categories of an outcome without overlap, the likelihood has no maximum: the coefficient is
what its prior says, and has no posterior if its prior is flat (Albert & Anderson 1984, Biometrika 71, 1-10).  Each
predictor is looked at alone, over the units in which it and the outcome are observed; several may part the categories
together without a warning.  The program runs such models, since a prior may be meant to decide; where it certainly
cannot, because it is flat, the run is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.language.nodes import Script
from mlbayes.model.expressions import Centring, Constant, Form, Reference
from mlbayes.model.model import Distribution, Equation, EquationTerm, Family, Model, Role
from mlbayes.model.notes import Notes
from mlbayes.model.units import Indices, Vector
from mlbayes.problems import ProblemKind

ORDERED = (Distribution.PROBIT, Distribution.LOGIT)
DISCRETE = (*ORDERED, Distribution.MULTINOMIAL, Distribution.NEGATIVE_BINOMIAL)
FEWEST = 5  # cases of a category below which a warning is due
FEWEST_BOUNDED = 3  # clusters that a flat prior of a variance needs


def check_separation(model: Model, script: Script, notes: Notes) -> None:
    """Warn of rare categories, of predictors that part the categories, and of clusters that do not vary.

    Refused are flat coefficients of predictors that part them, and those of constants.
    """
    if notes.problems:
        return
    for equation in model.equations:
        if equation.distribution in DISCRETE:
            for text in (*_rare(model, equation), *_constant(model, equation), *_uniform(model, equation)):
                notes.warn(text)
            for parted in _parted(model, equation):
                _tell(model, parted, notes)
        for text in _alone(model, equation):
            notes.warn(text)
        if equation.distribution is not Distribution.LOG_VARIANCE:
            _refuse_constant(model, equation, notes)


# ------------------------------------------------------------------ rare categories
def _rare(model: Model, equation: Equation) -> Iterator[str]:
    """Observed categories, or counts above 0, of which there are few."""
    variable = model.variables[equation.outcome]
    values = variable.values[~variable.missing]
    name = f"'{variable.name}'{model.in_line(equation.span)}"
    if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
        above = int((values > 0.0).sum())
        if above < FEWEST:
            yield (
                f"Only {above} of {values.size} counts of {name} {'is' if above == 1 else 'are'} above 0: the results "
                "depend on priors. Use few predictors, or state priors for their coefficients."
            )
        return
    for code in variable.codes:
        cases = int((values == code).sum())
        if cases < FEWEST:
            yield (
                f"Category {code} of {name} has only {cases} case{'' if cases == 1 else 's'} in {values.size}: what "
                "depends on it depends on priors. Join it with another category in TRANSFORM, or use few predictors."
            )


# ------------------------------------------------------------------ predictors
@dataclass(frozen=True)
class _Parted:
    """What parts the categories, and the terms of the predictor; `certain`: it is observed wherever the outcome is."""

    what: str
    terms: list[EquationTerm]
    certain: bool


def _tell(model: Model, parted: _Parted, notes: Notes) -> None:
    """Warn that the prior decides; a flat one cannot, and its coefficient would run away: such a run is refused."""
    remedy = "state a prior (x@b in MODEL, b ~ normal(0, 1) in PARAMETERS), join categories, or leave out the predictor"
    span = parted.terms[0].span
    flat = any(model.parameters[term.coefficient].prior.family is Family.FLAT for term in parted.terms)
    if flat and parted.certain:
        message = f"{parted.what} (separation): the coefficient has no posterior, since its prior is flat"
        notes.problem(message.format(place=""), span, remedy, ProblemKind.NUMERICAL)
        return
    decided = "may have no posterior, since its prior is flat" if flat else "is what its prior says"
    text = f"{parted.what} (separation): the coefficient {decided}"
    text = text.format(place=model.in_line(span))
    notes.warn(f"{text[0].upper()}{text[1:]}. {remedy[0].upper()}{remedy[1:]}.")


def _predictors(model: Model, equation: Equation) -> dict[tuple[str, Form], list[EquationTerm]]:
    """Main effects beside a free intercept, the dummies of a nominal predictor together.

    Not what an outcome says the missingness of: it is never observed where it is missing.
    """
    terms: dict[tuple[str, Form], list[EquationTerm]] = {}
    if any(isinstance(t.expression, Constant) and _is_free(model, t) for t in equation.terms):
        for term in equation.terms:
            reference = _main_effect(model, term)
            if reference is not None and reference.variable != model.variables[equation.outcome].indicates:
                terms.setdefault((reference.variable, reference.form), []).append(term)
    return terms


def _constant(model: Model, equation: Equation) -> Iterator[str]:
    """Predictors that say nothing beside the intercept."""
    for (name, _), own in _predictors(model, equation).items():
        x, _y = _pairs(model, equation, name)
        if np.unique(x).size < 2 and not all(_is_informative(model, term) for term in own):
            yield (
                f"The predictor '{name}'{model.in_line(own[0].span)} has the same value wherever '{equation.outcome}' "
                "is observed: its coefficient and the intercept cannot be told apart. Leave it out."
            )


def _refuse_constant(model: Model, equation: Equation, notes: Notes) -> None:
    """A complete predictor that is constant beside the intercept, both with a flat prior of their own."""
    if not all(_is_flat(model, t) for t in equation.terms if isinstance(t.expression, Constant)):
        return
    for (name, _), own in _predictors(model, equation).items():
        predictor = model.variables[name]
        certain = not predictor.incomplete and all(_is_flat(model, term) for term in own)
        # where the outcome is missing counts, too: other equations may say something about it there
        if certain and np.unique(predictor.values).size < 2:
            message = (
                f"the predictor '{name}' has the same value everywhere: its coefficient and the intercept cannot"
                " be told apart"
            )
            notes.problem(message, own[0].span, "leave it out of the model", ProblemKind.NUMERICAL)


def _is_flat(model: Model, term: EquationTerm) -> bool:
    """Do the data alone tell a coefficient: a flat prior, and no label that other statements may use."""
    parameter = model.parameters.get(term.coefficient)
    return parameter is not None and parameter.prior.family is Family.FLAT and not parameter.labelled


def _parted(model: Model, equation: Equation) -> Iterator[_Parted]:
    """Predictors that part the categories."""
    outcome = f"'{equation.outcome}'"
    for (name, form), own in _predictors(model, equation).items():
        x, y = _pairs(model, equation, name)
        if np.unique(x).size < 2 or all(_is_informative(model, term) for term in own):
            continue
        certain = not model.variables[name].incomplete
        if form is Form.DUMMY:
            found = [code for code in _codes(model, name, own) if _is_uniform(y[x == code], y, equation)]
            if found:
                groups = " or ".join(f"{name} = {code}" for code in found)
                lack = {
                    Distribution.MULTINOMIAL: f"a category of {outcome} never occurs",
                    Distribution.NEGATIVE_BINOMIAL: f"all counts of {outcome} are 0",
                }.get(equation.distribution, f"all values of {outcome} are in one category")
                yield _Parted(f"where {groups}{{place}}, {lack}", own, certain)
        elif _parts(x, y, equation):
            values = "counts" if equation.distribution is Distribution.NEGATIVE_BINOMIAL else "categories"
            what = f"the predictor '{name}'{{place}} parts the {values} of {outcome} without overlap"
            yield _Parted(what, own, certain)


def _is_free(model: Model, term: EquationTerm) -> bool:
    parameter = model.parameters.get(term.coefficient)
    return (
        parameter is not None and parameter.fixed is None and parameter.definition is None and not term.hidden
    )


def _main_effect(model: Model, term: EquationTerm) -> Reference | None:
    """The observed variable that a free coefficient belongs to; the same number may be subtracted from all values."""
    expression = term.expression
    if not isinstance(expression, Reference) or not _is_free(model, term):
        return None
    own_value = expression.form in (Form.VALUE, Form.DUMMY) and expression.centring is not Centring.GROUP
    observed = model.variables[expression.variable].role is not Role.LATENT
    return expression if own_value and observed else None


def _is_informative(model: Model, term: EquationTerm) -> bool:
    """Has the user stated a prior that keeps the coefficient within reach."""
    prior = model.parameters[term.coefficient].prior
    bounded = prior.family is Family.TRUNCATED and bool(np.isfinite(prior.arguments).all())
    return prior.stated and (prior.family is Family.NORMAL or bounded)


def _pairs(model: Model, equation: Equation, name: str) -> tuple[Vector, Vector]:
    """Values of a predictor and of the outcome where both are observed."""
    predictor, outcome = model.variables[name], model.variables[equation.outcome]
    x = predictor.values[model.hierarchy.ancestors(equation.level, predictor.level)]
    both = ~np.isnan(x) & ~outcome.missing
    return x[both], outcome.values[both]


def _codes(model: Model, name: str, terms: list[EquationTerm]) -> list[int]:
    """Codes of a nominal predictor whose groups have a coefficient, or are what all others are compared to."""
    variable = model.variables[name]
    own = {t.expression.argument for t in terms if isinstance(t.expression, Reference)}
    rest = set(variable.codes) - own
    return [code for code in variable.codes if code in own or len(rest) == 1]


def _is_uniform(inside: Vector, y: Vector, equation: Equation) -> bool:
    """Does a group lack what would bound its coefficient from one side."""
    if not inside.size:
        return False
    if equation.distribution is Distribution.MULTINOMIAL:
        return np.unique(inside).size < np.unique(y).size
    if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
        return bool((inside == 0.0).all())
    return bool((inside == y.min()).all() or (inside == y.max()).all())


def _parts(x: Vector, y: Vector, equation: Equation) -> bool:
    """Is there a direction of the intercept, thresholds and slope in which the likelihood never falls.

    Ordered categories: x is sorted by them.  Unordered: some of them are all on one side of the others.  Counts: those
    above 0 share one end of x.
    """
    if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
        above = np.unique(x[y > 0.0])
        return above.size == 1 and above[0] in (x.min(), x.max())
    categories = np.unique(y)
    low = np.array([x[y == c].min() for c in categories])
    high = np.array([x[y == c].max() for c in categories])
    if equation.distribution is Distribution.MULTINOMIAL:
        order = np.lexsort((high, low))
        return bool((np.maximum.accumulate(high[order])[:-1] <= low[order][1:]).any())
    return bool((high[:-1] <= low[1:]).all() or (low[:-1] >= high[1:]).all())


# ------------------------------------------------------------------ clusters
def _uniform(model: Model, equation: Equation) -> Iterator[str]:
    """Variances of random effects whose flat prior the clusters do not bound.

    The likelihood of a cluster whose random intercept may be as low, or as high, as it likes does not vanish as the
    variance s^2 grows, that of any other cluster falls as 1 / s: with m others the integral of s^(1 - m) is finite
    for m > 2 only.
    """
    outcome = model.variables[equation.outcome]
    for random in equation.random:
        fixed = random.variance is not None and model.parameters[random.variance].fixed is not None
        if fixed or random.prior.arguments[0] >= 0.0:
            continue
        seen: NDArray[np.bool_] = ~outcome.missing
        cluster = model.hierarchy.ancestors(equation.level, random.level)[seen]
        bounded = _bounded_clusters(cluster, outcome.values[seen], equation)
        if bounded < FEWEST_BOUNDED and np.unique(cluster).size < cluster.size:
            identifier = model.hierarchy.identifiers[random.level - 2]
            which = (
                "but 0" if equation.distribution is Distribution.NEGATIVE_BINOMIAL else "in two categories"
            )
            some = "No cluster" if bounded == 0 else f"Only {bounded} cluster{'' if bounded == 1 else 's'}"
            yield (
                f"{some} of '{identifier}' {'has' if bounded < 2 else 'have'} values of '{outcome.name}'"
                f"{model.in_line(equation.span)} {which}: with its flat prior the variance of random effects has no "
                "upper bound. Take them away (| 1@0), or use OPTIONS: prior1."
            )


def _alone(model: Model, equation: Equation) -> Iterator[str]:
    """Random intercepts that are residuals of their own: clusters with a single value each."""
    residual = model.parameters.get(equation.residual or "")
    free = residual is not None and residual.fixed is None
    if not free and equation.distribution not in (*ORDERED, Distribution.MULTINOMIAL):
        return
    outcome = model.variables[equation.outcome]
    seen: NDArray[np.bool_] = ~outcome.missing
    for random in equation.random:
        fixed = random.variance is not None and model.parameters[random.variance].fixed is not None
        intercept = any(isinstance(equation.terms[k].expression, Constant) for k in random.terms)
        if fixed or not intercept:
            continue
        cluster = model.hierarchy.ancestors(equation.level, random.level)[seen]
        if np.unique(cluster).size == cluster.size:
            identifier = model.hierarchy.identifiers[random.level - 2]
            name = f"'{outcome.name}'{model.in_line(equation.span)}"
            yield (
                f"No cluster of '{identifier}' has two values of {name}: random effects and residuals cannot be told "
                f"apart. Take '{identifier}' out of CLUSTERID, or the random "
                "effects away (| 1@0)."
            )


def _bounded_clusters(cluster: Indices, y: Vector, equation: Equation) -> int:
    """How many clusters bound their random intercept from both sides."""
    names, place = np.unique(cluster, return_inverse=True)
    low, high = np.full(names.size, np.inf), np.full(names.size, -np.inf)
    np.minimum.at(low, place, y)
    np.maximum.at(high, place, y)
    if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
        return int((high > 0.0).sum())
    if equation.distribution is Distribution.MULTINOMIAL:
        return int((low < high).sum())
    return int(((low < y.max()) & (high > y.min())).sum())

"""Responses of categorical and count variables: what is normal around their linear predictors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlbayes.model.model import Distribution, Kind
from mlbayes.plan import plan as p
from mlbayes.plan.categories import UNKNOWN, category_labels, category_places
from mlbayes.plan.choice import Choice
from mlbayes.plan.coefficients import free_coefficients
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.expected_codes import ExpectedCode
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import CATEGORICAL_PRIOR
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression
from mlbayes.plan.unknowns import Coupling, EffectGroup, Mask, Residual, TopUnknown

FAMILIES = {
    p.RESPONSE_NORMAL: p.NEWTON_PROBIT,
    p.RESPONSE_LOGISTIC: p.NEWTON_LOGIT,
    p.RESPONSE_BINARY: p.NEWTON_LOGIT,
    p.RESPONSE_COUNT: p.NEWTON_COUNT,
}


@dataclass
class Response:
    """A categorical or count variable's response, as the steps need it.

    `kind`: RESPONSE_...; `name`: of the variable; `atom`, `root`: symbols of the response and of the root of its
    precision; `predictor`: its linear predictor; `own`: residuals in which the response is what is explained, with
    their couplings; `cuts`: offset of thresholds or dispersion; `free`: coefficients that can be drawn with the
    response integrated out; `shift`: what the linear predictor is compared with (log sum of the other categories);
    `category`: code of a nominal outcome that the response is of, `of_several`: it has others, given which this
    response is that of a binary outcome; `codes`: offset of places.  `others`: residuals in which the response is a
    predictor.  `groups`: random effects whose covariance matrix is free; `terms`: what they multiply.
    `centres`: what equations are centred at that depends on the thresholds.
    """

    kind: int
    name: str
    title: str
    level: int
    atom: Atom
    root: Atom | None
    predictor: Polynomial
    own: list[Residual]
    couplings: list[Coupling]
    active: Mask
    cuts: int
    free: list[TopUnknown]
    shift: Polynomial | None = None
    category: int | None = None
    of_several: bool = False
    codes: int = -1
    others: list[Residual] = field(default_factory=list)
    groups: list[EffectGroup] = field(default_factory=list)
    terms: list[Polynomial] = field(default_factory=list)
    centres: list[ExpectedCode] = field(default_factory=list)


def outcome_response(choice: Choice, r: OutcomeRegression) -> Response:
    """The response of an outcome, or of one category of a nominal one."""
    variable = choice.model.variables[r.equation.outcome]
    kind = _kind(r, len(variable.codes))
    own, pairs = _own_residuals(choice, r)
    predictor = r.predictor(False)
    response = Response(
        kind,
        variable.name,
        r.equation.title,
        r.equation.level,
        r.left,
        r.root,
        predictor,
        own,
        pairs,
        r.active,
        r.dispersion if kind == p.RESPONSE_COUNT else r.cuts,
        free_coefficients(choice, r, predictor),
        terms=r.terms,
    )
    response.codes = response_codes(choice, r)
    if r.planned.category is not None:
        response.category = r.planned.category
        response.shift = _log_sum_of_others(choice, r)
        response.cuts = choice.builder.vector([0.0])
        response.of_several = r.planned.of_several
    return response


def predictor_response(
    choice: Choice, part: PredictorRegression, others: Sequence[Residual], centres: Sequence[ExpectedCode]
) -> Response:
    """The response of an ordinal predictor; `others`: other predictors' models that count for it.

    `centres`: its expected codes that equations are centred at.
    """
    variable = choice.model.variables[part.variable]
    active = np.ones(part.units, dtype=np.bool_)
    residual = Residual(part.variable, part.residual(), part.level, active, part.precision, False)
    predictor = Polynomial.of(part.response) - part.residual()
    atoms = [*part.slopes, part.intercept]
    free = [TopUnknown(a, 1.0 / CATEGORICAL_PRIOR) for a in atoms if a.kind in ("slope", "grand")]
    used = [other for other in others if part.response in other.polynomial.atoms()]
    return Response(
        p.RESPONSE_NORMAL,
        variable.name,
        variable.name,
        part.level,
        part.response,
        None,
        predictor,
        [residual],
        [],
        active,
        part.cuts,
        free,
        others=used,
        codes=choice.builder.vector(np.maximum(category_places(variable), 0.0)),
        centres=list(centres),
    )


def _kind(r: OutcomeRegression, categories: int) -> int:
    match r.equation.distribution:
        case Distribution.PROBIT:
            return p.RESPONSE_NORMAL
        case Distribution.LOGIT if categories > 2:
            return p.RESPONSE_LOGISTIC
        case Distribution.NEGATIVE_BINOMIAL:
            return p.RESPONSE_COUNT
        case _:
            return p.RESPONSE_BINARY


def _own_residuals(choice: Choice, r: OutcomeRegression) -> tuple[list[Residual], list[Coupling]]:
    """An outcome's residual with those that it is correlated with (`~~`)."""
    covarying = choice.regressions.covarying_with(r)
    residuals = [
        Residual(o.equation.title, o.expanded(), o.equation.level, o.active, o.precision, False)
        for o in (r, *(other for other, _ in covarying))
    ]
    return residuals, [Coupling(0, place, element) for place, (_, element) in enumerate(covarying, 1)]


def _log_sum_of_others(choice: Choice, r: OutcomeRegression) -> Polynomial:
    """Log of the sum of exp(linear predictor) over the other categories of a nominal outcome, as a symbol."""
    builder, symbols = choice.builder, choice.symbols
    level = r.equation.level
    units = builder.unit_set(level, symbols.units(level), None, None)
    atom = Atom("others", str(r.number), level)
    n, target = units.units, symbols.offset(atom)
    with builder.program():
        evaluator = Evaluator(symbols, units)
        builder.instruct(p.OP_FILL, target, n, builder.one)
        for other in choice.regressions.outcomes:
            if other.planned.source == r.planned.source and other.number != r.number:
                share = builder.zeros(n)
                builder.instruct(p.OP_EXP, share, n, evaluator.vector(other.predictor(False)))
                builder.instruct(p.OP_ADD, target, n, share)
        builder.instruct(p.OP_LOG, target, n, target)
    return Polynomial.of(atom)


def response_family(r: OutcomeRegression, categories: int) -> int:
    """NEWTON_... of an outcome."""
    return FAMILIES[_kind(r, categories)]


def response_codes(choice: Choice, r: OutcomeRegression) -> int:
    """Offset of the places of an outcome's categories, current ones where they are missing and drawn."""
    if r.number not in choice.codes:
        variable = choice.model.variables[r.equation.outcome]
        places = category_places(variable)
        drawn = variable.incomplete and r.active.all()
        # the steps that draw missing values keep numbers and dummy variables up to date
        if drawn and r.dispersion >= 0:
            choice.codes[r.number] = choice.symbols.offset(choice.symbols.value(variable.name))
            return choice.codes[r.number]
        if drawn and variable.kind is Kind.NOMINAL:
            code = r.planned.category
            code = int(category_labels(variable)[1]) if code is None else code
            dummy = choice.symbols.dummy(variable.name, code)
            choice.codes[r.number] = choice.symbols.offset(dummy)
            return choice.codes[r.number]
        if r.planned.category is not None:
            wanted = category_labels(variable).index(float(r.planned.category))
            places = np.where(places < 0, places, places == wanted)
        elif _kind(r, len(variable.codes)) == p.RESPONSE_BINARY:
            places = np.minimum(places, 1.0)
        places = np.where(r.active, np.maximum(places, 0.0), UNKNOWN)
        choice.codes[r.number] = choice.builder.vector(places)
    return choice.codes[r.number]

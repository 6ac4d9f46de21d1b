"""The models of predictors, level by level, as regressions."""

from __future__ import annotations

from mlbayes.model.expressions import Reference
from mlbayes.model.model import Kind, Model, PredictorModel, Role, Variable
from mlbayes.plan.categories import category_labels, starting_cuts
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.priors import PREDICTOR_VARIANCE
from mlbayes.plan.regressions import PredictorRegression, preceding
from mlbayes.plan.symbols import Symbols


def predictor_regressions(symbols: Symbols) -> list[PredictorRegression]:
    """Every level of every predictor model; those of a nominal predictor for each of its responses."""
    return [
        part
        for predictor in symbols.model.predictor_models
        for code in response_codes(symbols.model, predictor.variable)
        for part in _parts(symbols, predictor, code)
    ]


def response_codes(model: Model, name: str) -> tuple[int | None, ...]:
    """The responses of a predictor model: None for its only one; of a nominal predictor all codes but the reference."""
    variable = model.variables[name]
    if variable.kind is not Kind.NOMINAL:
        return (None,)
    return tuple(int(label) for label in category_labels(variable)[1:])


def response_precisions(size: int) -> tuple[float, float]:
    """Elements on and off the diagonal of the inverse of the matrix with 1 on and 1/2 off the diagonal."""
    return 2.0 * size / (size + 1.0), -2.0 / (size + 1.0)


def _parts(symbols: Symbols, predictor: PredictorModel, code: int | None) -> list[PredictorRegression]:
    """The parts of a response of a predictor model, lowest level first."""
    model, builder = symbols.model, symbols.builder
    name, index = predictor.variable, code or 0
    variable = model.variables[name]
    title = name if code is None else f"{name}.{code}"
    result = []
    for k, part in enumerate(predictor.parts):
        last = k + 1 == len(predictor.parts)
        response = (
            symbols.predictor_response(name, index) if k == 0 else symbols.mean(name, part.level, index)
        )
        above = (
            symbols.grand(name, index) if last else symbols.mean(name, predictor.parts[k + 1].level, index)
        )
        fixed = k == 0 and variable.kind in (Kind.ORDINAL, Kind.NOMINAL)
        precision = _precision(symbols, variable) if fixed else builder.vector([1.0])
        used = list(part.predictors)
        prior, shrunk = PREDICTOR_VARIANCE, 0
        if "joint" in model.settings.options:
            used, shrunk = preceding(model, name, part)
            prior = (1.0 + 0.5 * shrunk, 0.5)
        result.append(
            PredictorRegression(
                name,
                part.level,
                response,
                above,
                [Atom("slope", f"{title} {k}", TOP, i) for i in range(len(used))],
                [_within(symbols, reference, part.level) for reference in used],
                precision,
                fixed,
                symbols.units(part.level),
                prior,
                () if fixed else tuple(range(shrunk)),
                builder.vector(starting_cuts(variable)) if fixed and code is None else -1,
                code,
            )
        )
    return result


def _precision(symbols: Symbols, variable: Variable) -> int:
    """Diagonal element of the inverse covariance matrix of a categorical predictor's latent responses."""
    if variable.kind is Kind.ORDINAL:
        return symbols.builder.one
    return symbols.builder.scalar(response_precisions(len(variable.codes) - 1)[0])


def _within(symbols: Symbols, reference: Reference, level: int) -> Polynomial:
    """A predictor's part at a level: its deviation from the part above."""
    name = reference.variable
    variable = symbols.model.variables[name]
    if variable.role is Role.FIXED:
        return symbols.polynomial(reference)
    code = reference.argument if variable.kind is Kind.NOMINAL else 0
    own = (
        symbols.predictor_response(name, code) if variable.level == level else symbols.mean(name, level, code)
    )
    models = {m.variable: m for m in symbols.model.predictor_models}
    levels = [part.level for part in models[name].parts]
    above = [other for other in levels if other > level]
    centre = symbols.mean(name, above[0], code) if above else symbols.grand(name, code)
    return Polynomial.of(own) - Polynomial.of(centre)

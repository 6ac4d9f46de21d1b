"""The variant of a model that has a joint density: only such a model can be calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mlbayes.calibrate.patterns import drawn_indicators
from mlbayes.calibrate.world import predictor_model
from mlbayes.model.expressions import (
    Centring,
    Expression,
    Operation,
    ParameterReference,
    Reference,
    leaves,
    references,
)
from mlbayes.model.model import Distribution, Equation, EquationTerm, Kind, Model
from mlbayes.model.places import place_of
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.source import Span

RANGE_LIMITED = "a normal density that reaches beyond them"


@dataclass(frozen=True)
class Coherent:
    """A model with a joint density, and what was changed for that."""

    model: Model
    changes: tuple[str, ...] = ()


def coherent_variant(model: Model) -> Coherent:
    """The model itself or a variant with a joint density.  Raises ProblemError where there is none."""
    changes: list[str] = []
    for change in (_without_weights_of_clusters, _with_raw_categorical_predictors, _with_joint_predictors):
        model, told = change(model)
        changes += told
    problems = list(_obstacles(model))
    if problems:
        raise ProblemError(problems)
    return Coherent(model, tuple(changes))


# ------------------------------------------------------------------ variants
def _without_weights_of_clusters(model: Model) -> tuple[Model, list[str]]:
    """The steps of the weighted sampler belong to no joint density; weights of rows are a model."""
    left_out = [name for name in model.weights if model.variables[name].level > 1]
    if not left_out:
        return model, []
    kept = tuple(name for name in model.weights if name not in left_out)
    what = f"WEIGHT: without the weights of clusters {' '.join(left_out)}"
    if kept:
        what += f", with the residual variance of a row divided by its weight {' '.join(kept)}"
    because = "the sampler with weights of clusters belongs to no joint density"
    return replace(model, weights=kept), [f"{what}: {because}"]


def _with_raw_categorical_predictors(model: Model) -> tuple[Model, list[str]]:
    """Categorical predictors are sampled raw; centring at a grand mean is a change of parameters after that."""
    names = list(dict.fromkeys(r.variable for _, _, r in _used(model) if _is_grand_categorical(model, r)))
    if not names:
        return model, []
    equations = tuple(
        replace(
            equation,
            terms=tuple(replace(t, expression=_raw(model, t.expression)) for t in equation.terms),
        )
        for equation in model.equations
    )
    because = "it is sampled with raw values, and centring is a change of coefficients after that"
    told = f"CENTER: without the grand mean of the categorical predictor {' '.join(names)}: {because}"
    return replace(model, equations=equations, conditional_effects=()), [told]


def _is_grand_categorical(model: Model, reference: Reference) -> bool:
    """Is it a categorical predictor less its estimated grand mean."""
    return (
        reference.centring is Centring.GRAND
        and predictor_model(model, reference.variable) is not None
        and model.variables[reference.variable].kind in (Kind.ORDINAL, Kind.NOMINAL)
    )


def _raw(model: Model, expression: Expression) -> Expression:
    """An expression with categorical predictors that are not centred at grand means."""
    if isinstance(expression, Operation):
        return replace(expression, arguments=tuple(_raw(model, a) for a in expression.arguments))
    if isinstance(expression, Reference) and _is_grand_categorical(model, expression):
        return replace(expression, centring=Centring.NONE)
    return expression


def _with_joint_predictors(model: Model) -> tuple[Model, list[str]]:
    """Predictors drawn regression by regression have no joint density, those of OPTIONS: joint have one."""
    if not _lacks_joint(model) or _no_joint_model(model):
        return model, []
    options = model.settings.options | {"joint"}
    names = " ".join(m.variable for m in model.predictor_models)
    because = "the default, regression by regression, belongs to no joint density"
    changed = replace(model, settings=replace(model.settings, options=options))
    return changed, [f"OPTIONS: joint for the predictors {names}: {because}"]


def _lacks_joint(model: Model) -> bool:
    return len(model.predictor_models) > 1 and "joint" not in model.settings.options


def _no_joint_model(model: Model) -> list[str]:
    """Predictors for which OPTIONS: joint has no model: a nominal one, several ordinal ones."""
    kinds = {m.variable: model.variables[m.variable].kind for m in model.predictor_models}
    ordinal = [name for name, kind in kinds.items() if kind is Kind.ORDINAL]
    nominal = [name for name, kind in kinds.items() if kind is Kind.NOMINAL]
    return nominal + (ordinal if len(ordinal) > 1 else [])


# ------------------------------------------------------------------ refusals
def _problem(message: str, span: Span | None, hint: str = "") -> Problem:
    return Problem(f"cannot be calibrated: {message}", span, hint, ProblemKind.UNSUPPORTED)


def _used(model: Model) -> Iterator[tuple[Equation, EquationTerm, Reference]]:
    """What stands on right sides, with its equation and term."""
    for equation in model.equations:
        for term in equation.terms:
            for reference in references(term.expression):
                yield equation, term, reference


def _place(model: Model, equation: Equation, term: EquationTerm | None = None) -> Span | None:
    """Where a term or its equation stands, or the model for what was added to it."""
    places = (None if term is None else term.span, equation.span)
    return next((span for span in places if span is not None and span.start < span.end), model.place)


def _obstacles(model: Model) -> Iterator[Problem]:
    """What has no joint density in any variant."""
    without = _no_joint_model(model)
    if _lacks_joint(model) and without:
        names = " ".join(m.variable for m in model.predictor_models)
        yield _problem(
            f"the predictors {names} are drawn regression by regression, which belongs to no joint"
            " density, and OPTIONS: joint has no model for a nominal or several ordinal predictors",
            place_of(without[0], model.equations) or model.place,
            "list complete predictors in FIXED, or give predictors equations of their own",
        )
    yield from _of_patterns(model)
    for predictor in model.predictor_models:
        if predictor.means_only:
            yield _problem(
                f"the means that '{predictor.variable}' is centred at are estimated apart from its equation, so"
                " its values count twice",
                place_of(predictor.variable, model.equations) or model.place,
                "subtract a latent mean instead of centring",
            )
    for equation in model.equations:
        yield from _of_equation(model, equation)


def _of_patterns(model: Model) -> Iterator[Problem]:
    """Indicators of missing values with equations that no data can be drawn from."""
    about = drawn_indicators(model)
    for equation in model.equations:
        name = equation.outcome
        if name not in model.dropouts or name not in about:
            continue
        variable, own = model.variables[name], model.variables.get(about[name])
        if variable.kind is not Kind.ORDINAL or variable.codes != (0, 1):
            message = f"'{name}' is an indicator of dropout, and has no model of two categories"
            yield _problem(message, _place(model, equation), f"ORDINAL: {name};")
        elif own is not None and (variable.level, own.level) != (1, 1):
            message = f"'{own.name}' and its dropout '{name}' do not vary between the rows of a cluster"
            yield _problem(message, _place(model, equation))
        elif f"{about[name]}.missing" in about:
            message = f"'{name}' and '{about[name]}.missing' both say when '{about[name]}' is missing"
            yield _problem(message, _place(model, equation), "leave out one of their equations")


def _of_equation(model: Model, equation: Equation) -> Iterator[Problem]:
    if equation.distribution is Distribution.NORMAL and not isinstance(equation.left, Reference):
        from mlbayes.plan.transformations import EVERYTHING, transformation_of

        made = transformation_of(equation, model.variables[equation.outcome].values)
        if made is not None and made.range != EVERYTHING:
            yield _problem(
                f"'{equation.title}' is bounded, and the observed values count with {RANGE_LIMITED}",
                _place(model, equation),
                "use a transformation that reaches all numbers, such as ln(y) or yjt(y)",
            )
    for term in equation.terms:
        place = _place(model, equation, term)
        for reference in references(term.expression):
            if (
                reference.centring is Centring.GRAND
                and equation.distribution is Distribution.LOG_VARIANCE
                and predictor_model(model, reference.variable) is not None
            ):
                yield _problem(
                    f"'{reference.variable}' is centred at an estimated mean in '{equation.title}'",
                    place,
                    "take it out of CENTER",
                )
        for leaf in leaves(term.expression):
            if isinstance(leaf, ParameterReference) and _is_flat_label(model, leaf.name):
                yield _problem(
                    f"the label '{leaf.name}' inside a function has a flat prior, and no scale to replace it by",
                    place,
                    f"give it a prior in PARAMETERS: {leaf.name} ~ normal(mean, variance)",
                )


def _is_flat_label(model: Model, name: str) -> bool:
    parameter = model.parameters.get(name)
    free = parameter is not None and parameter.fixed is None and parameter.definition is None
    used = any(term.coefficient == name for equation in model.equations for term in equation.terms)
    return free and not used and parameter is not None and parameter.prior.family.value == "flat"

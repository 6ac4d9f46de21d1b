"""The variant of a model that has a joint density: only such a model can be calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mlbayes.calibrate.world import predictor_model
from mlbayes.model.expressions import Centring, ParameterReference, Reference, leaves, references
from mlbayes.model.model import Distribution, Equation, Kind, Model
from mlbayes.problems import Problem, ProblemError, ProblemKind

RANGE_LIMITED = "a normal density that reaches beyond them"


@dataclass(frozen=True)
class Coherent:
    """A model with a joint density, and what was changed for that."""

    model: Model
    changes: tuple[str, ...] = ()


def coherent_variant(model: Model) -> Coherent:
    """The model itself or a variant with a joint density.  Raises ProblemError where there is none."""
    problems = list(_obstacles(model))
    several = len(model.predictor_models) > 1
    joint = "joint" in model.settings.options
    if several and not joint:
        kinds = [model.variables[m.variable].kind for m in model.predictor_models]
        if Kind.NOMINAL in kinds or kinds.count(Kind.ORDINAL) > 1:
            names = " ".join(m.variable for m in model.predictor_models)
            problems.append(
                _problem(
                    f"the predictors {names} are drawn regression by regression, which belongs to no joint"
                    " density, and OPTIONS: joint has no model for a nominal or several ordinal predictors",
                    "list complete predictors in FIXED, or give predictors equations of their own",
                )
            )
    if problems:
        raise ProblemError(problems)
    if not several or joint:
        return Coherent(model)
    options = model.settings.options | {"joint"}
    changed = replace(model, settings=replace(model.settings, options=options))
    names = " ".join(m.variable for m in model.predictor_models)
    because = "the default, regression by regression, belongs to no joint density"
    return Coherent(changed, (f"OPTIONS: joint for the predictors {names}: {because}",))


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(f"cannot be calibrated: {message}", None, hint, ProblemKind.UNSUPPORTED)


def _obstacles(model: Model) -> Iterator[Problem]:
    """What has no joint density in any variant."""
    if any(model.variables[name].level > 1 for name in model.weights):
        yield _problem(
            "with weights of clusters the sampler is a weighted one, whose steps belong to no joint density",
            "weights of rows can be calibrated",
        )
    if "dropout" in model.places:
        yield _problem(
            "DROPOUT makes outcomes of the missing values, whose pattern a calibration holds fixed"
        )
    for predictor in model.predictor_models:
        if predictor.means_only:
            yield _problem(
                f"the means that '{predictor.variable}' is centred at are estimated apart from its equation, so"
                " its values count twice",
                "subtract a latent mean instead of centring",
            )
    for equation in model.equations:
        yield from _of_equation(model, equation)


def _of_equation(model: Model, equation: Equation) -> Iterator[Problem]:
    if model.variables[equation.outcome].indicates:
        yield _problem(
            f"'{equation.outcome}' is an outcome, and a calibration holds the pattern of missing values fixed"
        )
    if equation.distribution is Distribution.NORMAL and not isinstance(equation.left, Reference):
        from mlbayes.plan.transformations import EVERYTHING, transformation_of

        made = transformation_of(equation, model.variables[equation.outcome].values)
        if made is not None and made.range != EVERYTHING:
            yield _problem(
                f"'{equation.title}' is bounded, and the observed values count with {RANGE_LIMITED}",
                "use a transformation that reaches all numbers, such as ln(y) or yjt(y)",
            )
    for term in equation.terms:
        for reference in references(term.expression):
            if reference.centring is Centring.NONE or predictor_model(model, reference.variable) is None:
                continue
            kind = model.variables[reference.variable].kind
            if kind in (Kind.ORDINAL, Kind.NOMINAL):
                yield _problem(
                    f"the {kind.value} predictor '{reference.variable}' is centred, and simulation has no such form",
                    "take it out of CENTER",
                )
            if reference.centring is Centring.GRAND and equation.distribution is Distribution.LOG_VARIANCE:
                yield _problem(
                    f"'{reference.variable}' is centred at an estimated mean in '{equation.title}'",
                    "take it out of CENTER",
                )
        for leaf in leaves(term.expression):
            if isinstance(leaf, ParameterReference) and _is_flat_label(model, leaf.name):
                yield _problem(
                    f"the label '{leaf.name}' inside a function has a flat prior, and no scale to replace it by",
                    f"give it a prior in PARAMETERS: {leaf.name} ~ normal(mean, variance)",
                )


def _is_flat_label(model: Model, name: str) -> bool:
    parameter = model.parameters.get(name)
    free = parameter is not None and parameter.fixed is None and parameter.definition is None
    used = any(term.coefficient == name for equation in model.equations for term in equation.terms)
    return free and not used and parameter is not None and parameter.prior.family.value == "flat"

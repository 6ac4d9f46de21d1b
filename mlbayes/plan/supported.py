"""What can be read but not run yet: each check names the constructs and their places."""

from __future__ import annotations

from collections.abc import Iterator

from mlbayes.model.expressions import Centring, Form, Reference, references
from mlbayes.model.heterogeneity import varies_between_clusters
from mlbayes.model.model import Distribution, Equation, Kind, Model, Role
from mlbayes.plan.lags import lagged_names
from mlbayes.plan.regressions import CONTINUOUS
from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Span


def unsupported_constructs(model: Model) -> list[Problem]:
    """Everything in a model that no rule of the planner takes, each once."""
    found = [
        *_equations(model),
        *_weights(model),
        *_heterogeneous(model),
        *_covariances(model),
        *_variances(model),
        *_references(model),
        *_predictors(model),
    ]
    return list(dict.fromkeys(found))


def _problem(message: str, span: Span | None, hint: str = "") -> Problem:
    return Problem(message, span, hint, ProblemKind.UNSUPPORTED)


def _equations(model: Model) -> Iterator[Problem]:
    for equation in model.equations:
        variable = model.variables[equation.outcome]
        if isinstance(equation.left, Reference) and equation.distribution is not Distribution.YEO_JOHNSON:
            continue
        elif variable.role is Role.LATENT:
            message = f"the transformed latent variable '{equation.title}' cannot be run yet"
            yield _problem(message, equation.span)
        elif variable.incomplete and equation.outcome in lagged_names(model):
            message = f"the incomplete outcome '{equation.title}' cannot be run yet with lags of it"
            yield _problem(message, equation.span)
        elif variable.incomplete and any(equation.outcome in block.members for block in model.covariances):
            message = (
                f"the incomplete outcome '{equation.title}' cannot be run yet with correlated residuals (~~)"
            )
            yield _problem(message, equation.span)


def _weights(model: Model) -> Iterator[Problem]:
    """Sampling weights are defined for normal outcomes; weights of clusters for single equations only."""
    if not model.weights:
        return
    place = model.places.get("weight") or model.places.get("weights")
    between = any(model.variables[name].level > 1 for name in model.weights)
    for equation in model.equations:
        if equation.distribution is not Distribution.NORMAL:
            message = (
                f"sampling weights are not defined for '{equation.title}' ({equation.distribution.value})"
            )
            yield _problem(message, place, "weights can be used with normal outcomes")
        elif between and (equation.level > 1 or model.variables[equation.outcome].role is Role.LATENT):
            message = (
                f"weights of clusters are not defined for '{equation.title}', which is of clusters or latent"
            )
            yield _problem(message, place, "weights of rows can be used")
    if between and (model.hierarchy.levels > 2 or model.covariances or "hev" in model.settings.options):
        message = "weights of clusters are defined for two levels, without residual covariances (~~) and hev"
        yield _problem(message, place, "weights of rows can be used")
    labels = [term.coefficient for e in model.equations for term in e.terms]
    if between and any(labels.count(name) > 1 for name in labels):
        yield _problem(
            "weights of clusters cannot be used with equal coefficients of several equations", place
        )
    effect = next((r.variable for _, r, _ in _terms(model) if r.form is Form.EFFECT), None)
    if between and effect is not None:
        message = f"weights of clusters cannot be used with the random effect '{effect}' in other equations"
        yield _problem(message, place, "weights of rows can be used")


def _is_plain(equation: Equation) -> bool:
    """Is an outcome itself normal, not a function of it."""
    return equation.distribution is Distribution.NORMAL and isinstance(equation.left, Reference)


def _cluster(model: Model) -> str:
    """Name of the cluster identifier of level 2."""
    return model.hierarchy.identifiers[0] if model.hierarchy.identifiers else "cluster"


def _heterogeneous(model: Model) -> Iterator[Problem]:
    """Outcomes whose residual variance differs between units."""
    covarying = {name for block in model.covariances for name in block.members}
    for equation in model.equations:
        title, span = equation.title, equation.span
        if equation.distribution is Distribution.LOG_VARIANCE:
            yield from _log_variance(model, equation)
        elif varies_between_clusters(model, equation):
            if not _is_plain(equation):
                message = f"the transformed outcome '{title}' cannot be run yet with OPTIONS: hev"
                yield _problem(message, span, _transformed_first(equation))
            if model.weights:
                yield _problem(f"'{title}': sampling weights and OPTIONS: hev cannot be used together", span)
            if equation.outcome in covarying:
                message = f"'{title}' cannot covary (~~) with others under OPTIONS: hev"
                hint = (
                    f"model its variance instead: LATENT: {_cluster(model)} = lv; MODEL: var({title}) ~ 1@lv;"
                )
                yield _problem(message, span, hint)
            if equation.residual is not None and model.parameters[equation.residual].labelled:
                message = f"the label '{equation.residual}' of a variance cannot be run with OPTIONS: hev"
                yield _problem(message, span)


def _log_variance(model: Model, equation: Equation) -> Iterator[Problem]:
    """The equation of a log variance, unless its outcome itself is normal."""
    name, title = equation.outcome, equation.title
    others = [e for e in model.equations if e.outcome == name and e.distribution is not equation.distribution]
    if model.variables[name].role is Role.LATENT or any(_is_plain(other) for other in others):
        return  # the equation of a transformed latent variable is refused itself
    transformed = next((e for e in others if e.distribution in CONTINUOUS), None)
    if transformed is None:
        kind = model.variables[name].kind.value
        message = f"the variance of the {kind} outcome '{name}' cannot be modelled: it has no normal residual"
        yield _problem(message, equation.span, f"leave out the equation of {title}")
        return
    message = f"the residual variance of the transformed outcome '{transformed.title}' cannot be modelled yet"
    if transformed.distribution is Distribution.YEO_JOHNSON:
        hint = f"leave out the equation of {title}, or model '{name}' itself: {name} ~ ...; {title} ~ ...;"
    else:
        hint = _transformed_first(transformed) + f" var({name}_t) ~ ...;"
    yield _problem(message, equation.span, hint)


def _transformed_first(equation: Equation) -> str:
    """How to model a transformed outcome as a variable of its own."""
    new = f"{equation.outcome}_t"
    return f"transform it before: TRANSFORM: {new} = {equation.title}; MODEL: {new} ~ ...;"


def _covariances(model: Model) -> Iterator[Problem]:
    for block in model.covariances:
        members = " ".join(block.members)
        residuals = [
            model.parameters[e.residual] for e in model.equations if e.outcome in block.members and e.residual
        ]
        for equation in model.equations:
            known = equation.distribution in (Distribution.NORMAL, Distribution.PROBIT)
            if equation.outcome in block.members and not (
                known or equation.distribution is Distribution.LOG_VARIANCE
            ):
                message = f"residual correlations (~~) of '{equation.title}' ({equation.distribution.value})"
                yield _problem(
                    f"{message} are not defined", block.span, "normal and probit outcomes have them"
                )
        correlations = [model.parameters[name] for name in block.correlations.values()]
        if any(parameter.definition for parameter in (*residuals, *correlations)):
            message = (
                f"constraints on variances or correlations in the block of {members} (~~) cannot be run yet"
            )
            yield _problem(message, block.span)
        elsewhere = [e.residual for e in model.equations if e.outcome not in block.members]
        elsewhere += [group.variance for e in model.equations for group in e.random]
        elsewhere += [
            name for other in model.covariances if other is not block for name in other.correlations.values()
        ]
        for name in sorted(
            {p.name for p in (*residuals, *correlations)} & {n for n in elsewhere if n is not None}
        ):
            message = f"'{name}' within the block of {members} (~~) and outside of it cannot be equal yet"
            yield _problem(message, block.span)


def _variances(model: Model) -> Iterator[Problem]:
    covarying = {name for block in model.covariances for name in block.members}
    for equation in model.equations:
        for name in (equation.residual, *(group.variance for group in equation.random)):
            constrained = name is not None and model.parameters[name].definition is not None
            if constrained and not (name == equation.residual and equation.outcome in covarying):
                yield _problem(f"the constraint on the variance '{name}' cannot be run yet", equation.span)


def _terms(model: Model) -> Iterator[tuple[Equation, Reference, Span | None]]:
    for equation in model.equations:
        for term in equation.terms:
            for reference in references(term.expression):
                yield equation, reference, term.span or equation.span


def _references(model: Model) -> Iterator[Problem]:
    for _, reference, span in _terms(model):
        variable = model.variables[reference.variable]
        name = reference.variable
        if variable.kind is Kind.NOMINAL and reference.form in (Form.MEAN, Form.RESPONSE):
            yield _problem(f"latent forms of the nominal predictor '{name}' cannot be run yet", span)
        elif (
            reference.form is Form.DUMMY
            and reference.centring is Centring.GROUP
            and variable.role is not Role.FIXED
        ):
            hint = (
                f"FIXED: {name}; centres at observed proportions, if it is complete; grandmean = {name} can be run; or"
                " make 0/1 variables of its codes in TRANSFORM"
            )
            yield _problem(f"the nominal predictor '{name}' cannot be centred at group means", span, hint)


def _predictors(model: Model) -> Iterator[Problem]:
    kinds = [model.variables[predictor.variable].kind for predictor in model.predictor_models]
    if "joint" in model.settings.options and (kinds.count(Kind.ORDINAL) > 1 or Kind.NOMINAL in kinds):
        message = "OPTIONS: joint cannot be run yet with a nominal or more than one ordinal predictor"
        yield _problem(message, model.places.get("options"))
    for predictor in model.predictor_models:
        variable = model.variables[predictor.variable]
        span = next((s for _, r, s in _terms(model) if r.variable == variable.name), None)
        if variable.kind is Kind.COUNT:
            yield _problem(
                f"the {variable.kind.value} predictor '{variable.name}' cannot be modelled yet", span
            )

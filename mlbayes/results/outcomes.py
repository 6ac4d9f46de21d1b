"""Tables of outcomes and latent variables: the rows of an equation, in order of printing.

Rows for which `EquationDraws` has no place are found among the named draws under `title: label`: quartiles
of a heterogeneous residual variance (`y: Q50% Residual Var.`), its index, thresholds (`o: Tau 2`), the Yeo-
Johnson parameter (`yjt(y-9): Yeo-Johnson (lambda)`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Centring, Form, Reference, references
from mlbayes.model.heterogeneity import is_heterogeneous
from mlbayes.model.model import Distribution, Equation, Model, Role
from mlbayes.results.draws import EquationDraws
from mlbayes.results.priors import prior_text
from mlbayes.results.rows import RowDraws, TableDraws, constant
from mlbayes.results.variances import (
    LOGISTIC,
    is_intercept,
    is_latent_intercept,
    outcome_variances,
    residual_variance,
)

Named = Mapping[str, NDArray[np.float64]]

COEFFICIENTS = "Coefficients"
VARIANCES = "Variances"
DEVIATIONS = "Standard Deviations"
STANDARDIZED = "Standardized Coefficients"
EXPLAINED = "Proportion Variance Explained"

SPREAD_BEFORE = ("Heterogeneity Index", "Q25% Residual Var.", "Q50% Residual Var.")
SPREAD_AFTER = ("Q75% Residual Var.",)

LARGEST_EXPONENT = 300.0  # so that squares of draws are numbers also where a coefficient runs away
EXPONENTIATED = {
    Distribution.LOGIT: "Odds Ratio",
    Distribution.MULTINOMIAL: "Odds Ratio",
    Distribution.NEGATIVE_BINOMIAL: "Exponentiated Coefficients",
}


def outcome_table(equation: Equation, draws: EquationDraws, model: Model, named: Named) -> TableDraws:
    """The table of an equation."""
    latent = model.variables[equation.outcome].role is Role.LATENT
    parts = [
        random_rows(equation, draws, model),
        residual_rows(equation, draws, model, named),
        coefficient_rows(equation, draws, model),
        threshold_rows(equation, model, named),
        named_rows(equation, ["Yeo-Johnson (lambda)"], "Transformation", named),
    ]
    if equation.distribution in EXPONENTIATED:
        parts.append(exponentiated_rows(equation, draws))
    elif equation.distribution is not Distribution.LOG_VARIANCE:
        parts += [deviation_rows(equation, draws, model), standardized_rows(equation, draws, model)]
    parts.append(explained_rows(equation, draws))
    rows = [row for part in parts for row in part]
    if equation.distribution is Distribution.MULTINOMIAL:
        rows = by_category(rows)
    return TableDraws(
        "latent" if latent else "outcome",
        "Latent Variable" if latent else "Outcome Variable",
        equation.title,
        rows,
        block=equation.block,
        centered=centred_names(equation, model),
    )


def by_category(rows: list[RowDraws]) -> list[RowDraws]:
    """Rows of a nominal outcome: all sections of a category together, those without a category first."""
    order = list(dict.fromkeys(row.category for row in rows))
    return sorted(rows, key=lambda row: (row.category is not None, order.index(row.category)))


# ------------------------------------------------------------------ variances
def named_rows(equation: Equation, labels: Iterable[str], section: str, named: Named) -> Iterator[RowDraws]:
    """Those of the rows that there are draws of."""
    for label in labels:
        if f"{equation.title}: {label}" in named:
            yield RowDraws(label, named[f"{equation.title}: {label}"], section)


def random_rows(equation: Equation, draws: EquationDraws, model: Model) -> Iterator[RowDraws]:
    """Variances and covariances of the random effects, the lower triangle by rows."""
    for effects, drawn in zip(equation.random, draws.random, strict=True):
        fixed = effects.variance is not None and model.parameters[effects.variance].fixed is not None
        prior = prior_text(effects.prior)
        for i, label in enumerate(effects.labels):
            for j in range(i):
                name = f"L{effects.level} : Cov({label},{effects.labels[j]})"
                yield RowDraws(name, drawn.covariance[..., i, j], VARIANCES, prior=prior)
            name = f"L{effects.level} : Var({label})"
            yield RowDraws(name, drawn.covariance[..., i, i], VARIANCES, fixed=fixed, prior=prior)


def residual_rows(equation: Equation, draws: EquationDraws, model: Model, named: Named) -> Iterator[RowDraws]:
    """The residual variance, or its mean and quartiles where it is heterogeneous."""
    if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
        yield RowDraws("Dispersion Parameter", draws.residual, VARIANCES)
    elif equation.distribution not in LOGISTIC and equation.distribution is not Distribution.LOG_VARIANCE:
        label = "Mean Residual Var." if is_heterogeneous(model, equation) else "Residual Var."
        parameter = model.parameters.get(equation.residual or "")
        yield from named_rows(equation, SPREAD_BEFORE, VARIANCES, named)
        yield RowDraws(
            label,
            residual_variance(equation, draws),
            VARIANCES,
            fixed=parameter is not None and parameter.fixed is not None,
            prior=None if parameter is None else prior_text(parameter.prior),
        )
        yield from named_rows(equation, SPREAD_AFTER, VARIANCES, named)


def deviation_rows(equation: Equation, draws: EquationDraws, model: Model) -> Iterator[RowDraws]:
    """Standard deviations and correlations of the random effects, then of the residuals."""
    for effects, drawn in zip(equation.random, draws.random, strict=True):
        deviations = np.sqrt(np.diagonal(drawn.covariance, axis1=-2, axis2=-1))
        for i, label in enumerate(effects.labels):
            for j in range(i):
                with np.errstate(invalid="ignore", divide="ignore"):
                    values = drawn.covariance[..., i, j] / (deviations[..., i] * deviations[..., j])
                name = f"L{effects.level} : Cor({label},{effects.labels[j]})"
                yield RowDraws(name, values, DEVIATIONS)
            yield RowDraws(f"L{effects.level} : SD({label})", deviations[..., i], DEVIATIONS)
    if not is_heterogeneous(model, equation):
        yield RowDraws("Residual SD", np.sqrt(residual_variance(equation, draws)), DEVIATIONS)


# ------------------------------------------------------------------ coefficients
def category_of(equation: Equation, position: int) -> str | None:
    """Heading of the category that a term of a nominal outcome belongs to."""
    category = equation.terms[position].category
    return None if category is None else f"{equation.outcome}.{category}"


def coefficient_rows(equation: Equation, draws: EquationDraws, model: Model) -> Iterator[RowDraws]:
    """Coefficients in the order of the terms."""
    for k, term in enumerate(equation.terms):
        if term.hidden:
            continue
        parameter = model.parameters[term.coefficient]
        yield RowDraws(
            term.label,
            draws.coefficients[..., k],
            COEFFICIENTS,
            category_of(equation, k),
            tested=True,
            fixed=parameter.fixed is not None,
            prior=prior_text(parameter.prior),
        )


def exponentiated_rows(equation: Equation, draws: EquationDraws) -> Iterator[RowDraws]:
    """Odds ratios, or ratios of expected counts."""
    section = EXPONENTIATED[equation.distribution]
    for k, term in enumerate(equation.terms):
        if not (term.hidden or is_intercept(term)):
            values = np.exp(np.minimum(draws.coefficients[..., k], LARGEST_EXPONENT))
            yield RowDraws(term.label, values, section, category_of(equation, k))


def standardized_rows(equation: Equation, draws: EquationDraws, model: Model) -> Iterator[RowDraws]:
    """Coefficient times SD of the predictor over the model-implied SD of the outcome."""
    deviation = np.sqrt(outcome_variances(equation, draws).total)
    for k, term in enumerate(equation.terms):
        if term.hidden or is_intercept(term) or is_latent_intercept(term, equation, model):
            continue
        values = draws.coefficients[..., k] * draws.sd[..., k] / deviation
        yield RowDraws(term.label, values, STANDARDIZED, tested=True)


def threshold_rows(equation: Equation, model: Model, named: Named) -> Iterator[RowDraws]:
    """Thresholds of an ordinal outcome; the first is 0 by definition."""
    codes = len(model.variables[equation.outcome].codes)
    ordered = equation.distribution is Distribution.LOGIT and codes > 2
    if equation.distribution is Distribution.PROBIT or ordered:
        yield RowDraws("Tau 1", constant(0.0), "Thresholds")
        labels = (f"Tau {k}" for k in range(2, codes))
        yield from named_rows(equation, labels, "Thresholds", named)


# ------------------------------------------------------------------ explained variance
def explained_rows(equation: Equation, draws: EquationDraws) -> Iterator[RowDraws]:
    """Shares of the model-implied variance of the outcome."""
    if equation.distribution in (
        Distribution.LOG_VARIANCE,
        Distribution.NEGATIVE_BINOMIAL,
        Distribution.MULTINOMIAL,  # one explained variance per logit would be needed
    ):
        return
    parts = outcome_variances(equation, draws)
    yield RowDraws("by Coefficients", parts.explained / parts.total, EXPLAINED)
    for effects, drawn in zip(equation.random, draws.random, strict=True):
        intercepts = [is_intercept(equation.terms[k]) for k in effects.terms]
        level = f"by Level-{effects.level} Random"
        # also without random intercepts: slopes of a predictor whose mean is not 0 make cluster means differ
        yield RowDraws(f"{level} Intercepts", drawn.intercepts / parts.total, EXPLAINED)
        if not all(intercepts):
            yield RowDraws(f"{level} Slopes", drawn.slopes / parts.total, EXPLAINED)
    level = f"Level-{equation.level} " if equation.random else ""
    # with hev the share of the residuals is that of the centre of the clusters' variances, as in the reference
    residual = parts.residual if draws.centre is None else draws.centre
    yield RowDraws(f"by {level}Residual Variation", residual / parts.total, EXPLAINED)


# ------------------------------------------------------------------ names
def reference_name(reference: Reference, model: Model) -> str:
    """A variable in the form in which it enters an expression, as printed."""
    if reference.form is Form.DUMMY:
        return f"{reference.variable}.{reference.argument}"
    if reference.form is Form.RESPONSE:
        return f"{reference.variable}.latent"
    if reference.form is Form.LAG:
        return f"{reference.variable}.lag{reference.argument}"
    if reference.form is Form.MEAN:
        return f"{reference.variable}.mean[{model.hierarchy.identifiers[reference.level - 2]}]"
    return reference.variable


def centred_names(equation: Equation, model: Model) -> dict[str, list[str]]:
    """Names of the centred predictors of an equation, in alphabetical order."""
    found: dict[Centring, set[str]] = {Centring.GRAND: set(), Centring.GROUP: set()}
    for term in equation.terms:
        for reference in references(term.expression):
            if reference.centring in found:
                found[reference.centring].add(reference_name(reference, model))
    titles = {Centring.GRAND: "Grand Mean", Centring.GROUP: "Group Mean"}
    return {titles[kind]: sorted(names) for kind, names in found.items() if names}

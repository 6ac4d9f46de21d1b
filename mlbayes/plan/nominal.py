"""Steps for nominal variables: missing categories, and the latent responses of a multinomial probit predictor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.categories import category_labels
from mlbayes.plan.choice import Choice, PlannedStep
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.evidence import category_evidence, symbols_of
from mlbayes.plan.modulators import publish_roots
from mlbayes.plan.polynomial import Polynomial
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression


def plan_predictor_categories(choice: Choice, parts: Sequence[PredictorRegression]) -> None:
    """Missing categories and latent responses of a predictor; `parts`: the lowest part of each response's model."""
    variable = choice.model.variables[parts[0].variable]
    predictors = [Polynomial.of(part.response) - part.residual() for part in parts]
    means = _evaluated(choice, predictors, variable.level)
    cells, evidence = category_evidence(choice, variable.name) if variable.incomplete else (None, -1)
    responses = [choice.symbols.offset(part.response) for part in parts]
    memory = _write(choice, variable.name, means, responses, cells, evidence)
    what = "latent responses"
    how = "draws from their normal distribution until they fit the category, or truncated ones one by one"
    if cells is not None:
        choice.acceptances.append((variable.name, "imputation", 0.44, memory))
        what = f"missing categories and {what}"
        how = f"Metropolis with categories proposed by its own model; {how}"
    why = "a multinomial probit model is linear in its latent responses"
    choice.steps.append(PlannedStep(f"{variable.name}: {what}", how, why))


def plan_outcome_categories(choice: Choice, logits: Sequence[OutcomeRegression]) -> None:
    """Missing categories of a nominal outcome with several logits that other equations need."""
    equation = logits[0].equation
    means = _evaluated(choice, [r.predictor(True) for r in logits], equation.level)
    cells, evidence = category_evidence(choice, equation.outcome)
    _write(choice, equation.outcome, means, None, cells, evidence)
    what = f"{equation.outcome}: missing categories"
    how = "probability under its multinomial logit model times that of the equations it enters"
    choice.steps.append(PlannedStep(what, how, "the categories are few"))


def _evaluated(choice: Choice, polynomials: Sequence[Polynomial], level: int) -> list[int]:
    """Offsets of polynomials over all units of a level."""
    builder, n = choice.builder, choice.symbols.units(level)
    with builder.program():
        evaluator = Evaluator(choice.symbols, builder.unit_set(level, n, None, None))
        offsets = [evaluator.vector(polynomial) for polynomial in polynomials]
    return offsets


def _write(
    choice: Choice,
    name: str,
    means: Sequence[int],
    responses: Sequence[int] | None,
    cells: UnitSet | None,
    evidence: int,
) -> int:
    """Append the step; returns the store offset of accepted and proposed moves."""
    builder, symbols = choice.builder, choice.symbols
    variable = choice.model.variables[name]
    labels = category_labels(variable)
    size = len(labels) - 1
    none = np.zeros(0, np.int64)
    members = none if cells is None or cells.members is None else cells.members
    dummies = [symbols.offset(symbols.dummy(name, int(label))) for label in labels[1:]]
    memory = builder.zeros(2 + size)
    row = [
        symbols.units(variable.level),
        size,
        -1 if responses is None else builder.indices(list(responses)),
        builder.indices(list(means)),
        symbols.offset(symbols.category(name)),
        builder.indices(members),
        members.size,
        evidence,
        symbols.offset(symbols.value(name)),
        builder.vector(labels),
        builder.indices(dummies),
        memory,
    ]
    builder.step(p.STEP_NOMINAL, builder.add("nominals", row))
    if cells is not None:
        publish_roots(choice, symbols_of(variable))
    return memory

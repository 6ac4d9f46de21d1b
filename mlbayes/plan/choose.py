"""The planner: which unknowns are drawn together, by which step, and why.

This page shows the order of the rules; each rule takes the unknowns that it can handle.  Constructs that no
rule takes are found first, all at once, by `mlbayes.plan.supported`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Model
from mlbayes.model.places import place_of
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.choice import Choice, PlannedStep
from mlbayes.plan.coefficients import equations_with
from mlbayes.plan.common import plan_common
from mlbayes.plan.components import common_parameters, components
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.outcome_rule import plan_outcomes
from mlbayes.plan.plan import Plan
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.predictor_rule import plan_predictor
from mlbayes.plan.record import Layout, Recorder
from mlbayes.plan.series_rule import plan_series
from mlbayes.plan.supported import unsupported_constructs
from mlbayes.plan.symbols import Symbols, steps_of
from mlbayes.plan.variances import plan_cluster_variances, plan_log_variance
from mlbayes.problems import ProblemError
from mlbayes.source import Span


@dataclass
class PlannedModel:
    """A plan with its first state and everything needed to read its draws.

    `layout`: what the recorded numbers are; `symbols`, `regressions`: where the parts of the state lie; `starts`:
    see mlbayes.plan.starts.  `acceptances`: (variable, type, target, store offset of accepted and tried).
    `common`: coefficients that logits of a nominal outcome have in common.
    """

    model: Model
    plan: Plan
    store: NDArray[np.float64]
    symbols: Symbols
    regressions: Regressions
    layout: Layout
    steps: list[PlannedStep]
    acceptances: list[tuple[str, str, float, int]]
    step_labels: list[str]
    step_spans: list[Span | None]
    blocks: list[AffineBlock]
    common: tuple[Atom, ...] = ()

    def describe(self) -> str:
        """The plan in words, one paragraph for each step of a sweep."""
        lines = ["One sweep draws, in this order:"]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"  {number}. {step.what}")
            lines.append(f"       how: {step.how}")
            lines.append(f"       why: {step.why}")
        return "\n".join(lines)


def make_plan(model: Model) -> PlannedModel:
    """Plan a model.  Raises ProblemError (kind UNSUPPORTED) for what cannot be run yet."""
    problems = unsupported_constructs(model)
    if problems:
        raise ProblemError(problems)
    builder = PlanBuilder()
    symbols = Symbols(model, builder)
    regressions = Regressions(model, symbols)
    choice = Choice(model, builder, symbols, regressions)
    for name in dict.fromkeys(part.variable for part in regressions.predictors):
        place = place_of(name, model.equations) or model.place
        with steps_of(builder, f"the predictor model of {name}", place):
            plan_predictor(choice, name)
    plan_series(choice)
    choice.common = common_parameters(regressions)
    for component in components(regressions, choice.common):
        titles = ", ".join(r.equation.title for r in component)
        with steps_of(builder, f"the equation of {titles}", component[0].equation.span):
            plan_outcomes(choice, component)
    for atom in choice.common:
        with steps_of(
            builder, f"the parameter {atom.name}", equations_with(regressions, atom)[0].equation.span
        ):
            plan_common(choice, atom)
    for r in regressions.outcomes:
        with steps_of(builder, f"the residual variances of {r.equation.outcome}", r.equation.span):
            if r.of_variance:
                plan_log_variance(choice, r)
            elif r.population >= 0:
                plan_cluster_variances(choice, r)
    with steps_of(builder, "the record of a draw", model.places.get("simple", model.place)):
        layout = Recorder(model, symbols, regressions).write()
    plan, store = builder.finish()
    return PlannedModel(
        model,
        plan,
        store,
        symbols,
        regressions,
        layout,
        choice.steps,
        choice.acceptances,
        builder.step_labels,
        builder.step_spans,
        choice.blocks,
        choice.common,
    )

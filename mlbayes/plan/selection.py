"""Selection models: parameters of an outcome and of its missingness together, missing values integrated out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlbayes.model.model import Distribution
from mlbayes.plan import plan as p
from mlbayes.plan.choice import Choice, PlannedStep
from mlbayes.plan.coefficients import free_coefficients
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.unknowns import TopUnknown


@dataclass(frozen=True)
class Selection:
    """An outcome, its missingness, and the coefficient by which the one depends on the other.

    `free`, `others`: the other coefficients of the two equations; `rest`: the linear predictor of
    the missingness without the outcome.
    """

    outcome: OutcomeRegression
    missingness: OutcomeRegression
    gamma: TopUnknown
    free: list[TopUnknown]
    others: list[TopUnknown]
    rest: Polynomial


def find_selection(choice: Choice, r: OutcomeRegression) -> Selection | None:
    """The selection model that a probit equation of `y.missing` makes with that of y, if the step is for it.

    Nothing else may hold y, whose own equation is a plain normal one with a variance of its own.
    """
    name = choice.model.variables[r.equation.outcome].indicates
    if not name or r.equation.distribution is not Distribution.PROBIT or r.covariance:
        return None
    own = _only_equation_of(choice, name, r)
    if own is None or not _is_plain(own) or not _has_own_variance(choice, own):
        return None
    predictor = r.predictor(False)
    split = predictor.by_unknown([own.outcome])
    rest = split.get(None, Polynomial())
    free = {top.atom: top for top in free_coefficients(choice, r, predictor)}
    gamma = next((top for atom, top in free.items() if split.get(own.outcome) == Polynomial.of(atom)), None)
    if gamma is None:
        return None
    others = [top for top in free.values() if top is not gamma and rest.is_affine_in([top.atom])]
    return Selection(own, r, gamma, free_coefficients(choice, own, own.predictor(False)), others, rest)


def _only_equation_of(choice: Choice, name: str, r: OutcomeRegression) -> OutcomeRegression | None:
    """The equation of an incomplete variable, if nothing else but its missingness has to do with it."""
    y, response = choice.symbols.value(name), choice.symbols.response(r.equation.outcome)
    holders = [o for o in choice.regressions.outcomes if o is not r and y in o.expanded().atoms()]
    modelled = any(part.variable == name for part in choice.regressions.predictors)
    if len(holders) != 1 or modelled or name in choice.symbols.lag_orders:
        return None
    (own,) = holders
    return own if own.outcome == y and response not in own.expanded().atoms() else None


def _is_plain(own: OutcomeRegression) -> bool:
    """Is an outcome itself normal, with one variance for all units and without covarying residuals."""
    return own.normal and own.root is None and not own.covariance


def _has_own_variance(choice: Choice, own: OutcomeRegression) -> bool:
    """Is a residual variance free and that of no other equation."""
    if own.equation.residual is None:
        return False
    parameter = choice.model.parameters[own.equation.residual]
    sharing = [o for o in choice.regressions.outcomes if o.precision == own.precision]
    return parameter.fixed is None and parameter.definition is None and len(sharing) == 1


def plan_selection(choice: Choice, found: Selection) -> None:
    """Write the step; what depends on the coefficients is to be published after it."""
    builder, symbols = choice.builder, choice.symbols
    own, r, gamma = found.outcome, found.missingness, found.gamma
    y = own.outcome
    n = symbols.units(r.equation.level)
    evaluator = Evaluator(symbols, builder.unit_set(r.equation.level, n, None, None))
    with builder.program():
        offsets = builder.zeros(2 * n)
        columns: list[int] = []
        parts = ((own.predictor(False), found.free), (found.rest, found.others))
        for k, (predictor, tops) in enumerate(parts):
            columns += _offset(evaluator, offsets + k * n, predictor, tops)
    tops = [*found.free, *found.others, gamma]
    assert own.equation.residual is not None
    a, b = inverse_gamma_arguments(choice.model.parameters[own.equation.residual].prior)
    memory = builder.zeros(p.collapsed_memory_size(len(tops) + 1))
    row = [
        n,
        symbols.offset(symbols.value(r.equation.outcome)),
        symbols.offset(y),
        offsets,
        builder.indices(columns) if columns else 0,
        builder.indices([symbols.offset(top.atom) for top in tops]),
        len(tops),
        len(found.free),
        builder.vector([*(top.precision for top in tops), *(top.mean for top in tops), a, b]),
        own.precision,
        memory,
    ]
    builder.step(p.STEP_SELECTION, builder.add("selections", row))
    choice.acceptances.append((f"{own.equation.title}, {r.equation.title}", "parameter", 0.5, memory + 1))
    choice.steps.append(
        PlannedStep(
            f"{own.equation.title} and {r.equation.title}: coefficients, residual variance, missing values",
            "Metropolis steps, independent ones and random walks, learned in burn-in, with missing values and"
            " responses integrated out; then exact draws of the missing values",
            "parameters depend too strongly on values that are missing because of what they are",
        )
    )


def _offset(
    evaluator: Evaluator, target: int, predictor: Polynomial, tops: Sequence[TopUnknown]
) -> list[int]:
    """Write a linear predictor without its free coefficients; offsets of what these are multiplied with."""
    builder, n = evaluator.builder, evaluator.set.units
    split = predictor.by_unknown([top.atom for top in tops])
    builder.instruct(p.OP_COPY, target, n, evaluator.vector(split.get(None, Polynomial())))
    return [evaluator.vector(split[top.atom]) for top in tops]

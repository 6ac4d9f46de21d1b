"""What of a sweep can be run alone: for each sampling step itself and the draws that complete it.

A step that integrates something out leaves it undrawn, so the draw that follows it in a sweep belongs to its unit; a
variance is drawn given the residuals that the joint draw of its block has left behind, so that draw belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlbayes.calibrate.write import DETERMINISTIC
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel

WORDS = {
    p.STEP_DRAW: "joint Gaussian draw",
    p.STEP_COLLAPSED: "collapsed step",
    p.STEP_CONJUGATE: "conjugate draw of a covariance matrix",
    p.STEP_INTERWEAVE: "interweaving",
    p.STEP_VARIANCE: "residual variance",
    p.STEP_RESPONSES: "responses and missing categories",
    p.STEP_CELLS: "missing values one by one",
    p.STEP_WISHART: "residual covariance matrix",
    p.STEP_SEPARATE: "standard deviations and correlations",
    p.STEP_PARAMETER: "parameter by slice sampling",
    p.STEP_NEWTON: "coefficients, responses integrated out",
    p.STEP_SCALE: "scale of a latent variable",
    p.STEP_SERIES: "series",
    p.STEP_NOMINAL: "categories and responses",
    p.STEP_MODULATOR: "unknowns of a log variance",
    p.STEP_CLUSTER_VARIANCES: "variances of clusters",
    p.STEP_SELECTION: "values missing not at random",
}
OF_A_BLOCK = (p.STEP_DRAW, p.STEP_INTERWEAVE, p.STEP_VARIANCE, p.STEP_WISHART, p.STEP_SEPARATE)


@dataclass(frozen=True)
class Unit:
    """Numbers of the steps that are run together, and what they are called."""

    name: str
    steps: frozenset[int]


def units(planned: PlannedModel) -> list[Unit]:
    """A unit for each sampling step of a plan; equal steps of one part of a plan are numbered."""
    found: dict[str, list[frozenset[int]]] = {}
    for s, row in enumerate(planned.plan.steps):
        if row[0] not in DETERMINISTIC:
            name = f"{planned.step_labels[s].removeprefix('the ')}: {_words(planned, s)}"
            found.setdefault(name, []).append(frozenset({s, *_companions(planned, s)}))
    return [
        Unit(name if len(members) == 1 else f"{name} {i}", steps)
        for name, members in found.items()
        for i, steps in enumerate(members, 1)
    ]


def _words(planned: PlannedModel, s: int) -> str:
    """What a step draws, with the equation or level where there may be several."""
    plan, regressions = planned.plan, planned.regressions
    code, a, b = (int(number) for number in plan.steps[s, :3])
    words = WORDS[code]
    if code == p.STEP_NEWTON and plan.newtons[a, p.NEWTON_FAMILY] == p.NEWTON_VARIANCE:
        return "coefficients of the log variance"
    if code == p.STEP_VARIANCE:
        place = plan.variances[b, p.VARIANCE_PRECISION]
        titles = [r.equation.title for r in regressions.outcomes if r.precision == place]
        titles += [f"level {part.level}" for part in regressions.predictors if part.precision == place]
        return f"{words} ({', '.join(titles)})"
    if code == p.STEP_CONJUGATE:
        place = plan.groups[a, p.GROUP_FACTOR]
        for r in regressions.outcomes:
            if place in r.factors:
                return (
                    f"{words} ({r.equation.title}, level {r.equation.random[r.factors.index(place)].level})"
                )
    return words


def block_drawn(planned: PlannedModel, s: int) -> int | None:
    """The block whose drawn values a step changes before they are shown to other steps."""
    row = planned.plan.steps[s]
    if row[0] in OF_A_BLOCK:
        return int(row[1])
    if row[0] == p.STEP_CONJUGATE:
        return next(block.number for block in planned.blocks if int(row[1]) in block.group_rows)
    return None


def _companions(planned: PlannedModel, s: int) -> set[int]:
    """The steps that belong to a step."""
    plan = planned.plan
    code, a = int(plan.steps[s, 0]), int(plan.steps[s, 1])
    if code == p.STEP_COLLAPSED:
        return _draws(planned, int(plan.collapsed[a, p.COLLAPSED_BLOCK]))
    if code == p.STEP_PARAMETER:
        block = int(plan.parameters[a, p.PARAMETER_BLOCK])
        return _draws(planned, block) if block >= 0 else set()
    if code == p.STEP_NEWTON:
        own = plan.newtons[a, p.NEWTON_CODE]
        if plan.newtons[a, p.NEWTON_FAMILY] == p.NEWTON_VARIANCE:
            return set()
        return {t for t in _of(planned, p.STEP_RESPONSES) if _code(planned, t) == own}
    if code == p.STEP_SELECTION:
        responses = _response_of(planned, int(plan.selections[a, p.SELECTION_CODE]))
        rows = {t: plan.responses[plan.steps[t, 1]] for t in _of(planned, p.STEP_RESPONSES)}
        return {t for t, row in rows.items() if row[p.RESPONSE_VALUE] == responses}
    if code == p.STEP_SCALE:
        label = planned.step_labels[s]
        return {t for t in _of(planned, p.STEP_RESPONSES) if planned.step_labels[t] == label}
    block_number = block_drawn(planned, s)
    return set() if block_number is None else _draws(planned, block_number)


def _of(planned: PlannedModel, code: int) -> list[int]:
    return [t for t, row in enumerate(planned.plan.steps) if row[0] == code]


def _draws(planned: PlannedModel, block: int) -> set[int]:
    return {t for t in _of(planned, p.STEP_DRAW) if planned.plan.steps[t, 1] == block}


def _response_of(planned: PlannedModel, values: int) -> int:
    """Place of the latent responses of the outcome whose values lie at a place."""
    symbols = planned.symbols
    own = next(r for r in planned.regressions.outcomes if symbols.place[r.outcome] == values)
    return symbols.place[own.left]


def _code(planned: PlannedModel, t: int) -> int:
    """Place of the categories of the responses that a step draws."""
    plan = planned.plan
    return int(plan.responses[plan.steps[t, 1], p.RESPONSE_CODE])

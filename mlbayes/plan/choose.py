"""The planner: which unknowns are drawn together, by which step, and why.

This is the only place that decides how something is sampled.  Each rule below takes the unknowns that it
can handle; a construct that no rule takes is an error that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Family, Kind, Model, Parameter, RandomEffects
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock, EffectGroup, Residual, TopUnknown, Unknown
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.cells import CellStep
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.plan import Plan
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.record import Layout, Recorder
from mlbayes.plan.regressions import (
    CATEGORICAL_PRIOR,
    PREDICTOR_VARIANCE,
    OutcomeRegression,
    PredictorRegression,
    Regressions,
    inverse_gamma_arguments,
)
from mlbayes.plan.responses import ResponseStep
from mlbayes.plan.symbols import Symbols, unsupported

Mask = NDArray[np.bool_]
SMALL_CLUSTER = 12.0  # mean cluster size below which variances of predictors get a collapsed step


@dataclass(frozen=True)
class PlannedStep:
    """A line of the printed plan: what is drawn, how, and why so."""

    what: str
    how: str
    why: str


@dataclass
class PlannedModel:
    """A plan with its first state and everything needed to read its draws.

    `layout`: what the recorded numbers are; `symbols`, `regressions`: where the parts of the state lie; `starts`:
    see mlbayes.plan.starts.  `acceptances`: (variable, type, target, store offset of accepted and tried).
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
    blocks: list[AffineBlock]

    def describe(self) -> str:
        """The plan in words, one paragraph for each step of a sweep."""
        lines = ["One sweep draws, in this order:"]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"  {number}. {step.what}")
            lines.append(f"       how: {step.how}")
            lines.append(f"       why: {step.why}")
        return "\n".join(lines)


@dataclass
class _Choice:
    """State of the planner while it goes through its rules."""

    model: Model
    builder: PlanBuilder
    symbols: Symbols
    regressions: Regressions
    steps: list[PlannedStep] = field(default_factory=list)
    acceptances: list[tuple[str, str, float, int]] = field(default_factory=list)
    blocks: list[AffineBlock] = field(default_factory=list)


def make_plan(model: Model) -> PlannedModel:
    """Plan a model.  Raises ProblemError (kind UNSUPPORTED) for what cannot be run yet."""
    _refuse(model)
    builder = PlanBuilder()
    symbols = Symbols(model, builder)
    regressions = Regressions(model, symbols)
    choice = _Choice(model, builder, symbols, regressions)
    for name in dict.fromkeys(part.variable for part in regressions.predictors):
        builder.label = f"the predictor model of {name}"
        _plan_predictor(choice, name)
    for component in _components(regressions):
        builder.label = "the equation of " + ", ".join(r.equation.title for r in component)
        _plan_outcomes(choice, component)
    builder.label = "the record of a draw"
    layout = Recorder(model, symbols, regressions).write()
    plan, store = builder.finish()
    labels = builder.step_labels
    return PlannedModel(
        model,
        plan,
        store,
        symbols,
        regressions,
        layout,
        choice.steps,
        choice.acceptances,
        labels,
        choice.blocks,
    )


def _refuse(model: Model) -> None:
    """Constructs that no rule takes."""
    if model.covariances:
        raise unsupported("residual covariances (~~) cannot be run yet")
    for keyword in ("hev", "use_phantom", "joint"):
        if keyword in model.settings.options:
            raise unsupported(f"OPTIONS: {keyword} cannot be run yet")


# ------------------------------------------------------------------ predictors without an equation of their own
def _plan_predictor(choice: _Choice, name: str) -> None:
    """A predictor model: missing values, cluster means and regression coefficients in one joint draw."""
    model, symbols = choice.model, choice.symbols
    variable = model.variables[name]
    parts = [part for part in choice.regressions.predictors if part.variable == name]
    ordinal = variable.kind is Kind.ORDINAL
    means = [part.response for part in parts if part.response.kind == "mean"]
    moving = [*means, symbols.grand(name)]
    if not ordinal and variable.incomplete and not _has_equation(choice, name):
        moving.append(symbols.value(name))
    outcomes = _outcome_residuals(choice, moving)
    own = [_predictor_residual(symbols, part, True) for part in parts]
    tops = [_slope(part, i, ordinal) for part in parts for i in range(len(part.slopes))]
    tops.append(_grand(symbols, name, ordinal))
    fixed = _not_affine([r.polynomial for r in (*own, *outcomes)], moving, [top.atom for top in tops])
    stuck = [atom for atom in fixed if atom.kind != "value"]
    if stuck:
        raise unsupported(f"a power of the centred predictor '{name}' cannot be run yet")
    unknowns = [Unknown(mean) for mean in means]
    cells = symbols.value(name) in moving and symbols.value(name) not in fixed
    if cells:
        unknowns.insert(0, Unknown(symbols.value(name), variable.missing, cells=variable.level == 1))
    outcomes = [
        r for r in outcomes if _involves(r, [unknown.atom for unknown in unknowns] + [symbols.grand(name)])
    ]
    if ordinal:
        ResponseStep(choice.regressions, name).write()
        choice.steps.append(
            PlannedStep(
                f"latent responses of {name}"
                + (" and its missing categories" if variable.incomplete else ""),
                "truncated normal draws; categories with the latent response integrated out",
                "a probit model is linear in its latent response",
            )
        )
    elif fixed:
        _plan_cells(choice, name, own[0])
    block = AffineBlock(symbols, unknowns, tops, [*own, *outcomes])
    block.prepare()
    choice.blocks.append(block)
    variances = [
        _variance(choice, part.precision, PREDICTOR_VARIANCE, part.units) for part in parts if not part.fixed
    ]
    rows = model.hierarchy.units
    small = bool(means) and rows[0] / rows[1] < SMALL_CLUSTER
    if small and variances:
        _collapsed(choice, block, [], variances, 1)
    choice.builder.step(p.STEP_DRAW, block.number)
    for row in variances:
        choice.builder.step(p.STEP_VARIANCE, block.number, row)
    first = choice.builder.count("program")
    block.publish_values()
    choice.builder.step_program(first)
    choice.steps.append(_predictor_words(variable.name, unknowns, outcomes, small))


def _predictor_words(
    name: str, unknowns: Sequence[Unknown], outcomes: Sequence[Residual], small: bool
) -> PlannedStep:
    drawn = ["missing values"] if any(u.atom.kind == "value" for u in unknowns) else []
    drawn += ["latent cluster means"] if any(u.atom.kind == "mean" for u in unknowns) else []
    drawn.append("regression coefficients")
    what = f"predictor model of {name}: {', '.join(drawn)}"
    why = "all enter the model of the predictor"
    if outcomes:
        why += " and " + ", ".join(f"the equation of {r.name}" for r in outcomes)
    how = "one exact joint Gaussian draw by elimination, then inverse gamma draws of the variances"
    if small:
        how += ", and a Metropolis step on the variances with all of these integrated out"
        why += "; clusters are small, so that variances and cluster means depend strongly on each other"
    return PlannedStep(what, how, why + " linearly")


def _has_equation(choice: _Choice, name: str) -> bool:
    return any(r.equation.outcome == name for r in choice.regressions.outcomes)


def _slope(part: PredictorRegression, i: int, ordinal: bool) -> TopUnknown:
    return TopUnknown(part.slopes[i], 1.0 / CATEGORICAL_PRIOR if ordinal else 0.0)


def _grand(symbols: Symbols, name: str, ordinal: bool) -> TopUnknown:
    return TopUnknown(symbols.grand(name), 1.0 / CATEGORICAL_PRIOR if ordinal else 0.0)


def _predictor_residual(symbols: Symbols, part: PredictorRegression, squares: bool) -> Residual:
    active = np.ones(part.units, dtype=np.bool_)
    return Residual(
        part.variable, part.residual(), part.level, active, part.precision, squares and not part.fixed
    )


# ------------------------------------------------------------------ outcomes
def _components(regressions: Regressions) -> list[list[OutcomeRegression]]:
    """Equations that share a parameter belong to one block."""
    components: list[list[OutcomeRegression]] = []
    for regression in regressions.outcomes:
        joined = [c for c in components if any(_shares(regression, other) for other in c)]
        merged = [other for c in joined for other in c] + [regression]
        components = [c for c in components if c not in joined] + [merged]
    return components


def _shares(a: OutcomeRegression, b: OutcomeRegression) -> bool:
    mine = {atom for c in a.coefficients for atom in c.atoms()}
    return a.precision == b.precision or bool(mine & {atom for c in b.coefficients for atom in c.atoms()})


def _plan_outcomes(choice: _Choice, component: list[OutcomeRegression]) -> None:
    """Equations of outcomes: coefficients, random effects and missing outcomes that serve as predictors."""
    model, symbols = choice.model, choice.symbols
    own = [
        Residual(r.equation.title, r.expanded(), r.equation.level, r.active, r.precision, True)
        for r in component
    ]
    atoms = dict.fromkeys(atom for r in component for c in r.coefficients for atom in sorted(c.atoms()))
    tops = [_coefficient(model.parameters[atom.name], atom) for atom in atoms]
    effects = [Unknown(a, group=1) for r in component for g in r.equation.random for a in _group_atoms(r, g)]
    values = [r.outcome for r in component if r.equation.outcome in choice.regressions.used]
    values = [atom for atom in values if model.variables[atom.name].incomplete]
    numbers = {r.number for r in component}
    others = [r for r in _outcome_residuals(choice, values, numbers)]
    drawn = [*(top.atom for top in tops), *(u.atom for u in effects)]
    fixed = _not_affine([r.polynomial for r in (*own, *others)], values, drawn)
    cells = [atom for atom in values if atom not in fixed]
    row_cells = [atom for atom in cells if atom.level == 1]
    fixed += row_cells[1:]  # one variable's cells at most have a tier in a block
    cells = [atom for atom in cells if atom not in fixed]
    for atom in fixed:
        _plan_cells(choice, atom.name, None)
    unknowns = [Unknown(a, model.variables[a.name].missing, cells=a.level == 1) for a in cells]
    others = [r for r in others if _involves(r, cells)]
    groups = [g for r in component for g in _effect_groups(r)]
    for r in component:
        for k, group in enumerate(r.equation.random):
            _set_fixed_factor(choice, r, k, group.variance)
    block = AffineBlock(symbols, [*unknowns, *effects], tops, [*own, *others], groups)
    block.prepare()
    choice.blocks.append(block)
    _outcome_steps(choice, component, block, bool(row_cells[:1]) and row_cells[0] in cells)
    choice.steps.append(_outcome_words(component, block, cells))


def _outcome_steps(
    choice: _Choice, component: list[OutcomeRegression], block: AffineBlock, has_cells: bool
) -> None:
    builder = choice.builder
    variances = []
    for precision in dict.fromkeys(r.precision for r in component):
        sharing = [r for r in component if r.precision == precision]
        parameter = choice.model.parameters[sharing[0].equation.residual or ""]
        if parameter.fixed is None:
            count = sum(int(r.active.sum()) for r in sharing)
            variances.append(_variance(choice, precision, inverse_gamma_arguments(parameter.prior), count))
    bounded = any(top.bounds for top in block.tops)
    free = _free_groups(choice, component, block)
    if free and not bounded:
        _collapsed(choice, block, free, variances, 1 if choice.model.hierarchy.levels < 3 else 2)
    builder.step(p.STEP_DRAW, block.number)
    for row in free:
        builder.step(p.STEP_CONJUGATE, row)
    if free and len(free) == len(block.group_rows) and not has_cells:
        builder.step(p.STEP_INTERWEAVE, block.number, builder.zeros(2))
    for row in variances:
        builder.step(p.STEP_VARIANCE, block.number, row)
    first = builder.count("program")
    block.publish_values()
    for r in component:
        _publish_terms(choice, r)
    builder.step_program(first)


def _free_groups(choice: _Choice, component: list[OutcomeRegression], block: AffineBlock) -> list[int]:
    """Covariance groups that are estimated (a single variance may be fixed by the user)."""
    groups = [group for r in component for group in r.equation.random]
    fixed = [
        group.variance is not None and choice.model.parameters[group.variance].fixed is not None
        for group in groups
    ]
    return [row for row, is_fixed in zip(block.group_rows, fixed, strict=True) if not is_fixed]


def _set_fixed_factor(choice: _Choice, r: OutcomeRegression, k: int, name: str | None) -> None:
    """Give a random-effect variance that the user fixed its value."""
    value = choice.model.parameters[name].fixed if name is not None else None
    if value is not None:
        first = choice.builder.count("program")
        choice.builder.instruct(p.OP_COPY, r.factors[k], 1, choice.builder.scalar(float(np.sqrt(value))))
        choice.builder.step_program(first)


def _publish_terms(choice: _Choice, r: OutcomeRegression) -> None:
    """Coefficients together with their random effects, for the steps of other blocks."""
    symbols, builder = choice.symbols, choice.builder
    for t in range(len(r.terms)):
        symbol = r.term_symbol(t)
        if symbol is None:
            continue
        units = builder.unit_set(symbol.level, symbols.units(symbol.level), None, None)
        total = r.coefficients[t]
        for level in r.random_levels(t):
            total = total + Polynomial.of(r.effect(level, t))
        value = Evaluator(symbols, units).vector(total)
        builder.instruct(p.OP_COPY, symbols.offset(symbol), units.units, value)


def _outcome_words(
    component: list[OutcomeRegression], block: AffineBlock, cells: Sequence[Atom]
) -> PlannedStep:
    names = ", ".join(r.equation.title for r in component)
    drawn = ["coefficients"]
    if block.groups:
        drawn.append("random effects")
    if cells:
        drawn.append("missing values of " + ", ".join(atom.name for atom in cells))
    how = "one exact joint Gaussian draw by elimination; inverse gamma draws of residual variances"
    why = "the equation is linear in all of them"
    if block.groups:
        how = (
            "covariance matrices and residual variance by a Metropolis step with coefficients and effects integrated"
            " out; then " + how + "; conjugate and interweaving draws of the covariance matrices"
        )
        why += "; variances depend so strongly on the effects that they must not be drawn given them alone"
    if len(component) > 1:
        why += "; the equations share parameters"
    return PlannedStep(f"equation of {names}: {', '.join(drawn)}", how, why)


def _coefficient(parameter: Parameter, atom: Atom) -> TopUnknown:
    """A coefficient with its prior."""
    prior = parameter.prior
    if prior.family is Family.NORMAL:
        return TopUnknown(atom, 1.0 / prior.arguments[1], prior.arguments[0])
    if prior.family is Family.TRUNCATED:
        return TopUnknown(atom, bounds=(prior.arguments[0], prior.arguments[1]))
    if prior.family is Family.FLAT:
        return TopUnknown(atom)
    raise unsupported(
        f"the prior of '{parameter.name}' does not suit a coefficient", "use normal or truncate"
    )


def _group_atoms(r: OutcomeRegression, group: RandomEffects) -> list[Atom]:
    """Symbols of a group's effects, the intercept last: it then has an innovation of its own given the slopes."""
    return [r.effect(group.level, t) for t in reversed(group.terms)]


def _effect_groups(r: OutcomeRegression) -> list[EffectGroup]:
    result = []
    for group, factor in zip(r.equation.random, r.factors, strict=True):
        df, scale = group.prior.arguments
        result.append(EffectGroup(tuple(_group_atoms(r, group)), group.level, df, scale, factor))
    return result


# ------------------------------------------------------------------ shared pieces
def _outcome_residuals(
    choice: _Choice, atoms: Sequence[Atom], without: set[int] | None = None
) -> list[Residual]:
    """Outcome equations in which any of some symbols occur, coefficients taken as known."""
    chosen = set(atoms)
    result = []
    for r in choice.regressions.outcomes:
        composite = r.composite()
        if r.number in (without or set()) or not composite.atoms() & chosen:
            continue
        result.append(
            Residual(r.equation.title, composite, r.equation.level, r.active, r.precision, squares=False)
        )
    return result


def _involves(residual: Residual, atoms: Sequence[Atom]) -> bool:
    return bool(residual.polynomial.atoms() & set(atoms))


def _not_affine(
    polynomials: Sequence[Polynomial], candidates: Sequence[Atom], drawn: Sequence[Atom]
) -> list[Atom]:
    """Candidates to leave out so that every polynomial is affine in the rest together with `drawn`."""
    left = list(candidates)
    out: list[Atom] = []
    for atom in reversed(candidates):
        if not all(polynomial.is_affine_in([*left, *drawn]) for polynomial in polynomials):
            trial = [other for other in left if other != atom]
            alone = all(polynomial.is_affine_in([atom, *drawn]) for polynomial in polynomials)
            if not alone or all(polynomial.is_affine_in([*trial, *drawn]) for polynomial in polynomials):
                left = trial
                out.append(atom)
    return out


def _variance(choice: _Choice, precision: int, prior: tuple[float, float], count: int) -> int:
    """Add a residual variance with its inverse gamma prior."""
    return choice.builder.add("variances", [precision, choice.builder.vector(prior), count])


def _collapsed(
    choice: _Choice, block: AffineBlock, groups: Sequence[int], variances: Sequence[int], repeats: int
) -> None:
    """Add a collapsed step on covariance groups and variances of a block."""
    builder = choice.builder
    sizes = [builder.tables["groups"][row][p.GROUP_SIZE] for row in groups]
    d = sum(size * (size + 1) // 2 for size in sizes) + len(variances)
    memory = builder.zeros(p.collapsed_memory_size(d))
    row = builder.add(
        "collapsed",
        [
            block.number,
            builder.indices([len(groups), *groups]),
            builder.indices([len(variances), *variances]),
            d,
            repeats,
            memory,
        ],
    )
    builder.step(p.STEP_COLLAPSED, row)
    names = ", ".join(dict.fromkeys(residual.name for residual in block.residuals if residual.squares))
    choice.acceptances.append((names, "parameter", 0.5, memory + 1))


def _plan_cells(choice: _Choice, name: str, own: Residual | None) -> None:
    """Missing values that enter an equation other than linearly: Metropolis, one decision for each."""
    residuals = [] if own is None else [own]
    residuals += [
        Residual(r.equation.title, r.composite(), r.equation.level, r.active, r.precision, False)
        for r in choice.regressions.outcomes
        if choice.symbols.value(name) in r.composite().atoms()
    ]
    memory = CellStep(choice.symbols, name, residuals).write()
    choice.acceptances.append((name, "imputation", 0.44, memory + 1))
    choice.steps.append(
        PlannedStep(
            f"missing values of {name}",
            "random-walk Metropolis, one decision for each value, step size tuned in burn-in",
            "the variable enters an equation in a power or together with its coefficients",
        )
    )

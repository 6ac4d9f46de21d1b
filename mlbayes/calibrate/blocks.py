"""Each sampling step alone against the joint law (after Geweke 2004, JASA 99, 799-804).

A replicate draws everything from the joint law of the model, runs one unit of a sweep a few times from there, and
looks at quantities before and after.  A right step leaves the joint law as it is, so that the differences have mean 0.
The proposals of the steps are tuned by a burn-in on the same data that starts elsewhere: given the data it knows
nothing of the state that the units start from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import stats

from mlbayes.calibrate.fit import generator
from mlbayes.calibrate.quantities import quantities
from mlbayes.calibrate.read import Reader
from mlbayes.calibrate.simulate import observed, simulate
from mlbayes.calibrate.units import Unit, block_drawn, units
from mlbayes.calibrate.world import Unusable, Vector, World
from mlbayes.calibrate.write import DETERMINISTIC, Writer
from mlbayes.engine.sweep import interpreter, run_step
from mlbayes.engine.work import make_work
from mlbayes.model.model import Model
from mlbayes.plan.choose import PlannedModel, make_plan
from mlbayes.plan.plan import RESPONSE_VALUE, SELECTION_SIZE, STEP_DRAW, STEP_RESPONSES, Plan
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.starts import start_state
from mlbayes.problems import ProblemError

TUNING = 200  # sweeps of the burn-in; more for steps with many parameters (`tuning`)
REPEATS = 3  # of a unit
FEWEST = 20  # replicates in which a quantity must have moved to be tested
Values = dict[str, float]
Mutation = Callable[[Plan, Vector], tuple[Plan, Vector]]


@dataclass(frozen=True)
class Replicate:
    """Quantities of a draw from the joint law, and after each unit; `failure`: why there are none."""

    before: Values
    after: dict[str, Values]
    failure: str = ""
    failed: tuple[str, ...] = ()  # units in which a matrix was not positive definite


def replicate_of(line: dict[str, Any]) -> Replicate:
    """A replicate that was kept as JSON."""
    return Replicate(**line | {"failed": tuple(line["failed"])})


@dataclass(frozen=True)
class UnitResult:
    """What a unit does to the joint law.

    `p`: by quantity, the smaller p-value of location and spread times 2; `moved`: share of replicates in which any
    quantity has moved; `failures`: replicates in which the step failed.
    """

    name: str
    p: dict[str, float] = field(default_factory=dict)
    moved: float = 0.0
    failures: int = 0

    @property
    def worst(self) -> tuple[str, float]:
        """The quantity with the smallest p-value."""
        return min(self.p.items(), key=lambda pair: pair[1], default=("-", 1.0))


def replicate(
    model: Model, seed: int, number: int, mutate: Mutation | None = None, only: str = ""
) -> Replicate:
    """One replicate.  For tests: `mutate` plants a mistake in plan and store; `only` units with this in their name."""
    try:
        _, planned, store = drawn_state(model, seed, number)
    except Unusable:
        return Replicate({}, {}, "no usable data in many draws from the priors")
    except ProblemError as error:
        return Replicate({}, {}, error.problems[0].message)
    run = _Run(planned, planned.plan, store)
    if mutate is not None:
        run.plan, run.store = mutate(planned.plan, store)
    return run.replicate(generator(seed, number, 3), only)


def drawn_state(model: Model, seed: int, number: int) -> tuple[World, PlannedModel, Vector]:
    """A draw from the joint law, the plan of its data, and the store that holds it.  Raises as its parts do."""
    world, _ = simulate(model, generator(seed, number, 0))
    planned, store = _tuned(observed(world), generator(seed, number, 1))
    writer, rng = Writer(planned), generator(seed, number, 2)
    writer.write(world, store, rng)
    writer.bring_up_to_date(store, rng, make_work(planned.plan))
    return world, planned, store


def _tuned(model: Model, rng: np.random.Generator) -> tuple[PlannedModel, Vector]:
    """The plan of a data set, and the store of a chain after its burn-in.  Raises ProblemError."""
    from mlbayes.engine.chains import failure_problem

    planned = make_plan(replace(model, settings=replace(model.settings, chains=1)))
    burn = tuning(planned.plan)
    store, flag = start_state(planned, rng), np.zeros(1, dtype=np.int64)
    out = np.empty((burn, planned.layout.width))
    work = make_work(planned.plan)
    done, failed = interpreter(planned.plan)(planned.plan, store, 0, burn, burn, out, flag, rng, work)
    if failed >= 0:
        raise ProblemError([failure_problem(planned, 0, done, failed)])
    return planned, store


def tuning(plan: Plan) -> int:
    """Sweeps of the burn-in: in a quarter of it the step of a selection model must have enough draws to learn from."""
    parameters = plan.selections[:, SELECTION_SIZE].max(initial=0) + 1
    return max(TUNING, 4 * (10 * int(parameters) + 20))


class _Run:
    """The units of one replicate."""

    def __init__(self, planned: PlannedModel, plan: Plan, store: Vector) -> None:
        self.planned, self.plan, self.store = planned, plan, store
        self.writer = Writer(planned)
        self.reader = Reader(planned)
        self.work = make_work(planned.plan)

    def replicate(self, rng: np.random.Generator, only: str) -> Replicate:
        """Quantities before and after every unit."""
        before = self._read(self.store)
        after, failed = {}, []
        for unit in units(self.planned):
            if only not in unit.name:
                continue
            found = self._after(unit, rng)
            if found is None:
                failed.append(unit.name)
            else:
                after[unit.name] = found
        return Replicate(before, after, "", tuple(failed))

    def _after(self, unit: Unit, rng: np.random.Generator) -> Values | None:
        """Quantities after some passes of a unit; None when a step fails."""
        store = self.store.copy()
        for _ in range(REPEATS):
            pending: set[int] = set()
            for s, row in enumerate(self.plan.steps):
                if row[0] not in DETERMINISTIC and s not in unit.steps:
                    if row[0] == STEP_DRAW and int(row[1]) not in pending:
                        self.writer.sync_block(store, int(row[1]))  # an earlier block may have drawn the same
                    continue
                if not run_step(self.plan, store, row, 10**6, 1, rng, self.work):
                    return None
                if s in unit.steps:
                    block = block_drawn(self.planned, s)
                    if block is not None:
                        pending.add(block)
                    else:
                        self.writer.sync_values(store, pending)
            self.writer.sync(store)
        self.writer.bring_up_to_date(store, rng, self.work)
        found, left_behind = self._read(store), self._left_behind(unit)
        return {name: value for name, value in found.items() if name not in left_behind}

    def _left_behind(self, unit: Unit) -> set[str]:
        """Residuals of responses that a unit leaves behind: those of logits are drawn before each use."""
        codes = {s: int(self.plan.steps[s, 0]) for s in unit.steps}
        last = max((s for s, code in codes.items() if code != STEP_RESPONSES), default=-1)
        rows = [
            int(self.plan.steps[s, 1]) for s, code in codes.items() if code == STEP_RESPONSES and s > last
        ]
        drawn = {int(self.plan.responses[row, RESPONSE_VALUE]) for row in rows}
        return {
            _residual_name(r)
            for r in self.planned.regressions.outcomes
            if r.planned.of_several and self.planned.symbols.offset(r.left) not in drawn
        }

    def _read(self, store: Vector) -> Values:
        world = self.reader.world(store)
        return quantities(world) | summaries(world) | self._responses(world, store)

    def _responses(self, world: World, store: Vector) -> Values:
        """Means of the precisions of responses that are a scale mixture, and of squares of standardised residuals."""
        found = {}
        for r in self.planned.regressions.outcomes:
            if r.root is None or r.left.kind not in ("response", "working"):
                continue
            active = r.active
            precision = self.reader.vector(store, r.root)[active] ** 2
            rest = self.reader.vector(store, r.left) - world.fitted(r.planned.source, r.planned.category)
            found[f"{r.equation.title}: precisions of responses"] = float(precision.mean())
            found[_residual_name(r)] = float((precision * rest[active] ** 2).mean())
        return found


def _residual_name(r: OutcomeRegression) -> str:
    """The quantity of the squares of standardised residuals of an outcome's responses."""
    return f"{r.equation.title}: residuals of responses"


def summaries(world: World) -> Values:
    """Means of what is missing or latent, and of its product with the variable before it in the model."""
    found = {}
    for name, variable in world.model.variables.items():
        missing = variable.missing
        values = world.data.get(name)
        if values is not None and missing.any() and np.isfinite(values).all():
            found[f"{name}: missing values"] = float(values[missing].mean())
            found[f"{name}: squares of missing values"] = float((values[missing] ** 2).mean())
    for (name, level), values in world.means.items():
        found[f"{name}: cluster means (level {level})"] = float(values.mean())
    for name, values in world.responses.items():
        found[f"{name}: responses"] = float(values.mean())
    for (k, category, level), effects in world.effects.items():
        title = world.model.equations[k].title + ("" if category is None else f".{category}")
        found[f"{title}: effects (level {level})"] = float(effects.mean())
    for name, values in world.before.items():
        found[f"{name}: first values"] = float(values.mean())
    return found


# ------------------------------------------------------------------ tests
def compare(replicates: Sequence[Replicate]) -> list[UnitResult]:
    """The p-values of all units, in the order of a sweep."""
    good = [one for one in replicates if not one.failure]
    names = list(dict.fromkeys(name for one in good for name in (*one.after, *one.failed)))
    return [_unit(name, good) for name in names]


def _unit(name: str, good: Sequence[Replicate]) -> UnitResult:
    used = [one for one in good if name in one.after]
    result = UnitResult(name, failures=sum(name in one.failed for one in good))
    if len(used) < FEWEST:
        return result
    moved = np.zeros(len(used), dtype=np.bool_)
    for quantity in _shared(used, name):
        before = np.array([one.before[quantity] for one in used])
        after = np.array([one.after[name][quantity] for one in used])
        changed = ~np.isclose(before, after, rtol=1e-9, atol=1e-12)
        moved |= changed
        if changed.sum() >= FEWEST:
            result.p[quantity] = difference(before, after)
    return replace(result, moved=float(moved.mean()))


def _shared(used: Sequence[Replicate], name: str) -> list[str]:
    """The quantities of all replicates: where a pattern of missing values is drawn, some may have more."""
    return [q for q in used[0].before if all(q in one.before and q in one.after[name] for one in used)]


def difference(before: Vector, after: Vector) -> float:
    """p-value of equal laws of paired values: t tests of the scores of location and spread, the smaller p doubled.

    A score is the share of all values before that lie below.
    """
    ordered = np.sort(before)
    n = before.size
    scores = [
        (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2.0 * n)
        for x in (before, after)
    ]
    p = []
    for function in (lambda u: u, lambda u: (u - 0.5) ** 2):
        d = function(scores[1]) - function(scores[0])
        sd = float(d.std(ddof=1))
        p.append(float(2.0 * stats.t.sf(abs(d.mean()) / (sd / np.sqrt(n)), n - 1)) if sd > 0.0 else 1.0)
    return min(1.0, 2.0 * min(p))

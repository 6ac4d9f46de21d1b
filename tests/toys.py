"""Toy data and models for tests of plans and engine: scripts on small simulated tables, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlbayes.data.table import Column, Table
from mlbayes.engine.sweep import interpreter, run_step
from mlbayes.engine.work import make_work
from mlbayes.language.parse import parse_script
from mlbayes.model.build import build_model
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel, make_plan
from mlbayes.plan.plan import Work
from mlbayes.plan.starts import start_state
from mlbayes.source import Source

Columns = dict[str, np.ndarray]


def generator(seed: int, chain: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, chain]))


def table_of(columns: Columns) -> Table:
    made = {
        name: Column(name, name, np.asarray(values, dtype=np.float64)) for name, values in columns.items()
    }
    rows = len(next(iter(columns.values())))
    return Table(Path("toy.dat"), made, (), np.arange(1, rows + 1))


def model_of(text: str, columns: Columns):
    script, problems = parse_script(Source(Path("toy.imp"), text))
    assert problems == []
    model, problems = build_model(script, table_of(columns))
    assert problems == [], [problem.message for problem in problems]
    assert model is not None
    return model


def plan_of(text: str, columns: Columns) -> PlannedModel:
    """The plan of a script on columns of numbers."""
    return make_plan(model_of(text, columns))


def two_level(seed: int = 1, clusters: int = 14, missing: float = 0.0) -> Columns:
    """Unbalanced clusters `g` of 3 to 7 rows: y x z m (level 1), w v (level 2), binary b (level 1) and d (level 2)."""
    rng = generator(seed)
    sizes = 3 + rng.integers(0, 5, clusters)
    g = np.repeat(np.arange(clusters), sizes)
    n = g.size
    w, v = rng.normal(size=(2, clusters))
    x = 0.7 * rng.normal(size=clusters)[g] + rng.normal(size=n)
    z = 0.5 * x + 0.4 * rng.normal(size=clusters)[g] + rng.normal(size=n)
    m = 1.0 + 0.5 * x + 0.5 * rng.normal(size=clusters)[g] + rng.normal(size=n)
    b = (rng.normal(size=n) + 0.5 * x > 0).astype(float)
    d = (rng.normal(size=clusters) > 0).astype(float)
    u = rng.normal(size=(2, clusters)) * np.array([[0.8], [0.4]])
    y = 2.0 + 0.5 * x + 0.3 * z - 0.2 * m + 0.6 * w[g] + u[0][g] + u[1][g] * x + rng.normal(size=n)
    columns = {"g": g, "y": y, "x": x, "z": z, "m": m, "w": w[g], "v": v[g], "b": b, "d": d[g]}
    return _with_holes({k: np.asarray(c, float) for k, c in columns.items()}, rng, missing, ("g",))


def three_level(seed: int = 2, schools: int = 12, missing: float = 0.0) -> Columns:
    """Level-3 units `k` of 2 to 4 level-2 units `g` of 2 to 5 rows: y x z (1), w v (2), s r (3)."""
    rng = generator(seed)
    k_of_g = np.repeat(np.arange(schools), 2 + rng.integers(0, 3, schools))
    g = np.repeat(np.arange(k_of_g.size), 2 + rng.integers(0, 4, k_of_g.size))
    k = k_of_g[g]
    n = g.size
    s = rng.normal(size=schools)
    w = 0.5 * rng.normal(size=schools)[k_of_g] + rng.normal(size=k_of_g.size)
    v = rng.normal(size=k_of_g.size)
    x = 0.5 * rng.normal(size=schools)[k] + 0.5 * rng.normal(size=k_of_g.size)[g] + rng.normal(size=n)
    z = 0.5 * x + rng.normal(size=n)
    u2 = rng.normal(size=(2, k_of_g.size)) * np.array([[0.7], [0.3]])
    u3 = rng.normal(size=(2, schools)) * np.array([[0.6], [0.3]])
    y = 1.0 + 0.4 * x + 0.5 * w[g] - 0.3 * s[k] + u2[0][g] + u2[1][g] * x + u3[0][k] + u3[1][k] * x
    y = y + rng.normal(size=n)
    r = rng.normal(size=schools)
    columns = {"k": k, "g": g, "y": y, "x": x, "z": z, "w": w[g], "v": v[g], "s": s[k], "r": r[k]}
    return _with_holes({a: np.asarray(c, float) for a, c in columns.items()}, rng, missing, ("k", "g"))


def _with_holes(columns: Columns, rng: np.random.Generator, share: float, ids: tuple[str, ...]) -> Columns:
    """Set values missing: single rows of what varies within clusters, whole clusters of the others."""
    if share == 0.0:
        return columns
    lowest = columns[ids[-1]].astype(int)
    for name, values in columns.items():
        if name in ids:
            continue
        keys = np.arange(values.size)
        if name in ("w", "v", "d"):
            keys = lowest
        elif name in ("s", "r"):
            keys = columns[ids[0]].astype(int)
        values[(rng.random(keys.max() + 1) < share)[keys]] = np.nan
    return columns


def keep(columns: Columns, complete: tuple[str, ...], other: Columns) -> Columns:
    """`columns` with some of them taken from `other` (the complete table)."""
    return {name: (other[name] if name in complete else values) for name, values in columns.items()}


def holed(maker, holes: tuple[str, ...], seed: int = 3, share: float = 0.2, **arguments) -> Columns:
    """Toy data with missing values in the columns `holes` only."""
    whole = maker(seed, **arguments)
    return keep(maker(seed, missing=share, **arguments), tuple(n for n in whole if n not in holes), whole)


@dataclass
class Running:
    """A chain without its surroundings: plan, store, generator and scratch."""

    planned: PlannedModel
    store: np.ndarray
    rng: np.random.Generator
    work: Work

    @classmethod
    def start(cls, planned: PlannedModel, seed: int = 5, sweeps: int = 0, burn: int = 0) -> Running:
        rng = generator(seed)
        running = cls(planned, start_state(planned, rng), rng, make_work(planned.plan))
        if sweeps:
            running.sweeps(sweeps, burn)
        return running

    def sweeps(self, count: int, burn: int = 0, start: int = 0) -> np.ndarray:
        """Run sweeps; returns the records, shape (count, width)."""
        out = np.zeros((count, self.planned.layout.width))
        flag = np.zeros(1, dtype=np.int64)
        plan = self.planned.plan
        done, failed = interpreter(plan)(plan, self.store, start, count, burn, out, flag, self.rng, self.work)
        assert (done, failed) == (count, -1), f"step {failed} failed in sweep {done}"
        return out

    def step(self, number: int, iteration: int = 10**6, burn: int = 1) -> None:
        """Run one step of the sweep (well after burn-in unless said otherwise)."""
        row = self.planned.plan.steps[number]
        plan = self.planned.plan
        assert run_step(plan, self.store, row, iteration, burn, self.rng, self.work), f"step {number} failed"

    def copy(self) -> Running:
        return Running(self.planned, self.store.copy(), self.rng, self.work)


def steps_of(planned: PlannedModel, code: int) -> list[int]:
    """Numbers of the steps with a code."""
    return [s for s, row in enumerate(planned.plan.steps) if row[0] == code]


def draw_step(planned: PlannedModel, block: int) -> int:
    """Number of the step that draws a block."""
    return next(s for s in steps_of(planned, p.STEP_DRAW) if planned.plan.steps[s, 1] == block)


def first_step(planned: PlannedModel, block: int) -> int:
    """The step from which on everything that a block is drawn from is up to date: its collapsed step or its draw."""
    for s in steps_of(planned, p.STEP_COLLAPSED):
        if planned.plan.collapsed[planned.plan.steps[s, 1], p.COLLAPSED_BLOCK] == block:
            return s
    return draw_step(planned, block)


def before_block(planned: PlannedModel, block: int, seed: int = 5, sweeps: int = 3) -> Running:
    """The chain right before a block is drawn, after some sweeps."""
    running = Running.start(planned, seed, sweeps)
    for number in range(first_step(planned, block)):
        running.step(number)
    return running


def at_step(planned: PlannedModel, number: int, seed: int = 5, sweeps: int = 3) -> Running:
    """The chain right before a step, after some sweeps."""
    running = Running.start(planned, seed, sweeps)
    for before in range(number):
        running.step(before)
    return running


class Script:
    """Stands in for a Generator: normals from a list, then zeros; uniforms and gammas fixed."""

    def __init__(self, normals=()) -> None:
        self.normals = list(normals)
        self.used = 0

    def standard_normal(self) -> float:
        value = self.normals[self.used] if self.used < len(self.normals) else 0.0
        self.used += 1
        return value

    def random(self) -> float:
        return 0.5


def vector(planned: PlannedModel, store: np.ndarray, atom) -> np.ndarray:
    """Values of a symbol over the units of its level."""
    if atom in planned.symbols.static:
        return planned.symbols.static[atom]
    offset = planned.symbols.place[atom]
    return store[offset : offset + planned.symbols.units(atom.level)]

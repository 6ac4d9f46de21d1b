"""Geweke's joint distribution test with independent replicates.

Each replicate draws parameters, latents and data from the model, then alternates a few sweeps of the sampler with
fresh data given the state, sweeps last, so that what parameters and data say together counts as well.  If every
step leaves the posterior alone, what comes out has the law that went in.
(Geweke 2004, JASA 99, 799-804; replicates make p-values exact.)
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats
from toys import Running, generator, model_of

from mlbayes.engine.work import make_work
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel, make_plan
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.plan.products import RowProducts
from mlbayes.plan.regressions import Regressions

PRIOR_SD = 1.0  # of coefficients and grand means whose own prior is flat


@contextmanager
def free_data():
    """Plans made inside take nothing of outcomes and incomplete predictors as known for good."""
    outcome, changes = Regressions._outcome, RowProducts._changes

    def all_count(self, number, equation):
        regression = outcome(self, number, equation)
        regression.active = np.ones_like(regression.active)
        return regression

    def all_change(self, monomial):
        dynamic = any(self.symbols.is_dynamic(atom) for atom in monomial)
        return np.full_like(self.rows, dynamic)

    Regressions._outcome, RowProducts._changes = all_count, all_change
    try:
        yield
    finally:
        Regressions._outcome, RowProducts._changes = outcome, changes


@dataclass
class Toy:
    """A model with data that can be drawn anew in the store, and proper priors for everything."""

    text: str
    columns: dict
    planned: PlannedModel = field(init=False)

    def __post_init__(self) -> None:
        model = model_of(self.text, self.columns)
        nothing = np.full(model.variables["y"].values.size, np.nan)
        variables = {**model.variables, "y": replace(model.variables["y"], values=nothing)}
        with free_data():
            self.planned = make_plan(replace(model, variables=variables))
        store, plan = self.planned.store, self.planned.plan
        for row in plan.blocks:  # flat coefficients get a prior
            n = row[p.BLOCK_UNKNOWNS]
            precisions = store[row[p.BLOCK_PRIOR] : row[p.BLOCK_PRIOR] + n]
            precisions[precisions == 0.0] = 1.0 / PRIOR_SD**2
        for row in plan.collapsed:  # a proposal that never changes; any is valid
            d = row[p.COLLAPSED_SIZE]
            memory = store[row[p.COLLAPSED_MEMORY] :]
            memory[0] = 1.0
            memory[p.COLLAPSED_HEAD : p.COLLAPSED_HEAD + d] = 0.5
            memory[p.COLLAPSED_HEAD + d : p.COLLAPSED_HEAD + d + d * d] = np.eye(d).ravel()
        self.plan = plan

    @property
    def levels(self) -> int:
        return self.planned.model.hierarchy.levels

    def at(self, kind: str, name: str = "", level: int = TOP, index: int = 0) -> slice:
        """Where a symbol lies in the store."""
        atom = Atom(kind, name, level, index)
        offset = self.planned.symbols.place[atom]
        return slice(offset, offset + self.planned.symbols.units(level))

    def outcome(self, store: np.ndarray, rng: np.random.Generator) -> None:
        """Draw y given everything else."""
        mean = self.mean(store)
        scale = 1.0 / np.sqrt(store[self.planned.regressions.outcomes[0].precision])
        store[self.at("value", "y", 1)] = mean + scale * rng.standard_normal(mean.size)

    def fit(self, store: np.ndarray) -> list[float]:
        """Squares of standardised residuals: of all rows, and of those with an imputed predictor."""
        squares = (store[self.at("value", "y", 1)] - self.mean(store)) ** 2
        squares *= store[self.planned.regressions.outcomes[0].precision]
        variables = self.planned.model.variables
        missing = np.isnan(sum(variables[name].values for name in ("x", "b") if name in variables))
        return (
            [float(squares.sum()), float(squares[missing].sum())] if missing.any() else [float(squares.sum())]
        )

    def rows(self, level: int) -> np.ndarray:
        return self.planned.model.hierarchy.ancestors(1, level)


class Mixed(Toy):
    """y ~ c + a x + b z with random intercept and slope of x at every level above the rows."""

    quantities = ("c", "a", "b", "variance", "S_xx 2", "S_11 2", "rho 2", "y")

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        r = self.planned.regressions.outcomes[0]
        for name in "cab":
            store[self.at("parameter", name)] = 0.5 + PRIOR_SD * rng.standard_normal()
        store[r.precision] = rng.gamma(4.0) / 3.0
        for group, factor in zip(r.equation.random, r.factors, strict=True):
            s = stats.invwishart.rvs(3, np.eye(2), random_state=rng)
            lower = np.linalg.cholesky(s)
            store[factor : factor + 3] = lower[np.tril_indices(2)]
            n = self.planned.symbols.units(group.level)
            effects = lower @ rng.standard_normal((2, n))
            for effect, t in zip(effects, reversed(group.terms), strict=True):
                store[self.at("effect", "0", group.level, t)] = effect
        self.data(store, rng)

    def mean(self, store: np.ndarray) -> np.ndarray:
        r = self.planned.regressions.outcomes[0]
        x, z = self.planned.model.variables["x"].values, self.planned.model.variables["z"].values
        c, a, b = (store[self.at("parameter", name)] for name in "cab")
        mean = c + a * x + b * z
        for group in r.equation.random:
            rows = self.rows(group.level)
            for t, term in zip(group.terms, (np.ones_like(x), x), strict=True):
                mean = mean + store[self.at("effect", "0", group.level, t)][rows] * term
        return mean

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        self.outcome(store, rng)

    def read(self, store: np.ndarray) -> list[float]:
        r = self.planned.regressions.outcomes[0]
        found = [float(store[self.at("parameter", name)][0]) for name in "cab"]
        found.append(1.0 / store[r.precision])
        for factor in r.factors:
            l1, l2, l3 = store[factor : factor + 3]
            found += [l1 * l1, l2 * l2 + l3 * l3, l2 / np.hypot(l2, l3)]
        return [*found, float(store[self.at("value", "y", 1)].mean())]


class Predictor(Toy):
    """x = latent mean + e with missing cells, mean ~ g + h w; y ~ c + a x + b w | 1."""

    quantities = ("c", "a", "b", "variance", "S", "g", "h", "within", "between", "y", "missing", "observed")

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        r = self.planned.regressions.outcomes[0]
        within, between = self.planned.regressions.predictors
        for name in "cab":
            store[self.at("parameter", name)] = 0.5 + PRIOR_SD * rng.standard_normal()
        store[r.precision] = rng.gamma(4.0) / 3.0
        for part in (within, between):
            store[part.precision] = rng.gamma(1.0) / 0.5
            for slope in part.slopes:
                store[self.planned.symbols.place[slope]] = PRIOR_SD * rng.standard_normal()
        store[self.at("grand", "x")] = PRIOR_SD * rng.standard_normal()
        n = self.planned.symbols.units(2)
        w = self.planned.model.variables["w"].values
        w = w - self.planned.model.fixed_mean("w")
        h = store[self.planned.symbols.place[between.slopes[0]]]
        mean = (
            store[self.at("grand", "x")] + h * w + rng.standard_normal(n) / np.sqrt(store[between.precision])
        )
        store[self.at("mean", "x", 2)] = mean
        store[r.factors[0]] = np.sqrt(0.5 / rng.gamma(1.0))
        store[self.at("effect", "0", 2, 0)] = store[r.factors[0]] * rng.standard_normal(n)
        self.data(store, rng, True)

    def data(self, store: np.ndarray, rng: np.random.Generator, everything: bool = False) -> None:
        """Observed x given its mean and the rest, then y; x and y together are data given missing x."""
        within, _ = self.planned.regressions.predictors
        rows = self.rows(2)
        x = store[self.at("value", "x", 1)]
        cells = np.ones(x.size, bool) if everything else ~self.planned.model.variables["x"].missing
        drawn = store[self.at("mean", "x", 2)][rows] + rng.standard_normal(x.size) / np.sqrt(
            store[within.precision]
        )
        x[cells] = drawn[cells]
        self.outcome(store, rng)

    def mean(self, store: np.ndarray) -> np.ndarray:
        rows, x = self.rows(2), store[self.at("value", "x", 1)]
        c, a, b = (store[self.at("parameter", name)] for name in "cab")
        w = self.planned.model.variables["w"].values[rows]
        return c + a * x + b * w + store[self.at("effect", "0", 2, 0)][rows]

    def read(self, store: np.ndarray) -> list[float]:
        r = self.planned.regressions.outcomes[0]
        within, between = self.planned.regressions.predictors
        found = [float(store[self.at("parameter", name)][0]) for name in "cab"]
        found += [1.0 / store[r.precision], store[r.factors[0]] ** 2, float(store[self.at("grand", "x")][0])]
        found.append(float(store[self.planned.symbols.place[between.slopes[0]]]))
        found += [1.0 / store[within.precision], 1.0 / store[between.precision]]
        x, missing = store[self.at("value", "x", 1)], self.planned.model.variables["x"].missing
        return [*found, store[self.at("value", "y", 1)].mean(), x[missing].mean(), (x[~missing] ** 2).mean()]


class Cells(Toy):
    """x ~ N(g, v) with missing cells; y ~ c + a x + b x^2."""

    quantities = ("c", "a", "b", "variance", "g", "v", "y", "missing", "missing^2", "observed")

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        r, part = self.planned.regressions.outcomes[0], self.planned.regressions.predictors[0]
        for name in "cab":
            store[self.at("parameter", name)] = 0.5 + PRIOR_SD * rng.standard_normal()
        store[r.precision] = rng.gamma(4.0) / 3.0
        store[part.precision] = rng.gamma(1.0) / 0.5
        store[self.at("grand", "x")] = PRIOR_SD * rng.standard_normal()
        self.data(store, rng, True)

    def data(self, store: np.ndarray, rng: np.random.Generator, everything: bool = False) -> None:
        part = self.planned.regressions.predictors[0]
        x = store[self.at("value", "x", 1)]
        cells = np.ones(x.size, bool) if everything else ~self.planned.model.variables["x"].missing
        drawn = store[self.at("grand", "x")] + rng.standard_normal(x.size) / np.sqrt(store[part.precision])
        x[cells] = drawn[cells]
        self.outcome(store, rng)

    def mean(self, store: np.ndarray) -> np.ndarray:
        c, a, b = (store[self.at("parameter", name)] for name in "cab")
        x = store[self.at("value", "x", 1)]
        return c + a * x + b * x * x

    def read(self, store: np.ndarray) -> list[float]:
        r, part = self.planned.regressions.outcomes[0], self.planned.regressions.predictors[0]
        found = [float(store[self.at("parameter", name)][0]) for name in "cab"]
        found += [
            1.0 / store[r.precision],
            float(store[self.at("grand", "x")][0]),
            1.0 / store[part.precision],
        ]
        x, missing = store[self.at("value", "x", 1)], self.planned.model.variables["x"].missing
        y = store[self.at("value", "y", 1)]
        return [*found, y.mean(), x[missing].mean(), (x[missing] ** 2).mean(), (x[~missing] ** 2).mean()]


class Responses(Toy):
    """Binary b with latent response N(g + h z, 1) and missing cells; y ~ c + a b + d z."""

    quantities = ("c", "a", "d", "variance", "g", "h", "y", "missing", "observed")

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        r, part = self.planned.regressions.outcomes[0], self.planned.regressions.predictors[0]
        for name in "cad":
            store[self.at("parameter", name)] = 0.5 + PRIOR_SD * rng.standard_normal()
        store[self.at("parameter", "a")] = 3.0 + 0.5 * rng.standard_normal()  # y must say much of b
        store[r.precision] = rng.gamma(4.0) / 3.0
        store[self.at("grand", "b")] = np.sqrt(5.0) * rng.standard_normal()
        store[self.planned.symbols.place[part.slopes[0]]] = np.sqrt(5.0) * rng.standard_normal()
        self.data(store, rng, True)

    def data(self, store: np.ndarray, rng: np.random.Generator, everything: bool = False) -> None:
        """Observed categories with their latent responses given the parameters, then y."""
        part = self.planned.regressions.predictors[0]
        row = self.plan.responses[0]
        z = self.planned.model.variables["z"].values
        b = store[self.at("value", "b", 1)]
        h = store[self.planned.symbols.place[part.slopes[0]]]
        mean = store[self.at("grand", "b")] + h * (z - self.planned.model.fixed_mean("z"))
        cells = np.ones(b.size, bool) if everything else ~self.planned.model.variables["b"].missing
        response = mean + rng.standard_normal(b.size)
        store[self.at("response", "b", 1)][cells] = response[cells]
        codes = store[row[p.RESPONSE_CODE] : row[p.RESPONSE_CODE] + b.size]
        codes[cells] = response[cells] > 0.0
        b[cells] = codes[cells]
        numbers = store[row[p.RESPONSE_NUMBER] : row[p.RESPONSE_NUMBER] + b.size]
        numbers[cells] = codes[cells]
        self.outcome(store, rng)

    def mean(self, store: np.ndarray) -> np.ndarray:
        c, a, d = (store[self.at("parameter", name)] for name in "cad")
        return c + a * store[self.at("value", "b", 1)] + d * self.planned.model.variables["z"].values

    def read(self, store: np.ndarray) -> list[float]:
        r, part = self.planned.regressions.outcomes[0], self.planned.regressions.predictors[0]
        found = [float(store[self.at("parameter", name)][0]) for name in "cad"]
        found += [1.0 / store[r.precision], float(store[self.at("grand", "b")][0])]
        found.append(float(store[self.planned.symbols.place[part.slopes[0]]]))
        b, missing = store[self.at("value", "b", 1)], self.planned.model.variables["b"].missing
        codes = b[missing].mean() + 1e-3 * found[0]  # a little of something continuous, against ties
        return [*found, store[self.at("value", "y", 1)].mean(), codes, b[~missing].mean() + 1e-3 * found[0]]


def replicates(
    toy: Toy,
    count: int,
    rounds: int = 3,
    sweeps: int = 2,
    seed: int = 1,
    plan: p.Plan | None = None,
    extra=(),
) -> tuple[np.ndarray, np.ndarray]:
    """Quantities of forward draws and of draws after the rounds, shape (count, quantities); independent of each other.

    `plan`, `extra`: a mutated plan, and numbers appended to the store for it.
    """
    plan = toy.plan if plan is None else plan
    rng = generator(seed, 1)
    planned = replace(toy.planned, plan=plan)
    base = np.concatenate([toy.planned.store, np.asarray(extra, dtype=float)])
    running = Running(planned, base.copy(), generator(seed, 2), make_work(plan))
    before, after = [], []
    for _ in range(count):
        running.store[:] = base
        toy.forward(running.store, rng)
        before.append(toy.read(running.store) + toy.fit(running.store))
        running.store[:] = base
        toy.forward(running.store, rng)
        for k in range(rounds):
            if k:
                toy.data(running.store, rng)
            running.sweeps(sweeps, burn=1, start=10**6)
        after.append(toy.read(running.store) + toy.fit(running.store))
    return np.array(before), np.array(after)


def p_values(toy: Toy, count: int, **options) -> dict[str, float]:
    """Two-sample Kolmogorov-Smirnov p-values of every quantity."""
    before, after = replicates(toy, count, **options)
    names = (*toy.quantities, "fit", "fit of imputed rows")[: before.shape[1]]
    return {name: float(stats.ks_2samp(before[:, k], after[:, k]).pvalue) for k, name in enumerate(names)}

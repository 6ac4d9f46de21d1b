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

from mlbayes.engine.augmentation import polya_gamma
from mlbayes.engine.work import make_work
from mlbayes.model.model import Model
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel, make_plan
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.plan.products import RowProducts

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
        model = self.without_data(model_of(self.text, self.columns))
        with free_data():
            self.planned = make_plan(model)
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

    @staticmethod
    def without_data(model: Model) -> Model:
        """A model whose outcome lies in the store, where it can be changed, and nowhere else."""
        nothing = np.full(model.variables["y"].values.size, np.nan)
        return replace(
            model, variables={**model.variables, "y": replace(model.variables["y"], values=nothing)}
        )

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
        w = w - self.planned.model.observed_mean("w")
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
        mean = store[self.at("grand", "b")] + h * (z - self.planned.model.observed_mean("z"))
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


class Categorical(Toy):
    """A categorical or count outcome of clusters: y ~ c one + a x with random effects of some of these.

    `one` is 1 but in rows beyond `real`, where the linear predictor is 0 and the outcome always the same: these rows
    stand for a proper prior of a threshold, whose own is flat.
    """

    real: int
    reverse = False  # a mistake: the categories of a binary outcome in the wrong order

    @staticmethod
    def without_data(model: Model) -> Model:
        """Codes are in a vector of their own."""
        return model

    def __post_init__(self) -> None:
        super().__post_init__()
        self.real = self.columns["y"].size if "one" not in self.columns else int(self.columns["one"].sum())
        row, store = self.plan.newtons[0], self.planned.store
        reference = store[row[p.NEWTON_MEMORY] + p.NEWTON_HEAD :][: row[p.NEWTON_SIZE] + row[p.NEWTON_EXTRAS]]
        reference[:] = 0.0  # any is valid; from these values proposals are accepted now and then
        reference[:2] = 0.3
        size = int(row[p.NEWTON_SIZE]) - 2
        reference[2 : 2 + size] = np.array([4.0, 0.0, 4.0]) if size == 3 else 1.0
        often = np.where(self.plan.steps[:, 0] == p.STEP_NEWTON, 20 if size == 3 else 1, 1)
        self.plan = self.plan._replace(steps=np.repeat(self.plan.steps, often, axis=0))

    @property
    def terms(self) -> list[np.ndarray]:
        """What coefficients are multiplied with."""
        x = self.planned.model.variables["x"].values
        return [self.columns.get("one", np.ones_like(x)), x]

    def mean(self, store: np.ndarray) -> np.ndarray:
        """The linear predictor."""
        r = self.planned.regressions.outcomes[0]
        mean = sum(store[self.at("parameter", name)] * x for name, x in zip("ca", self.terms, strict=True))
        for group in r.equation.random:
            for t in group.terms:
                mean = mean + store[self.at("effect", "0", 2, t)][self.rows(2)] * self.terms[t]
        return mean

    def coefficients(self, store: np.ndarray, rng: np.random.Generator) -> None:
        """Coefficients and random effects from their priors: N(0.3, 0.5), and IW(p + 1, I) of p effects."""
        r = self.planned.regressions.outcomes[0]
        for name in "ca":
            store[self.at("parameter", name)] = 0.3 + np.sqrt(0.5) * rng.standard_normal()
        (group,), (factor,) = r.equation.random, r.factors
        size = len(group.terms)
        s = np.atleast_2d(stats.invwishart.rvs(size + 1, np.eye(size), random_state=rng))
        lower = np.linalg.cholesky(s)
        store[factor : factor + size * (size + 1) // 2] = lower[np.tril_indices(size)]
        effects = lower @ rng.standard_normal((size, self.planned.symbols.units(2)))
        for effect, t in zip(effects, reversed(group.terms), strict=True):
            store[self.at("effect", "0", 2, t)] = effect

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        self.coefficients(store, rng)
        self.shape(store, rng)
        self.data(store, rng)

    def shape(self, store: np.ndarray, rng: np.random.Generator) -> None:
        """Thresholds or dispersion from their prior."""

    def codes(self, store: np.ndarray) -> np.ndarray:
        """Places of the categories, or counts."""
        at = self.plan.responses[0, p.RESPONSE_CODE]
        return store[at : at + self.columns["y"].size]

    def working(
        self, store: np.ndarray, rng: np.random.Generator, size: np.ndarray, kappa: np.ndarray
    ) -> None:
        """Polya-Gamma precisions and working responses given the data."""
        row = self.plan.responses[0]
        shift = np.log(1.0 / store[row[p.RESPONSE_CUTS]]) if row[p.RESPONSE_KIND] == p.RESPONSE_COUNT else 0.0
        psi = self.mean(store) - shift
        w = np.array([polya_gamma(rng, b, z) for b, z in zip(size, psi, strict=True)])
        store[row[p.RESPONSE_VALUE] :][: w.size] = kappa / w + shift
        store[row[p.RESPONSE_ROOT] :][: w.size] = np.sqrt(w)

    def read(self, store: np.ndarray) -> list[float]:
        r = self.planned.regressions.outcomes[0]
        found = [float(store[self.at("parameter", name)][0]) for name in "ca"]
        size = len(r.equation.random[0].terms)
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = store[r.factors[0] :][: size * (size + 1) // 2]
        return [*found, *(lower @ lower.T)[np.tril_indices(size)]]

    def fit(self, store: np.ndarray) -> list[float]:
        """How outcomes and linear predictor go together, with a little of something continuous against ties."""
        y, eta = self.codes(store)[: self.real], self.mean(store)[: self.real]
        return [float(np.mean(y * np.tanh(0.5 * eta)))]


class Probit(Categorical):
    """Three categories; the threshold's prior is flat times what the rows beyond `real` say."""

    quantities = ("c", "a", "S", "tau", "y")
    jacobian = 1.0  # 0: a mistake, thresholds are flat on the scale of their logarithms

    @property
    def cut(self) -> int:
        return int(self.plan.responses[0, p.RESPONSE_CUTS]) + 1

    def shape(self, store: np.ndarray, rng: np.random.Generator) -> None:
        beyond = self.columns["y"][self.real :]
        grid = np.linspace(0.001, 5.0, 5000)
        share = stats.norm.cdf(grid) - 0.5
        mass = (
            share ** (beyond == 1).sum()
            * (0.5 - share) ** (beyond == 2).sum()
            * grid ** (self.jacobian - 1.0)
        )
        store[self.cut] = rng.choice(grid, p=mass / mass.sum())

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        mean, codes = self.mean(store), self.codes(store)
        response = mean + rng.standard_normal(mean.size)
        cuts = np.array([-np.inf, 0.0, store[self.cut], np.inf])
        own = np.arange(mean.size) < self.real
        codes[own] = np.searchsorted(cuts[1:-1], response[own])
        places = codes.astype(int)
        low, high = stats.norm.cdf(cuts[places] - mean), stats.norm.cdf(cuts[places + 1] - mean)
        inside = mean + stats.norm.ppf(low + rng.random(mean.size) * (high - low))
        store[self.at("response", "y", 1)] = np.where(own, response, inside)

    def read(self, store: np.ndarray) -> list[float]:
        found = super().read(store)
        return [
            *found,
            float(store[self.cut]),
            float(self.codes(store)[: self.real].mean() + 1e-3 * found[0]),
        ]


class Logit(Categorical):
    """Two categories, random intercepts and slopes."""

    quantities = ("c", "a", "S_xx", "S_1x", "S_11", "y")

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        y = (rng.random(self.real) < 1.0 / (1.0 + np.exp(-self.mean(store)))).astype(float)
        self.codes(store)[:] = 1.0 - y if self.reverse else y
        self.working(store, rng, np.ones(self.real), self.codes(store) - 0.5)

    def read(self, store: np.ndarray) -> list[float]:
        found = super().read(store)
        return [*found, float(self.codes(store).mean() + 1e-3 * found[0])]


class Count(Categorical):
    """Negative binomial counts with log link; the prior variance of the log dispersion is that of the plan."""

    quantities = ("c", "a", "S", "log alpha", "y")

    def shape(self, store: np.ndarray, rng: np.random.Generator) -> None:
        row = self.plan.newtons[0]
        variance = store[row[p.NEWTON_PRIOR] + 2 * row[p.NEWTON_SIZE]]
        store[self.plan.responses[0, p.RESPONSE_CUTS]] = np.exp(np.sqrt(variance) * rng.standard_normal())

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        size = 1.0 / store[self.plan.responses[0, p.RESPONSE_CUTS]]
        mean = np.exp(self.mean(store)) * rng.standard_gamma(size, self.real) / size
        y = rng.poisson(np.minimum(mean, 1e9)).astype(float)
        self.codes(store)[:] = y
        self.working(store, rng, y + size, 0.5 * (y - size))

    def read(self, store: np.ndarray) -> list[float]:
        found = super().read(store)
        alpha = store[self.plan.responses[0, p.RESPONSE_CUTS]]
        return [*found, float(np.log(alpha)), float(np.log1p(self.codes(store)).mean() + 1e-3 * found[0])]


class Series(Toy):
    """y - mu_g = a (lag of y - mu_g) + e with values missing; mu_g ~ N(c, v); values before the first N(0, 1)."""

    quantities = ("c", "a", "s", "v", "mu", "missing", "before", "observed")

    @staticmethod
    def without_data(model: Model) -> Model:
        """Which values are missing matters; those that are not are in the store, too."""
        return model

    def __post_init__(self) -> None:
        super().__post_init__()
        row, self.series = self.plan.series[0], self.planned.symbols.series("y")
        prior = self.planned.store[row[p.SERIES_PRIOR] :][: 2 * row[p.SERIES_PLACES]].reshape(2, -1)
        prior[0, self.series.before], prior[1, self.series.before] = 1.0, 0.0  # not those of certain data

    @property
    def values(self) -> slice:
        first = int(self.plan.series[0, p.SERIES_VALUES])
        return slice(first, first + self.series.places)

    def precision(self, name: str) -> int:
        return next(r.precision for r in self.planned.regressions.outcomes if r.equation.outcome == name)

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        store[self.at("parameter", "c")] = 0.5 + rng.standard_normal()
        store[self.at("parameter", "a")] = 0.3 + 0.3 * rng.standard_normal()
        for name in ("y", "mu"):
            store[self.precision(name)] = rng.gamma(4.0) / 3.0
        mu = store[self.at("parameter", "c")] + rng.standard_normal(self.planned.symbols.units(2)) / np.sqrt(
            store[self.precision("mu")]
        )
        store[self.at("value", "mu", 2)] = mu
        self.data(store, rng)

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        """A new series with everything that is missing in it: a state from the joint law only after `forward`."""
        a, sd = store[self.at("parameter", "a")][0], 1.0 / np.sqrt(store[self.precision("y")])
        mu, y = store[self.at("value", "mu", 2)], store[self.values]
        for g, (start, end) in enumerate(zip(self.series.starts[:-1], self.series.starts[1:], strict=True)):
            y[start] = rng.standard_normal()
            for k in range(start + 1, end):
                y[k] = mu[g] + a * (y[k - 1] - mu[g]) + sd * rng.standard_normal()
        store[self.at("value", "y", 1)] = y[self.series.rows]

    def read(self, store: np.ndarray) -> list[float]:
        y, known, mu = store[self.values], self.series.known, store[self.at("value", "mu", 2)]
        found = [float(store[self.at("parameter", name)][0]) for name in "ca"]
        found += [1.0 / store[self.precision("y")], 1.0 / store[self.precision("mu")], float(mu.mean())]
        missing = self.series.rows[~known[self.series.rows]]
        return [*found, *(float(y[at].mean()) for at in (missing, self.series.before, known))]

    def fit(self, store: np.ndarray) -> list[float]:
        """Products of neighbours where one or both are missing, and squares of standardised residuals."""
        y, mu, a = (
            store[self.values],
            store[self.at("value", "mu", 2)][self.rows(2)],
            self.at("parameter", "a"),
        )
        rows = self.series.rows
        residuals = y[rows] - mu - store[a] * (y[rows - 1] - mu)
        squares = residuals**2 * store[self.precision("y")]
        missing = ~self.series.known[rows]
        return [float(squares.sum()), float(squares[missing].sum())]


class Spread(Toy):
    """y ~ N(c + a x, exp(lv)), lv = d + e z with random effects of some of these, or l + e z with l ~ N(d, v)."""

    quantities = ("c", "a", "d", "e", "S", "log variance", "y")

    def __post_init__(self) -> None:
        super().__post_init__()
        for row in self.plan.newtons:  # any reference point is valid; near this one proposals are accepted
            reference = self.planned.store[row[p.NEWTON_MEMORY] + p.NEWTON_HEAD :][: row[p.NEWTON_SIZE]]
            reference[:] = 0.3
            groups = self.plan.index[row[p.NEWTON_GROUPS] :]
            for k in range(groups[0]):  # Cholesky factors
                first, size = groups[1 + 3 * k], groups[2 + 3 * k]
                reference[first : first + size * (size + 1) // 2] = np.eye(size)[np.tril_indices(size)]
        outcomes = self.planned.regressions.outcomes
        self.location = next(r for r in outcomes if r.heterogeneous)
        self.variance = next(r for r in outcomes if r.of_variance)
        self.latent = next((r for r in outcomes if r.equation.outcome == "l"), None)

    def mean(self, store: np.ndarray) -> np.ndarray:
        c, a = (store[self.at("parameter", name)] for name in "ca")
        return c + a * self.columns["x"]

    def log_variance(self, store: np.ndarray) -> np.ndarray:
        """Of every row."""
        terms, z = [np.ones_like(self.columns["z"]), self.columns["z"]], self.columns["z"]
        if self.latent is not None:
            return store[self.at("value", "l", 2)][self.rows(2)] + store[self.at("parameter", "e")] * z
        total = store[self.at("parameter", "d")] + store[self.at("parameter", "e")] * z
        for group in self.variance.equation.random:
            for t in group.terms:
                effect = store[self.at("effect", str(self.variance.number), 2, t)]
                total = total + effect[self.rows(2)] * terms[t]
        return total

    def forward(self, store: np.ndarray, rng: np.random.Generator) -> None:
        for name in "cade":
            store[self.at("parameter", name)] = 0.3 + np.sqrt(0.5) * rng.standard_normal()
        n = self.planned.symbols.units(2)
        if self.latent is not None:
            store[self.latent.precision] = rng.gamma(1.0) / 0.5  # prior1: IG(1, 0.5)
            noise = rng.standard_normal(n) / np.sqrt(store[self.latent.precision])
            store[self.at("value", "l", 2)] = store[self.at("parameter", "d")] + noise
        for group, factor in zip(self.variance.equation.random, self.variance.factors, strict=True):
            size = len(group.terms)
            s = np.atleast_2d(stats.invwishart.rvs(size + 1, np.eye(size), random_state=rng))
            lower = np.linalg.cholesky(s)
            store[factor : factor + size * (size + 1) // 2] = lower[np.tril_indices(size)]
            for effect, t in zip(lower @ rng.standard_normal((size, n)), reversed(group.terms), strict=True):
                store[self.at("effect", str(self.variance.number), 2, t)] = effect
        root = self.planned.symbols.place[self.location.root]
        store[root : root + self.columns["x"].size] = np.exp(-0.5 * self.log_variance(store))
        self.data(store, rng)

    def data(self, store: np.ndarray, rng: np.random.Generator) -> None:
        sd = np.exp(0.5 * self.log_variance(store))
        store[self.at("value", "y", 1)] = self.mean(store) + sd * rng.standard_normal(sd.size)

    def read(self, store: np.ndarray) -> list[float]:
        found = [float(store[self.at("parameter", name)][0]) for name in "cade"]
        if self.latent is not None:
            found.append(1.0 / store[self.latent.precision])
        else:
            found.append(store[self.variance.factors[0]] ** 2)
        y = store[self.at("value", "y", 1)]
        return [*found, float(self.log_variance(store).mean()), float(np.arcsinh(y).mean())]

    def fit(self, store: np.ndarray) -> list[float]:
        """Squares of standardised residuals, and how they go with the size of z."""
        squares = (store[self.at("value", "y", 1)] - self.mean(store)) ** 2
        squares *= np.exp(-self.log_variance(store))
        return [float(squares.sum()), float((squares * self.columns["z"]).sum())]


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


def acceptance(toy: Categorical, count: int = 100) -> float:
    """Share of sweeps that accept a proposal of coefficients, factors, thresholds or dispersion."""
    rng, (number,) = generator(2), toy.plan.newtons[:, p.NEWTON_MEMORY]
    planned = replace(toy.planned, plan=toy.plan)
    running = Running(planned, toy.planned.store.copy(), generator(3), make_work(toy.plan))
    accepted = 0
    for _ in range(count):
        running.store[:] = toy.planned.store
        toy.forward(running.store, rng)
        running.sweeps(1, burn=1, start=10**6)
        accepted += running.store[number] > 0.0
    return accepted / count


def accepted_share(toy: Toy, memory: int, count: int = 100) -> float:
    """Share of proposals that a step accepts; `memory`: place of its numbers of accepted and tried ones."""
    rng, running = (
        generator(2),
        Running(toy.planned, toy.planned.store.copy(), generator(3), make_work(toy.plan)),
    )
    numbers = np.zeros(2)
    for _ in range(count):
        running.store[:] = toy.planned.store
        toy.forward(running.store, rng)
        running.sweeps(1, burn=1, start=10**6)
        numbers += running.store[memory : memory + 2]
    return float(numbers[0] / numbers[1])


def p_values(toy: Toy, count: int, **options) -> dict[str, float]:
    """Two-sample Kolmogorov-Smirnov p-values of every quantity."""
    before, after = replicates(toy, count, **options)
    names = (*toy.quantities, "fit", "fit of imputed rows")[: before.shape[1]]
    return {name: float(stats.ks_2samp(before[:, k], after[:, k]).pvalue) for k, name in enumerate(names)}

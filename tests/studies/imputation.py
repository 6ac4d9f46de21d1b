"""Do pooled estimates of completed data have small bias, and their intervals the coverage that they claim?

    PYTHONPATH=tests python tests/studies/imputation.py --sims 500 --type ordinal --levels 1 --holes MAR

One variable `t` has missing values, two others are complete.  In the world `response`, t depends on z and x, and the
estimands are its mean (of a categorical one: proportions) and the regression of x on t.  In the world `predictor`, t
depends on z, and the estimands are the coefficients of the regression of y on t and z from which y was drawn.  Each
data set is completed 20 times by `MODEL` and, where it can be, by `FCS`; each completed data set is analysed by
ordinary least squares with robust standard errors (by clusters where there are any), which asks nothing of the law of
the data.  The estimates are pooled by Rubin's rules (Rubin 1987, Multiple Imputation for Nonresponse in Surveys, 76-77)
with the degrees of freedom of Barnard & Rubin 1999 (Biometrika 86, 948-955).  True values of the world `response` are
integrals by quadrature.

Each estimate is held against two others of the same data: that of the data before they got holes says what the
analysis itself can do, and that of the complete rows how much there is to be put right.  The `shift` is the mean
difference from the estimate without holes: the same bias, without the luck of the data sets.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
from scipy import stats
from studies import exact
from toys import Columns, model_of, table_of

from mlbayes import pipeline
from mlbayes.engine.chains import Chain
from mlbayes.output.gather import completed

SEED = 20240
IMPUTATIONS = 20
BURN = 200
BETWEEN = 20  # sweeps from one imputation to the next
ROWS = 250
CLUSTERS = 50  # of 5 rows each
BETWEEN_SHARE = 0.3  # of the variances of z and of x given z, where there are two levels
CORRELATION = 0.4  # of z and x

CUTS = {"binary": np.array([0.3]), "ordinal": np.array([-0.8, 0.0, 0.9])}
TYPES = ("continuous", "binary", "ordinal", "nominal", "count")
WORLDS = ("response", "predictor")
HOLES = ("MCAR", "MAR")
METHODS = ("MODEL", "FCS", "exact")
DECLARED = {
    "continuous": "",
    "binary": "ORDINAL: t;",
    "ordinal": "ORDINAL: t;",
    "nominal": "NOMINAL: t;",
    "count": "COUNT: t;",
}
INTERCEPTS = {"nominal": np.array([0.0, 0.2, -0.2]), "count": np.array([0.4])}
SLOPES_Z = {"nominal": np.array([0.0, 0.6, -0.3]), "count": np.array([0.3])}
SLOPES_X = {"nominal": np.array([0.0, 0.3, 0.6]), "count": np.array([0.3])}
EFFECT_VARIANCE = 0.3  # of the random intercepts of t (of a nominal one: of each logit)
DISPERSION = 0.3
OUTCOME = {
    "nominal": np.array([0.5, -0.4]),
    "count": np.array([0.2]),
}  # coefficients of t in the equation of y
OUTCOME_Z = 0.4

Vector = np.ndarray


# ------------------------------------------------------------------ data
def linear_predictor(kind: str, z: Vector, x: Vector, effects: Vector) -> Vector:
    """Shape (..., k): one for each category of a nominal variable (0 for the first), else k = 1; `effects` alike."""
    intercepts = INTERCEPTS.get(kind, np.zeros(1))
    a, b = SLOPES_Z.get(kind, np.full(1, 0.4)), SLOPES_X.get(kind, np.full(1, 0.4))
    free = np.array([0.0, 1.0, 1.0]) if kind == "nominal" else np.ones(1)
    return intercepts + a * z[..., None] + b * x[..., None] + free * effects


def draw(kind: str, predictor: Vector, world: str, rng: np.random.Generator) -> Vector:
    """Values of t.  A nominal t has, as in mlbayes, a logit model as a response and a probit model as a predictor."""
    eta = predictor[:, 0]
    if kind == "continuous":
        return eta + rng.normal(size=eta.size)
    if kind == "count":
        mean = np.exp(eta) * rng.gamma(1.0 / DISPERSION, DISPERSION, eta.size)
        return rng.poisson(mean).astype(float)
    if kind == "nominal":
        logit = world == "response"
        noise = rng.gumbel(size=predictor.shape) if logit else np.sqrt(0.5) * rng.normal(size=predictor.shape)
        return 1.0 + np.argmax(predictor + noise, axis=1)
    first = 0.0 if kind == "binary" else 1.0
    return first + np.searchsorted(CUTS[kind], eta + rng.normal(size=eta.size))


def scores(kind: str, t: Vector) -> Vector:
    """What t enters a regression as, shape (rows, k): indicators of all categories but the first, or its value."""
    if kind == "nominal":
        return np.column_stack([t == code for code in (2.0, 3.0)]).astype(float)
    return t[:, None]


@dataclass(frozen=True)
class Data:
    """Columns before they get holes, and which values of t will be missing."""

    whole: Columns
    missing: Vector

    @property
    def holed(self) -> Columns:
        return self.whole | {"t": np.where(self.missing, np.nan, self.whole["t"])}


@dataclass(frozen=True)
class Cell:
    """A cell of the study: what kind of data, with what kind of holes."""

    kind: str
    levels: int
    world: str
    holes: str

    def simulate(self, number: int) -> Data:
        """Data set `number`.  The same seed always gives the same; both kinds of holes are made in the same data."""
        place = (TYPES.index(self.kind), self.levels, WORLDS.index(self.world), number)
        rng = np.random.default_rng([SEED, *place])
        g = np.arange(ROWS) * CLUSTERS // ROWS

        def normal(variance: float) -> Vector:
            share = BETWEEN_SHARE if self.levels == 2 else 0.0
            between = np.sqrt(share) * rng.normal(size=CLUSTERS)
            return np.sqrt(variance) * (between[g] + np.sqrt(1.0 - share) * rng.normal(size=ROWS))

        z = normal(1.0)
        x = CORRELATION * z + normal(1.0 - CORRELATION**2) if self.world == "response" else np.zeros(ROWS)
        effects = np.sqrt(EFFECT_VARIANCE * (self.levels == 2)) * rng.normal(size=(CLUSTERS, 3))
        eta = linear_predictor(self.kind, z, x, effects[g][:, : 3 if self.kind == "nominal" else 1])
        t = draw(self.kind, eta, self.world, rng)
        columns = {"z": z, "t": t}
        if self.world == "response":
            columns["x"] = driver = x
        else:
            slopes = OUTCOME.get(self.kind, np.full(1, 0.5))
            columns["y"] = scores(self.kind, t) @ slopes + OUTCOME_Z * z + normal(1.0)
            driver = (columns["y"] - columns["y"].mean()) / columns["y"].std()
        if self.levels == 2:
            columns["g"] = g.astype(float)
        level = -0.65 + 0.8 * driver if self.holes == "MAR" else np.full(ROWS, -0.52)
        return Data(columns, rng.normal(size=ROWS) < level)

    def script(self, method: str, seed: int) -> str:
        """The script that completes the data."""
        complete = "x" if self.world == "response" else "y"
        model = "t ~ z x;" if self.world == "response" else "y ~ t z;"
        if self.world == "predictor" and self.kind == "count":
            model += " t ~ z;"  # counts have no predictor models
        return (
            f"DATA: t; MISSING: NA; {DECLARED[self.kind]} {'CLUSTERID: g;' if self.levels == 2 else ''}"
            f" {'MODEL: ' + model if method == 'MODEL' else f'FCS: t z {complete};'} SEED: {seed}; CHAINS: 1;"
            f" BURN: {BURN}; ITER: {IMPUTATIONS * BETWEEN}; NIMPS: {IMPUTATIONS}; SAVE: stacked = s.csv;"
        )

    def methods(self) -> list[str]:
        """FCS takes all types but counts.  Its regressions do not fit the world `predictor`, unless all is normal."""
        suited = self.kind != "count" and (self.world == "response" or self.kind == "continuous")
        return ["MODEL", "FCS"] if suited else ["MODEL"]

    def has_exact(self) -> bool:
        """Whether imputations can be drawn from the exact posterior of the equations of `MODEL` as well."""
        nominal_predictor = self.kind == "nominal" and self.world == "predictor"
        return self.levels == 1 and self.kind != "continuous" and not nominal_predictor

    # -------------------------------------------------------------- analysis
    def estimands(self) -> list[str]:
        if self.world == "predictor":
            names = ["t.2", "t.3"] if self.kind == "nominal" else ["t"]
            return [f"y on {name}" for name in (*names, "z")]
        names = [*self.indicators()]
        whole = ["t"] if self.kind == "count" else []
        return [f"mean of {name}" for name in whole + names] + [f"x on {name}" for name in names]

    def indicators(self) -> dict[str, tuple[float, float]]:
        """What stands for t in the world `response`: indicators of intervals (a continuous one for itself).

        A categorical t has one for every category but the first.  Of a count it is whether there is anything to be
        counted: the least squares slope on the count itself is biased in data of this size, even without holes.
        """
        if self.kind == "continuous":
            return {"t": (-np.inf, np.inf)}
        if self.kind == "count":
            return {"[t > 0]": (1.0, np.inf)}
        codes = {"binary": (1,), "ordinal": (2, 3, 4), "nominal": (2, 3)}[self.kind]
        return {f"[t = {code}]": (code, code) for code in codes}

    def indicated(self, t: Vector) -> Vector:
        """The indicators, shape (rows, k)."""
        if self.kind == "continuous":
            return t[:, None]
        between = [(t >= low) & (t <= high) for low, high in self.indicators().values()]
        return np.column_stack(between).astype(float)

    def analyse(self, columns: Columns, rows: Vector | None = None) -> tuple[Vector, Vector]:
        """Estimates and their squared standard errors, each of shape (estimands,); of some rows only."""
        rows = np.ones(ROWS, dtype=bool) if rows is None else rows
        used = {name: values[rows] for name, values in columns.items()}
        groups, one = used.get("g"), np.ones((int(rows.sum()), 1))
        if self.world == "predictor":
            design = np.column_stack([one, scores(self.kind, used["t"]), used["z"]])
            estimate, variance = least_squares(used["y"], design, groups)
            return estimate[1:], variance[1:]
        indicated = self.indicated(used["t"])
        averaged = [used["t"]] * (self.kind == "count") + [*indicated.T]
        parts = [least_squares(column, one, groups) for column in averaged]
        estimate, variance = least_squares(used["x"], np.column_stack([one, indicated]), groups)
        return (
            np.concatenate([*(part[0] for part in parts), estimate[1:]]),
            np.concatenate([*(part[1] for part in parts), variance[1:]]),
        )

    def freedom(self) -> float:
        """Degrees of freedom of the analysis of complete data."""
        return CLUSTERS - 1.0 if self.levels == 2 else ROWS - 3.0

    def truth(self) -> Vector:
        """True values in the order of the estimands."""
        if self.world == "predictor":
            return np.append(OUTCOME.get(self.kind, np.full(1, 0.5)), OUTCOME_Z)
        return projection(self)


def projection(cell: Cell) -> Vector:
    """Means of t's indicators and the population regression of x on them, by Gauss-Hermite quadrature."""
    width = 2 if cell.kind == "nominal" else 1
    effects = width if cell.levels == 2 else 0
    point, weight = np.polynomial.hermite_e.hermegauss(24)
    grid = np.stack([a.ravel() for a in np.meshgrid(*[point] * (2 + effects), indexing="ij")])
    weights = np.stack([a.ravel() for a in np.meshgrid(*[weight] * (2 + effects), indexing="ij")]).prod(
        axis=0
    )
    weights /= weights.sum()
    z, x = grid[0], CORRELATION * grid[0] + np.sqrt(1.0 - CORRELATION**2) * grid[1]
    u = np.sqrt(EFFECT_VARIANCE) * grid[2:].T if effects else np.zeros((z.size, width))
    if cell.kind == "nominal":
        u = np.column_stack([np.zeros(z.size), u])
    eta = linear_predictor(cell.kind, z, x, u)
    if cell.kind == "nominal":
        mean = (np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True))[:, 1:]
        second = np.diag(weights @ mean)
    elif cell.kind in CUTS:
        below = np.column_stack([stats.norm.cdf(cut - eta[:, 0]) for cut in (*CUTS[cell.kind], np.inf)])
        mean = np.diff(below, axis=1)
        second = np.diag(weights @ mean)
    elif cell.kind == "count":
        mean = 1.0 - (1.0 + DISPERSION * np.exp(eta)) ** (-1.0 / DISPERSION)
        second = np.diag(weights @ mean)
    else:
        mean = eta
        second = np.array([[weights @ (eta**2 + 1.0)[:, 0]]])
    means = weights @ mean
    slopes = np.linalg.solve(second - np.outer(means, means), (weights * x) @ mean)
    counted = weights @ np.exp(eta) if cell.kind == "count" else []
    return np.concatenate([counted, means, slopes])


def least_squares(y: Vector, design: Vector, groups: Vector | None) -> tuple[Vector, Vector]:
    """Coefficients and their robust variances, over rows (HC1) or over clusters (CR1)."""
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ (design.T @ y)
    parts = design * (y - design @ coefficients)[:, None]
    n, p = design.shape
    correction = n / (n - p)
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        count = int(codes.max()) + 1
        parts = np.stack([np.bincount(codes, column, count) for column in parts.T], axis=1)
        correction = count / (count - 1) * (n - 1) / (n - p)
    return coefficients, correction * np.diag(inverse @ (parts.T @ parts) @ inverse)


# ------------------------------------------------------------------ imputation and pooling
def impute(cell: Cell, method: str, data: Data, seed: int) -> list[Columns]:
    """The completed data sets."""
    return impute_exactly(cell, data, seed) if method == "exact" else impute_here(cell, method, data, seed)


def impute_exactly(cell: Cell, data: Data, seed: int) -> list[Columns]:
    """By numpy alone, see exact.py."""
    columns = data.holed
    design = np.column_stack([columns[name] for name in ("z", "x") if name in columns])
    problem = exact.Problem(
        cell.kind, columns["t"], design, columns.get("y"), lambda values: scores(cell.kind, values)
    )
    found = exact.completed_values(problem, IMPUTATIONS, np.random.default_rng([SEED, seed]))
    return [data.whole | {"t": t} for t in found]


def impute_here(cell: Cell, method: str, data: Data, seed: int) -> list[Columns]:
    """By one chain of the program, as `SAVE: stacked` has them."""
    planned = pipeline.plan(model_of(cell.script(method, seed), data.holed))
    chain = Chain(planned, 0, np.zeros(1, dtype=np.int64))
    for look in chain.looks.values():
        look.monitored = False  # likelihoods are not wanted and would take most of the time
    chain.looks = {after: look for after, look in chain.looks.items() if look.imputations}
    chain.run()
    table = table_of(data.holed)
    found = [completed(planned.model, table, chain.snapshots[k]) for k in sorted(chain.snapshots)]
    assert len(found) == IMPUTATIONS
    return [dict(zip(table.columns, values.T, strict=True)) for values in found]


@dataclass(frozen=True)
class Pooled:
    """Estimates with squared standard errors, degrees of freedom and the shares of them due to the holes."""

    estimate: Vector
    variance: Vector
    freedom: Vector
    share: Vector

    def covers(self, truth: Vector) -> Vector:
        """Whether the 95 % intervals hold the true values."""
        return np.abs(self.estimate - truth) < stats.t.ppf(0.975, self.freedom) * np.sqrt(self.variance)


def pool(estimates: Vector, variances: Vector, complete: float) -> Pooled:
    """Rubin's rules; both arrays of shape (imputations, estimands), `complete` degrees of freedom without holes."""
    m = len(estimates)
    between = (1.0 + 1.0 / m) * estimates.var(axis=0, ddof=1)
    total = variances.mean(axis=0) + between
    share = between / total
    large = (m - 1) / share**2
    observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
    return Pooled(estimates.mean(axis=0), total, 1.0 / (1.0 / large + 1.0 / observed), share)


def single(estimate: Vector, variance: Vector, freedom: float) -> Pooled:
    """An analysis without imputation."""
    return Pooled(estimate, variance, np.full(estimate.size, freedom), np.zeros(estimate.size))


# ------------------------------------------------------------------ the study
@dataclass(frozen=True)
class Summary:
    """What came out for one way of analysing all data sets of a cell; arrays of shape (estimands,).

    `sd`: of the estimates.  `bias`: in units of it.  `error`: mean standard error, in units of it.
    """

    sims: int
    bias: Vector
    sd: Vector
    error: Vector
    coverage: Vector
    share: Vector

    @classmethod
    def of(cls, found: list[Pooled], truth: Vector) -> Summary:
        estimates = np.array([one.estimate for one in found])
        sd = estimates.std(axis=0, ddof=1)
        return cls(
            len(found),
            (estimates.mean(axis=0) - truth) / sd,
            sd,
            np.mean([np.sqrt(one.variance) for one in found], axis=0) / sd,
            np.mean([one.covers(truth) for one in found], axis=0),
            np.mean([one.share for one in found], axis=0),
        )


@dataclass(frozen=True)
class Result:
    """All data sets of a cell: without holes, complete rows, and by each method of imputation."""

    cell: Cell
    found: dict[str, list[Pooled]]

    def summaries(self) -> dict[str, Summary]:
        truth = self.cell.truth()
        return {name: Summary.of(found, truth) for name, found in self.found.items()}

    def methods(self) -> list[str]:
        return [method for method in METHODS if method in self.found]

    def shift(self, method: str) -> Vector:
        """Mean of the pooled estimates less those without holes, in SDs of the pooled ones: bias with less noise."""
        pooled = np.array([one.estimate for one in self.found[method]])
        whole = np.array([one.estimate for one in self.found["whole"]])
        return (pooled - whole).mean(axis=0) / pooled.std(axis=0, ddof=1)

    def difference(self, one: str, other: str) -> tuple[Vector, Vector, Vector]:
        """Estimates by one method less those by another, in standard errors: mean, SD, SD by imputation noise."""
        first, second = self.found[one], self.found[other]
        error = np.array([np.sqrt(each.variance) for each in second])
        gaps = np.array([a.estimate - b.estimate for a, b in zip(first, second, strict=True)]) / error
        noise = [(a.share + b.share) / (IMPUTATIONS + 1) for a, b in zip(first, second, strict=True)]
        return gaps.mean(axis=0), gaps.std(axis=0, ddof=1), np.sqrt(np.mean(noise, axis=0))


def study(cell: Cell, sims: int, first: int = 0, compare: bool = False) -> Result:
    """Simulate, complete, analyse and pool; with `compare` by exact imputations too, where there are any."""
    methods = [*cell.methods(), *(["exact"] if compare and cell.has_exact() else [])]
    found: dict[str, list[Pooled]] = {name: [] for name in ("whole", "rows", *methods)}
    for number in range(first, first + sims):
        data = cell.simulate(number)
        found["whole"].append(single(*cell.analyse(data.whole), cell.freedom()))
        found["rows"].append(single(*cell.analyse(data.whole, ~data.missing), cell.freedom()))
        for method in methods:
            analyses = [cell.analyse(columns) for columns in impute(cell, method, data, number + 1)]
            estimates, variances = (np.array(part) for part in zip(*analyses, strict=True))
            found[method].append(pool(estimates, variances, cell.freedom()))
    return Result(cell, found)


HEADING = (
    "| t | levels | holes | estimand | true | data sets | bias of complete rows | coverage without holes"
    " | method | missing information | bias | shift | mean SE / SD | coverage |\n|" + "---|" * 14
)


def table(result: Result) -> str:
    """Rows of the table, in Markdown."""
    cell, summaries, truth = result.cell, result.summaries(), result.cell.truth()
    lines = []
    for k, estimand in enumerate(cell.estimands()):
        for method in result.methods():
            shift = result.shift(method)[k]
            s, rows, whole = summaries[method], summaries["rows"], summaries["whole"]
            lines.append(
                f"| {cell.kind} | {cell.levels} | {cell.holes} | {estimand} | {truth[k]:.3f} | {s.sims}"
                f" | {rows.bias[k]:+.2f} | {100 * whole.coverage[k]:.1f} % | {method} | {s.share[k]:.2f}"
                f" | {s.bias[k]:+.2f} | {shift:+.2f} | {s.error[k]:.2f} | {100 * s.coverage[k]:.1f} % |"
            )
    return "\n".join(lines)


DIFFERENCES = (
    "| world | t | levels | holes | data sets | estimand | methods | difference in SE | its SD"
    " | SD by imputation noise |\n|" + "---|" * 10
)


def differences(result: Result) -> str:
    """What other methods than MODEL make of the same data."""
    cell = result.cell
    return "\n".join(
        f"| {cell.world} | {cell.kind} | {cell.levels} | {cell.holes} | {len(result.found['MODEL'])} | {estimand}"
        f" | MODEL - {other} | {mean:+.3f} | {sd:.3f} | {noise:.3f} |"
        for other in result.methods()
        if other != "MODEL"
        for estimand, mean, sd, noise in zip(
            cell.estimands(), *result.difference("MODEL", other), strict=True
        )
    )


DIGEST = (
    "| world | t | levels | holes | data sets | bias of complete rows | coverage without holes | method | bias"
    " | shift | mean SE / SD | coverage |\n|" + "---|" * 12
)


def digest(result: Result) -> str:
    """One row for each method: the lowest and the highest of all estimands."""
    cell, summaries = result.cell, result.summaries()

    def span(values: Vector, form: str = "+.2f") -> str:
        low, high = format(values.min(), form), format(values.max(), form)
        return low if low == high else f"{low} ... {high}"

    rows, whole = summaries["rows"], summaries["whole"]
    return "\n".join(
        f"| {cell.world} | {cell.kind} | {cell.levels} | {cell.holes} | {s.sims} | {span(rows.bias)}"
        f" | {span(100 * whole.coverage, '.1f')} | {method} | {span(s.bias)} | {span(result.shift(method))}"
        f" | {span(s.error, '.2f')} | {span(100 * s.coverage, '.1f')} |"
        for method, s in summaries.items()
        if method in METHODS
    )


def main() -> None:
    """The command line: all cells that are not excluded, a table each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sims", type=int, default=500, help="data sets of each cell")
    parser.add_argument("--first", type=int, default=0, help="number of the first data set")
    parser.add_argument("--type", choices=TYPES, action="append", help="of t; may be repeated (default: all)")
    parser.add_argument("--levels", type=int, choices=(1, 2), action="append")
    parser.add_argument("--world", choices=WORLDS, action="append")
    parser.add_argument("--holes", choices=HOLES, action="append")
    parser.add_argument("--exact", action="store_true", help="imputations from exact posteriors as well")
    given = parser.parse_args()
    print(HEADING, flush=True)
    digests, compared = [DIGEST], []
    for world, levels, holes, kind in itertools.product(
        given.world or WORLDS, given.levels or (1, 2), given.holes or HOLES, given.type or TYPES
    ):
        result = study(Cell(kind, levels, world, holes), given.sims, given.first, given.exact)
        print(table(result), flush=True)
        digests.append(digest(result))
        if len(result.methods()) > 1:
            compared.append(differences(result))
    print("", *digests, sep="\n")
    if compared:
        print("", DIFFERENCES, *compared, sep="\n")


if __name__ == "__main__":
    main()

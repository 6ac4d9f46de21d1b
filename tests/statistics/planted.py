"""Small models that have every sampling step, and mistakes to plant in each step.

A mistake changes tables of a plan or numbers of its store: degrees of freedom, a Jacobian, a sign, a term of the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from toys import Columns, generator, holed, model_of, two_level

from mlbayes.calibrate.coherent import coherent_variant
from mlbayes.calibrate.priors import with_proper_priors
from mlbayes.model.model import Model
from mlbayes.plan import plan as p

Mutated = tuple[p.Plan, np.ndarray]
TWO = "DATA: t; MISSING: NA; CLUSTERID: g; "
ONE = "DATA: t; MISSING: NA; "


# ------------------------------------------------------------------ models
def rows(seed: int, n: int = 60) -> Columns:
    """Rows without clusters: x z, y with missing values, three ordinal indicators, nominal k with missing codes."""
    rng = generator(seed)
    x, z, f = rng.normal(size=(3, n))
    items = {f"i{j}": np.searchsorted([-0.6, 0.6], f + 0.6 * rng.normal(size=n)) + 1.0 for j in (1, 2, 3)}
    k = np.stack([0.0 * x, 0.4 * x, 0.4 * z]) + rng.gumbel(size=(3, n))
    columns = {"x": x, "z": z, "y": 1.0 + 0.5 * x + rng.normal(size=n), "k": k.argmax(axis=0) + 1.0, **items}
    for name in ("y", "k"):
        columns[name] = np.where(rng.random(n) < 0.15, np.nan, columns[name])
    return columns


def counts() -> Columns:
    """Counts u in clusters, some of them missing, with an outcome v that they predict."""
    rng = generator(95)
    g = np.repeat(np.arange(14), 5)
    x = rng.normal(size=g.size)
    u = rng.poisson(np.exp(0.2 + 0.3 * x + 0.4 * rng.normal(size=14)[g])).astype(float)
    u[rng.random(g.size) < 0.15] = np.nan
    v = rng.normal(size=g.size)
    return {"g": g.astype(float), "x": x, "u": u, "v": v, "o": np.searchsorted([-0.5, 0.7], x + v) + 1.0}


def occasions() -> Columns:
    rng = generator(96)
    y = rng.normal(size=60)
    y[rng.random(60) < 0.15] = np.nan
    return {"g": np.repeat(np.arange(10.0), 6), "t": np.tile(np.arange(6.0), 10), "y": y}


MIXED = holed(two_level, ("y", "x"), clusters=14)
MODELS: dict[str, tuple[str, Columns]] = {
    "mixed": (TWO + "FIXED: z w; MODEL: y ~ x z w | x;", MIXED),
    "powers": (ONE + "MODEL: y ~ x; z ~ y y^2@d; PARAMETERS: d ~ normal(0, .05);", rows(91)),
    "covariances": (
        TWO + "LATENT: g = level slope; FIXED: w z; MODEL: level ~ 1; slope ~ 1 w; level ~~ slope; "
        "y ~ 1@level z@slope;",
        MIXED,
    ),
    "two levels of factors": (  # two blocks draw the same random effects
        TWO + "LATENT: f; g = h; MODEL: f -> x z m; h -> x z m;",
        holed(two_level, ("x",), clusters=14),
    ),
    "separate": (ONE + "FIXED: x z; OPTIONS: use_phantom; MODEL: y ~ x; i1 ~ z; y ~~ i1;", rows(92)),
    "items": (
        ONE + "ORDINAL: i1:i3; LATENT: f; MODEL: f -> i1@1 i2@l2 i3@l3;"
        " PARAMETERS: l2 ~ normal(.8, .04); l3 ~ normal(.8, .04);",
        rows(93),
    ),
    "curve": (
        ONE + "FIXED: x z; MODEL: y ~ exp(r*x)@a; PARAMETERS: r ~ normal(.3, .04); a ~ normal(1, .1);",
        rows(94, 12),
    ),
    "transformed": (ONE + "FIXED: x; MODEL: yjt(y) ~ x;", rows(94)),
    "ordinal": (TWO + "OPTIONS: prior1; ORDINAL: o; FIXED: x; MODEL: o ~ x;", counts()),
    "counts": (
        TWO + "OPTIONS: prior1; COUNT: u; FIXED: x; MODEL: u ~ x; v ~ u@b; PARAMETERS: b ~ normal(0, .04);",
        counts(),
    ),
    "nominal": (ONE + "NOMINAL: k; FIXED: x z; MODEL: y ~ k x;", rows(97, 80)),
    "logits": (ONE + "NOMINAL: k; FIXED: x z; MODEL: k ~ x z;", rows(98, 80)),
    "variances": (
        TWO + "OPTIONS: prior1; FIXED: x w; MODEL: v ~ x; var(v) ~ x | 1;",
        counts() | {"w": counts()["x"]},
    ),
    "correlated variances": (
        ONE + "FIXED: x z; MODEL: y ~ x; i1 ~ z; y ~~ i1; var(y) ~ x@d; PARAMETERS: d ~ normal(0, .1);",
        rows(99),
    ),
    "cluster variances": (TWO + "FIXED: x; OPTIONS: hev; MODEL: v ~ x;", counts()),
    "series": (
        TWO + "TIMEID: t; LATENT: g = mu; MODEL: lagged = y.lag - mu; y ~ 1@mu lagged@a; mu ~ 1@c;",
        occasions(),
    ),
    "centred": (
        TWO + "FIXED: x; ORDINAL: o; CENTER: groupmean = o; MODEL: v ~ o x@b; PARAMETERS: b ~ normal(0, .1);",
        counts(),
    ),
    "selection": (
        ONE + "FIXED: x z; MODEL: y ~ x; y.missing ~ y@s z; PARAMETERS: s ~ normal(0, .5);",
        rows(100, 80),
    ),
}


def model(name: str) -> Model:
    """A model with proper priors."""
    text, columns = MODELS[name]
    return with_proper_priors(coherent_variant(model_of(text, columns)).model)[0]


# ------------------------------------------------------------------ mistakes
@dataclass(frozen=True)
class Mistake:
    """What is wrong, in which model and steps (part of their names), and how it is planted.

    `seldom`: the step accepts few proposals, so that more replicates are needed.
    """

    what: str
    model: str
    step: str
    plant: Callable[[p.Plan, np.ndarray], Mutated]
    seldom: bool = False


def column(table: str, field: int, change: Callable[[np.ndarray], np.ndarray], rows: object = slice(None)):
    """A change of one field of a table."""

    def plant(plan: p.Plan, store: np.ndarray) -> Mutated:
        changed = getattr(plan, table).copy()
        changed[rows, field] = change(changed[rows, field])
        return plan._replace(**{table: changed}), store

    return plant


def numbers(table: str, field: int, change: Callable[[np.ndarray], np.ndarray], length: int, skip: int = 0):
    """A change of numbers in the store that a field of each row of a table points to."""

    def plant(plan: p.Plan, store: np.ndarray) -> Mutated:
        store = store.copy()
        for row in getattr(plan, table):
            at = int(row[field]) + skip
            if at >= skip:
                store[at : at + length] = change(store[at : at + length])
        return plan, store

    return plant


def redirected(table: str, field: int, values: tuple[float, ...], rows: object = slice(None)):
    """New numbers at the end of the store that a field points to instead."""

    def plant(plan: p.Plan, store: np.ndarray) -> Mutated:
        changed = getattr(plan, table).copy()
        changed[rows, field] = store.size
        return plan._replace(**{table: changed}), np.concatenate([store, np.array(values)])

    return plant


def flat_coefficients(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Priors of coefficients are left out of joint draws."""
    store = store.copy()
    for row in plan.blocks:
        n = row[p.BLOCK_UNKNOWNS]
        store[row[p.BLOCK_PRIOR] : row[p.BLOCK_PRIOR] + n] = 0.0
    return plan, store


def newton_priors(skip: int, change: Callable[[np.ndarray], np.ndarray]):
    """A change of what follows the priors of coefficients of a Newton step; skip -1: of these precisions."""

    def plant(plan: p.Plan, store: np.ndarray) -> Mutated:
        store = store.copy()
        for row in plan.newtons:
            size, at = row[p.NEWTON_SIZE], row[p.NEWTON_PRIOR]
            place = (
                slice(at, at + size) if skip < 0 else slice(at + 2 * size + skip, at + 2 * size + skip + 1)
            )
            store[place] = change(store[place])
        return plan, store

    return plant


def selection_variance(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Another shape of the prior of the residual variance in the step of a selection model."""
    store = store.copy()
    for row in plan.selections:
        store[row[p.SELECTION_PRIOR] + 2 * row[p.SELECTION_SIZE]] += 4.0
    return plan, store


def newton_factors(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Eight degrees of freedom too many of the matrices that Newton steps move."""
    store = store.copy()
    for row in plan.newtons:
        groups = row[p.NEWTON_GROUPS]
        for k in range(plan.index[groups]):
            store[plan.index[groups + 3 + 3 * k]] += 8.0
    return plan, store


def reversed_map(plan: p.Plan, store: np.ndarray) -> Mutated:
    """The sign of what the first unknown of the lowest tier of each block adds to its columns."""
    maps, scales = plan.maps.copy(), []
    for block in plan.blocks:
        if block[p.BLOCK_LAST] > block[p.BLOCK_FIRST]:
            row = plan.tiers[block[p.BLOCK_FIRST]]
            k = row[p.TIER_MAPS]
            scales.append(-store[maps[k, p.MAP_SCALE]])
            maps[k, p.MAP_SCALE] = store.size + len(scales) - 1
    return plan._replace(maps=maps), np.concatenate([store, np.array(scales)])


def other_precision(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Cross products of the lowest tier count with the precision 1."""
    mixes = plan.mixes.copy()
    for block in plan.blocks:
        row = plan.tiers[block[p.BLOCK_FIRST]]
        mixes[row[p.TIER_MIXES] : row[p.TIER_MIXES_END], p.MIX_PRECISION] = store.size
    return plan._replace(mixes=mixes), np.concatenate([store, [0.3]])


def shifted_cuts(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Responses have their first threshold at 0.7."""
    responses, more = plan.responses.copy(), []
    for row in responses:
        cuts = store[row[p.RESPONSE_CUTS] :][: row[p.RESPONSE_CATEGORIES] - 1].copy()
        cuts[0] += 0.7
        row[p.RESPONSE_CUTS] = store.size + len(more)
        more += np.maximum.accumulate(cuts).tolist()
    return plan._replace(responses=responses), np.concatenate([store, more])


def no_slope(plan: p.Plan, store: np.ndarray) -> Mutated:
    """The log variance is taken as constant in the proposals' targets: the Jacobian of the scaled residual is lost."""
    modulated, size = plan.modulated.copy(), 400
    modulated[:, p.MODULATED_SLOPE] = store.size
    return plan._replace(modulated=modulated), np.concatenate([store, np.zeros(size)])


def fewer_squares(plan: p.Plan, store: np.ndarray) -> Mutated:
    """Each cluster has three residuals fewer than were summed."""
    store = store.copy()
    for row in plan.cluster_variances:
        at = row[p.CLUSTER_COUNTS]
        store[at : at + row[p.CLUSTER_UNITS]] -= 3.0
    return plan, store


MISTAKES = [
    Mistake("priors of coefficients missing", "mixed", "equation of y: joint Gaussian draw", flat_coefficients),
    Mistake("sign of an unknown", "mixed", "predictor model of x: joint Gaussian draw", reversed_map),
    Mistake("precision of missing values", "mixed", "predictor model of x: joint Gaussian draw", other_precision),
    Mistake(
        "degrees of freedom", "mixed", "equation of y: residual variance",
        column("variances", p.VARIANCE_COUNT, lambda n: n - 12),
    ),
    Mistake(
        "scale of the prior missing", "mixed", "equation of y: residual variance",
        numbers("variances", p.VARIANCE_PRIOR, lambda b: 0.0 * b, 1, 1),
    ),
    Mistake(
        "degrees of freedom", "mixed", "conjugate draw", numbers("groups", p.GROUP_DF, lambda d: d + 4.0, 1)
    ),
    Mistake(
        "degrees of freedom", "mixed", "equation of y: interweaving",
        numbers("groups", p.GROUP_DF, lambda d: d + 8.0, 1),
    ),
    Mistake(
        "Jacobian of a log variance", "mixed", "equation of y: collapsed step",
        numbers("variances", p.VARIANCE_PRIOR, lambda a: a + 6.0, 1),
    ),
    Mistake(
        "priors of matrices", "mixed", "equation of y: collapsed step",
        numbers("groups", p.GROUP_DF, lambda d: d + 4.0, 1),
    ),
    Mistake(
        "an equation left out", "powers", "missing values one by one",
        column("cells", p.CELL_FIRST, lambda first: first + 1),
    ),
    Mistake(
        "degrees of freedom", "covariances", "residual covariance matrix",
        numbers("covariances", p.COVARIANCE_DF, lambda d: d + 5.0, 1),
    ),
    Mistake(
        "units counted", "separate", "standard deviations and correlations",
        column("covariances", p.COVARIANCE_COUNT, lambda n: n - 15),
    ),
    Mistake(
        "prior of the variance", "items", "scale of a latent variable",
        numbers("scales", p.SCALE_PRIOR, lambda a: a + 4.0, 1),
    ),
    Mistake(
        "prior missing", "curve", "parameter by slice sampling",
        numbers("parameters", p.PARAMETER_PRIOR, lambda precision: 0.0 * precision, 1),
    ),
    Mistake(
        "Jacobian of the transformation", "transformed", "parameter by slice sampling",
        redirected("parameters", p.PARAMETER_TILT, (0.0,)),
    ),
    Mistake(
        "Jacobian of log distances", "ordinal", "responses integrated out",
        newton_priors(1, lambda shape: shape + 4.0),
    ),
    Mistake(
        "rate of the prior of distances missing", "ordinal", "responses integrated out",
        newton_priors(2, lambda rate: 0.0 * rate),
    ),
    Mistake("degrees of freedom", "ordinal", "responses integrated out", newton_factors),
    Mistake("thresholds", "ordinal", "responses and missing categories", shifted_cuts),
    Mistake(
        "prior of the dispersion", "counts", "equation of u: coefficients, responses integrated out",
        newton_priors(0, lambda variance: 0.05 * variance),
    ),
    Mistake(
        "dispersion of responses", "counts", "equation of u: responses and missing categories",
        redirected("responses", p.RESPONSE_CUTS, (0.1,)),
    ),
    Mistake(
        "the equation of v left out", "counts", "missing values one by one",
        column("cells", p.CELL_LAST, lambda last: last - 1),
    ),
    Mistake(
        "evidence of y left out", "nominal", "categories and responses",
        column("nominals", p.NOMINAL_EVIDENCE, lambda place: -1),
    ),
    Mistake(
        "logits of other categories left out", "logits", "responses and missing categories",
        column("responses", p.RESPONSE_SHIFT, lambda place: -1),
    ),
    Mistake("Jacobian of scaled residuals", "variances", "unknowns of a log variance", no_slope),
    Mistake("degrees of freedom", "variances", "coefficients of the log variance", newton_factors),
    Mistake("degrees of freedom", "cluster variances", "variances of clusters", fewer_squares),
    Mistake(
        "prior of the index missing", "cluster variances", "variances of clusters",
        numbers("cluster_variances", p.CLUSTER_POPULATION, lambda precision: 0.0 * precision, 1, 6),
    ),
    Mistake(
        "precision of first values", "series", "series of y: series",
        numbers("series", p.SERIES_PRIOR, lambda precision: 30.0 * precision, 70),
    ),
    Mistake(
        "an equation twice", "series", "series of y: series",
        column("series_equations", p.SERIES_EQUATION_SAME, lambda same: 0 * same),
    ),
    Mistake("prior of the variance", "selection", "values missing not at random", selection_variance),
]  # fmt: skip

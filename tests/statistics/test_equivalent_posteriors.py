"""What must leave the posterior alone: order of rows, equations and predictors, signs, origins and scales of variables.

Each model is run twice, the second time with changed data or text; draws of the second run are put back on the scale of
the first.  Every quantity is compared by how often it lies below a common point (rate ALPHA of tests/rates.py each),
which holds for skewed quantities as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import naive
import numpy as np
import pytest
from rates import critical
from toys import Columns, generator, model_of, three_level, two_level

from mlbayes.engine.chains import Chain
from mlbayes.plan.choose import make_plan

HEAD = "DATA: t; MISSING: NA; CLUSTERID: g; OPTIONS: prior1; "
DRAWS = 8000
Found = dict[str, np.ndarray]


def run(text: str, table: Columns, number: int) -> Found:
    """Draws by "equation: term", "equation: variance" and "equation: S level i j" of a chain of its own."""
    model = model_of(text, table)
    settings = replace(model.settings, seed=31, burn=500, iterations=DRAWS, chains=1)
    planned = make_plan(replace(model, settings=settings))
    chain = Chain(planned, number, np.zeros(1, np.int64))
    chain.run()
    records, found = chain.records[500:], {}
    for r, place in zip(planned.regressions.outcomes, planned.layout.equations, strict=True):
        title = r.equation.title if r.planned.category is None else f"{r.equation.title}.{r.planned.category}"
        for t, term in enumerate(r.equation.terms):
            found[f"{title}: {term.label}"] = records[:, place.coefficients + t]
        found[f"{title}: variance"] = records[:, place.variance]
        for group, at in zip(r.equation.random, place.covariances, strict=True):
            n = len(group.terms)
            matrix = records[:, at : at + n * n].reshape(-1, n, n)[:, ::-1, ::-1]
            for i in range(n):
                for j in range(i + 1):
                    found[f"{title}: S{group.level} {group.labels[i]} {group.labels[j]}"] = matrix[:, i, j]
        for k in range(place.cut_count):
            found[f"{title}: tau {k}"] = records[:, place.cuts + k]
    return {name: draws for name, draws in found.items() if draws.std() > 0.0}


def z_scores(a: Found, b: Found) -> dict[str, float]:
    """Differences in units of their Monte Carlo error."""
    assert set(a) == set(b)
    scores = {}
    for name in a:
        point = np.median(np.concatenate([a[name], b[name]]))
        below = lambda x, c=point: (x < c).astype(float)  # noqa: E731
        scores[name] = naive.difference_in_errors(a[name], b[name], below)
    return scores


def clustered() -> Columns:
    """Sixty clusters of 3 to 7: y, x, z, w (of clusters), binary b, nominal n, count c and ordinal o."""
    whole = two_level(8, clusters=60)
    rng = generator(9)
    g = whole["g"].astype(int)
    n = g.size
    whole["c"] = rng.poisson(np.exp(0.3 * whole["x"] + 0.2)).astype(float)
    whole["n"] = 1.0 + np.argmax(np.outer([0.0, 0.8, -0.5], whole["x"]) + rng.gumbel(size=(3, n)), axis=0)
    whole["o"] = np.digitize(0.5 * whole["x"] + rng.normal(size=n), (-0.8, 0.7)).astype(float)
    return whole


def with_holes() -> Columns:
    columns, rng = clustered(), generator(10)
    for name in ("y", "x", "o", "n"):
        columns[name] = np.where(rng.random(len(columns["y"])) < 0.15, np.nan, columns[name])
    w = np.where(rng.random(60) < 0.15, np.nan, 1.0)
    columns["w"] = columns["w"] * w[columns["g"].astype(int)]
    return columns


def nested() -> Columns:
    return three_level(8, schools=30)


def shuffled(table: Columns) -> Columns:
    order = generator(4).permutation(len(table["y"]))
    return {name: values[order] for name, values in table.items()}


# ------------------------------------------------------------------ order
ORDERED = {
    "incomplete predictors": ("MODEL: y ~ x w | x;", with_holes),
    "latent cluster means": ("CENTER: groupmean = x; MODEL: y ~ x x.mean w;", with_holes),
    "ordered probit": ("ORDINAL: o; MODEL: o ~ x w;", with_holes),
    "logit": ("ORDINAL: b; MODEL: logit(b) ~ x w | x;", clustered),
    "nominal": ("NOMINAL: n; MODEL: n ~ x w;", with_holes),
    "count": ("COUNT: c; MODEL: c ~ x w;", clustered),
    "nominal predictor": ("NOMINAL: n; MODEL: y ~ n w;", with_holes),
    "log variance": ("MODEL: y ~ x; var(y) ~ x;", with_holes),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERED)
def test_order_of_rows(name):
    text, make = ORDERED[name]
    scores = z_scores(run(HEAD + text, make(), 0), run(HEAD + text, shuffled(make()), 1))
    assert max(map(abs, scores.values())) < critical(60), scores


@pytest.mark.slow
def test_order_of_rows_three_levels():
    text = HEAD.replace("CLUSTERID: g", "CLUSTERID: g k") + "MODEL: y ~ x w s | x;"
    scores = z_scores(run(text, nested(), 0), run(text, shuffled(nested()), 1))
    assert max(map(abs, scores.values())) < critical(60), scores


@pytest.mark.slow
def test_order_of_columns():
    """Predictors are imputed in the order of the file, which draws show and the posterior does not."""
    text = HEAD + "MODEL: y ~ x z m w;"
    scores = z_scores(run(text, with_holes(), 0), run(text, dict(reversed(with_holes().items())), 1))
    assert max(map(abs, scores.values())) < critical(60), scores


REWRITTEN = {
    "order of predictors": ("FIXED: x z w; MODEL: y ~ x z w | x;", "FIXED: w z x; MODEL: y ~ w z x | x;"),
    "order of equations": ("FIXED: z; MODEL: y ~ m x; m ~ x; x ~ z;", "FIXED: z; MODEL: x ~ z; m ~ x; y ~ m x;"),
    "two outcomes that covary": ("FIXED: x; MODEL: y ~ x; m ~ x; y ~~ m;", "FIXED: x; MODEL: m ~ x; y ~ x; m ~~ y;"),
    "weights of one": ("FIXED: x; MODEL: y ~ x;", "FIXED: x; WEIGHT: one; MODEL: y ~ x;"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REWRITTEN)
def test_ways_to_write_a_model(name):
    one, two = REWRITTEN[name]
    table = {**clustered(), "one": np.ones(len(clustered()["y"]))}
    scores = z_scores(run(HEAD + one, table, 0), run(HEAD + two, table, 1))
    assert max(map(abs, scores.values())) < critical(60), scores


# ------------------------------------------------------------------ signs, origins and scales
def affine(found: Found) -> Found:
    """From y' = 3 y - 7 and x' = x / 2 - 2 back to y and x, in `y ~ x z | x`."""
    b0, b1, b2 = (found[f"y: {name}"] for name in ("Intercept", "x", "z"))
    back = np.linalg.inv(np.array([[3.0, 12.0], [0.0, 6.0]]))  # random effects (intercept, slope)
    names = ("Intercept", "x")
    cross = found.get("y: S2 x Intercept", found.get("y: S2 Intercept x"))
    s = np.empty((cross.size, 2, 2))
    s[:, 0, 0], s[:, 1, 1] = (found[f"y: S2 {name} {name}"] for name in names)
    s[:, 0, 1] = s[:, 1, 0] = cross
    s = back @ s @ back.T
    key = next(name for name in ("y: S2 x Intercept", "y: S2 Intercept x") if name in found)
    return {
        "y: Intercept": (b0 + 7.0) / 3.0 - 4.0 * b1 / 6.0,
        "y: x": b1 / 6.0,
        "y: z": b2 / 3.0,
        "y: variance": found["y: variance"] / 9.0,
        "y: S2 Intercept Intercept": s[:, 0, 0],
        key: s[:, 0, 1],
        "y: S2 x x": s[:, 1, 1],
    }


@pytest.mark.slow
def test_origin_and_scale_of_outcome_and_predictor():
    """With flat priors everything follows the scale; the prior of the matrix is flat as well."""
    text = HEAD.replace("OPTIONS: prior1; ", "") + "FIXED: x z; MODEL: y ~ x z | x;"
    table = clustered()
    moved = {**table, "y": 3.0 * table["y"] - 7.0, "x": 0.5 * table["x"] - 2.0}
    scores = z_scores(run(text, table, 0), affine(run(text, moved, 1)))
    assert max(map(abs, scores.values())) < critical(60), scores


def negated(*names: str) -> Callable[[Found], Found]:
    """Quantities with another sign."""
    return lambda found: {name: -draws if name in names else draws for name, draws in found.items()}


def shifted(name: str, by: float, slope: str = "", times: float = 0.0) -> Callable[[Found], Found]:
    """A quantity plus a number and a multiple of another."""

    def back(found: Found) -> Found:
        more = times * found[slope] if slope else 0.0
        return {**found, name: found[name] + by + more}

    return back


MOVED = {
    "origin of an incomplete predictor": (
        "MODEL: y ~ x w;",
        with_holes,
        lambda t: {**t, "x": t["x"] + 10.0, "y": t["y"] - 100.0},
        shifted("y: Intercept", 100.0, "y: x", 10.0),
    ),
    "sign of an incomplete predictor": (
        "MODEL: y ~ x w;",
        with_holes,
        lambda t: {**t, "x": -t["x"]},
        negated("y: x"),
    ),
    "sign of the outcome": (
        "MODEL: y ~ x w;",
        with_holes,
        lambda t: {**t, "y": -t["y"]},
        negated("y: Intercept", "y: x", "y: w"),
    ),
    "binary outcome turned around, probit": (
        "ORDINAL: b; FIXED: x w; MODEL: b ~ x w;",
        clustered,
        lambda t: {**t, "b": 1.0 - t["b"]},
        negated("b: Intercept", "b: x", "b: w"),
    ),
    "binary outcome turned around, logit": (
        "ORDINAL: b; FIXED: x w; MODEL: logit(b) ~ x w;",
        clustered,
        lambda t: {**t, "b": 1.0 - t["b"]},
        negated("logit(b): Intercept", "logit(b): x", "logit(b): w"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_signs_and_origins(name):
    text, make, change, back = MOVED[name]
    scores = z_scores(run(HEAD + text, make(), 0), back(run(HEAD + text, change(make()), 1)))
    assert max(map(abs, scores.values())) < critical(60), scores


@pytest.mark.slow
def test_another_posterior_is_seen():
    """Outcomes that are a tenth of a standard deviation larger in one row of three."""
    table = clustered()
    other = {**table, "y": table["y"] + 0.3 * (np.arange(len(table["y"])) % 3 == 0)}
    text = HEAD + "FIXED: x z; MODEL: y ~ x z | x;"
    scores = z_scores(run(text, table, 0), run(text, other, 1))
    assert max(map(abs, scores.values())) > critical(60), scores

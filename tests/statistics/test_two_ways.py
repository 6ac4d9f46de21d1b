"""The same model written in two ways: the same posterior, or the same plan and the same draws to the last byte."""

from __future__ import annotations

from dataclasses import replace

import naive
import numpy as np
import pytest
from latent_models import Fit, data_of, fit
from rates import critical
from toys import Columns, generator, model_of, two_level

from mlbayes.engine.chains import Chain
from mlbayes.plan.choose import PlannedModel, make_plan

HEAD = "CLUSTERID: g; FIXED: x w; OPTIONS: prior1; "


def clustered(clusters: int = 60, size: int = 8) -> Columns:
    """y with random intercept and slope of x, both with a regression on w."""
    rng = generator(41)
    g = np.repeat(np.arange(clusters), size)
    w = rng.normal(size=clusters)
    u = np.linalg.cholesky([[0.6, 0.2], [0.2, 0.4]]) @ rng.normal(size=(2, clusters))
    x = rng.normal(size=g.size)
    a, b = 1.0 + 0.5 * w + u[0], 0.4 - 0.3 * w + u[1]
    return {"g": g.astype(float), "w": w[g], "x": x, "y": a[g] + b[g] * x + rng.normal(size=g.size)}


def partly_nested() -> Columns:
    """The outcome varies between clusters in the treated group only."""
    rng = generator(42)
    g = np.repeat(np.arange(50), 6)
    d = (g < 25).astype(float)
    u = 0.8 * rng.normal(size=50)
    return {"g": g.astype(float), "d": d, "y": 1.0 + 0.5 * d + d * u[g] + rng.normal(size=g.size)}


def quantities(found: Fit, wanted: dict[str, str]) -> dict[str, np.ndarray]:
    """Draws by common names: of parameters, "S i j" of random effects, "cov" of a correlation and two variances."""
    made = {}
    for common, own in wanted.items():
        if own.startswith("S "):
            i, j = (int(k) for k in own.split()[1:])
            values = found.draws.equations[0].random[0].covariance[:, found.draws.burn :, i, j]
        elif own.startswith("cov "):
            r, a, b = (found.parameters[name] for name in own[4:].split("; "))
            values = r * np.sqrt(a * b)
        else:
            values = found.parameters[own]
        made[common] = values
    return made


def assert_same_law(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    """Means and mean squared deviations agree within Monte Carlo error (rate ALPHA each); SDs within 10 %."""
    bound = critical(40)
    for name in a:
        assert abs(naive.difference_in_errors(a[name], b[name])) < bound, name
        centre = b[name].mean()
        spread = naive.difference_in_errors(a[name], b[name], lambda x, c=centre: (x - c) ** 2)
        assert abs(spread) < bound, f"spread of {name}"
        assert 0.9 < a[name].std() / b[name].std() < 1.1, f"standard deviation of {name}"


def both(one: str, two: str, columns: Columns, first: dict[str, str], second: dict[str, str]) -> None:
    a = fit(one, columns, burn=500, draws=8000, seed=3)
    b = fit(two, columns, burn=500, draws=8000, seed=4)
    assert_same_law(quantities(a, first), quantities(b, second))


LATENT = {
    "intercept": "c",
    "x": "s",
    "residual": "v",
    "S 11": "p_j residual",
    "S xx": "q_j residual",
    "S x1": "cov r; p_j residual; q_j residual",
}
BAR = {"intercept": "c", "x": "s", "residual": "v", "S 11": "S 0 0", "S xx": "S 1 1", "S x1": "S 0 1"}


def test_random_slopes_are_latent_coefficients():
    both(
        HEAD + "MODEL: y ~ 1@c x@s | x; y@v;",
        HEAD + "LATENT: g = p_j q_j; MODEL: p_j ~ 1@c; q_j ~ 1@s; p_j ~~ q_j@r; y ~ 1@p_j x@q_j; y@v;",
        clustered(),
        BAR,
        LATENT,
    )


def test_cross_level_products_are_equations_of_slopes():
    both(
        HEAD + "MODEL: y ~ 1@c x@s w@cw x*w@sw | x; y@v;",
        HEAD
        + "LATENT: g = p_j q_j; MODEL: p_j ~ 1@c w@cw; q_j ~ 1@s w@sw; p_j ~~ q_j@r; y ~ 1@p_j x@q_j; y@v;",
        clustered(),
        BAR | {"w": "cw", "x*w": "sw"},
        LATENT | {"w": "cw", "x*w": "sw"},
    )


def test_random_effects_of_a_group_are_a_latent_variable():
    head = "CLUSTERID: g; FIXED: d; "
    both(
        head + "MODEL: y ~ 1@c d@s | 1@0 d; y@v;",
        head + "LATENT: g = b_j; MODEL: b_j ~ 1@0; y ~ 1@c d@s d@b_j | 1@0; y@v;",
        partly_nested(),
        {"intercept": "c", "d": "s", "residual": "v", "S": "S 0 0"},
        {"intercept": "c", "d": "s", "residual": "v", "S": "b_j residual"},
    )


# ------------------------------------------------------------------ to the last byte
def assert_identical(one: str, two: str, columns: Columns) -> None:
    """Same printed plan, same tables, same first state, same draws."""
    plans: list[PlannedModel] = []
    records = []
    for text in (one, two):
        model = model_of("DATA: t; MISSING: NA; " + text, columns)
        model = replace(model, settings=replace(model.settings, seed=7, burn=30, iterations=60, chains=2))
        plans.append(make_plan(model))
        chain = Chain(plans[-1], 1, np.zeros(1, np.int64))
        chain.run()
        records.append(chain.records)
    a, b = plans
    assert a.describe() == b.describe()
    for name, left, right in zip(a.plan._fields, a.plan, b.plan, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)
    assert a.store.tobytes() == b.store.tobytes()
    assert len(records[0]) > 0 and records[0].tobytes() == records[1].tobytes()


LOOPS = {
    "autoregression": (
        "panel",
        "MODEL: { t in 2:4 }: y[t] ~ 1@m[t] y[t-1]@a;",
        "MODEL: y2 ~ 1@m2 y1@a; y3 ~ 1@m3 y2@a; y4 ~ 1@m4 y3@a;",
    ),
    "growth": (
        "growth",
        "LATENT: i s; MODEL: i ~ 1; s ~ 1; i ~~ s; { t in 1:4 }: y[t] ~ 1@0 i@1 s@[t-1]; { t in 1:4 }: y[t]@v;",
        """LATENT: i s; MODEL: i ~ 1; s ~ 1; i ~~ s;
        y1 ~ 1@0 i@1 s@0; y2 ~ 1@0 i@1 s@1; y3 ~ 1@0 i@1 s@2; y4 ~ 1@0 i@1 s@3;
        y1@v; y2@v; y3@v; y4@v;""",
    ),
    "two iterators and definitions": (
        "panel",
        """LATENT: fx fy;
        MODEL: { v in x y, t in 1:2 }: r[v][t] = [v][t] - (m[v][t] + f[v]);
        fx ~~ fy;
        { v in x y }: [v]1 ~ 1@m[v]1 f[v]@1;
        { v in x y }: [v]2 ~ 1@m[v]2 f[v]@1 rx1 ry1;
        { t in 1:2 }: x[t] ~~ y[t];""",
        """LATENT: fx fy;
        MODEL: rx1 = x1 - (mx1 + fx); rx2 = x2 - (mx2 + fx); ry1 = y1 - (my1 + fy); ry2 = y2 - (my2 + fy);
        fx ~~ fy;
        x1 ~ 1@mx1 fx@1; y1 ~ 1@my1 fy@1;
        x2 ~ 1@mx2 fx@1 rx1 ry1; y2 ~ 1@my2 fy@1 rx1 ry1;
        x1 ~~ y1; x2 ~~ y2;""",
    ),
    "indicators": (
        "factors",
        "LATENT: f h; MODEL: f -> x1; h -> z1; { k in 2:3 }: x[k] ~ f@l[k]; { k in 2:3 }: z[k] ~ h@k[k]; f ~~ h;",
        "LATENT: f h; MODEL: f -> x1; h -> z1; x2 ~ f@l2; x3 ~ f@l3; z2 ~ h@k2; z3 ~ h@k3; f ~~ h;",
    ),
    "constraints among parameters": (
        "panel",
        "MODEL: { t in 2:3 }: y[t] ~ 1 y[t-1]@a[t]; PARAMETERS: { t in 2:3 }: s[t] = a[t]^2;",
        "MODEL: y2 ~ 1 y1@a2; y3 ~ 1 y2@a3; PARAMETERS: s2 = a2^2; s3 = a3^2;",
    ),
}

SPLITS = {
    "range of indicators": ("factors", "LATENT: f; MODEL: f -> x1:x3;", "LATENT: f; MODEL: f -> x1 x2 x3;"),
    "arrow for each indicator": (
        "factors",
        "LATENT: f; MODEL: f -> x1 x2@a x3@b;",
        "LATENT: f; MODEL: f -> x1; f -> x2@a; f -> x3@b;",
    ),
    "arrow against regressions": (
        "factors",
        "LATENT: f; MODEL: f -> x1 x2 x3;",
        "LATENT: f; MODEL: x1 ~ f@1; x2 ~ f; x3 ~ f;",
    ),
    "two left terms": (
        "factors",
        "LATENT: f h; MODEL: f h -> x1@1 x2 x3; f ~~ h; h -> z1 z2;",
        "LATENT: f h; MODEL: x1 ~ f@1 h@1; x2 ~ f h; x3 ~ f h; f ~~ h; z1 ~ h@1; z2 ~ h;",
    ),
    "terms one by one": (
        "factors",
        "LATENT: f h; MODEL: f -> x1:x3; h -> z1:z3; h ~ f x4;",
        "LATENT: f h; MODEL: f -> x1:x3; h -> z1:z3; h ~ f; h ~ x4;",
    ),
    "covariances before and after": (
        "factors",
        "LATENT: f h; MODEL: f ~ 1@0; h ~ 1@0; f ~~ h; f -> x1:x3; h -> z1:z3;",
        "LATENT: f h; MODEL: f ~ 1@0; h ~ 1@0; f -> x1:x3; h -> z1:z3; f ~~ h;",
    ),
    "pairs of a covariance block": (
        "factors",
        "MODEL: x1 ~ x4; x2 ~ x4; x3 ~ x4; x1 x2 x3 ~~ x1 x2 x3;",
        "MODEL: x1 ~ x4; x2 ~ x4; x3 ~ x4; x1 ~~ x2; x1 ~~ x3; x2 ~~ x3;",
    ),
    "parallel outcomes": (
        "factors",
        "MODEL: { x1 x2 } ~ x3 x4;",
        "MODEL: x1 ~ x3 x4; x2 ~ x3 x4;",
    ),
    "sequential outcomes": (
        "factors",
        "MODEL: x1 x2 x3 ~ x4;",
        "MODEL: x1 ~ x2 x3 x4; x2 ~ x3 x4; x3 ~ x4;",
    ),
    "means by an arrow": (
        "factors",
        "LATENT: f; MODEL: f -> x1:x3; x1 ~ 1@0; 1 -> f;",
        "LATENT: f; MODEL: f -> x1:x3; x1 ~ 1@0; f ~ 1;",
    ),
    "other signs for the same operators": (
        "factors",
        "LATENT: f h; MODEL: f -> x1:x3; h -> z1:z3; f ~~ h; x4 ~ f;",
        "LATENT: f h; MODEL: f =~ x1:x3; h =~ z1:z3; f <-> h; x4 <- f;",
    ),
    "variances in both ways": (
        "factors",
        "LATENT: f; MODEL: f -> x1@a x2 x3; f ~~ f@1; x1 ~~ x1@v; x2 ~~ x2@v;",
        "LATENT: f; MODEL: f -> x1@a x2 x3; f@1; x1@v; x2@v;",
    ),
    "latent coefficients with their product written": (
        "clusters",
        "CLUSTERID: g; LATENT: g = a_j b_j; FIXED: x; MODEL: a_j ~ 1; b_j ~ 1; a_j ~~ b_j; y ~ 1@a_j x@b_j;",
        "CLUSTERID: g; LATENT: g = a_j b_j; FIXED: x; MODEL: 1 -> a_j b_j; a_j ~~ b_j; y ~ 1@a_j x@b_j;",
    ),
    "blocks": (
        "factors",
        "LATENT: f; MODEL: f -> x1:x3; x4 ~ f;",
        "LATENT: f; MODEL: measurement: f -> x1:x3; structure: x4 ~ f;",
    ),
}


def columns_of(kind: str) -> Columns:
    if kind == "growth":
        return data_of("growth with equal residual variances", units=40)
    if kind == "panel":
        return data_of("cross-lagged panel with random intercepts", units=40)
    if kind == "clusters":
        return two_level()
    columns = data_of("two factors", units=40)
    columns["x4"] = generator(43).normal(size=40)
    columns["x2"][:5] = columns["x4"][3:9] = np.nan
    return columns


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_what_they_stand_for(name):
    kind, one, two = LOOPS[name]
    assert_identical(one, two, columns_of(kind))


@pytest.mark.parametrize("name", SPLITS)
def test_statements_split_and_joined(name):
    kind, one, two = SPLITS[name]
    assert_identical(one, two, columns_of(kind))

"""Latent variables in unusual data: runs end, numbers are finite, and what is known exactly is found."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from latent_models import Fit, data_of, fit, indicators
from rates import critical
from toys import Columns, generator, three_level, two_level

from mlbayes.output.report import render_report


def finite(found: Fit) -> Fit:
    """Every draw and every printed figure is a finite number."""
    for name, values in found.parameters.items():
        assert np.isfinite(values).all(), name
    for name, row in found.rows().items():
        figures = np.array([row.estimate, row.sd, row.q025, row.q975, row.neff, row.rhat], dtype=float)
        assert np.isfinite(figures).all(), name
    assert "OUTCOME MODEL ESTIMATES" in render_report(found.document)
    return found


def short(text: str, columns: Columns) -> Fit:
    return finite(fit(text, columns, burn=200, draws=400))


def factors(n: int = 150) -> Columns:
    return data_of("two factors", units=n)


def clusters_without_rows(columns: Columns, missing: tuple[float, ...], names: tuple[str, ...]) -> Columns:
    """Columns that have no values in some clusters."""
    lost = np.isin(columns["g"], missing)
    return {k: np.where(lost, np.nan, v) if k in names else v for k, v in columns.items()}


# ------------------------------------------------------------------ indicators
def test_one_indicator_without_error_is_the_variable_itself():
    """f -> x; x@0.01: the regression of y on f is nearly that on x."""
    rng = generator(71)
    x = rng.normal(size=300)
    columns = {"x": x, "y": 1.0 + 0.5 * x + rng.normal(size=300)}
    found = short("LATENT: f; MODEL: f -> x; x@0.0001; y ~ f@b; f@s;", columns)
    slope, _ = np.polyfit(x, columns["y"], 1)
    b = found.parameters["b"]
    assert abs(b.mean() - slope) < critical() * naive.batch_error(b) + 0.001


def test_one_indicator_with_known_reliability():
    """The slope is that of the observed variable, divided by the reliability."""
    rng = generator(72)
    f = rng.normal(size=1000)
    columns = {"x": f + 0.5 * rng.normal(size=1000), "y": 0.6 * f + 0.8 * rng.normal(size=1000)}
    found = finite(fit("LATENT: f; MODEL: f -> x; x ~~ x@.25; y ~ f@b;", columns, draws=1500))
    b = found.parameters["b"]
    assert b.std() < 0.06
    assert abs(b.mean() - 0.6) < critical() * b.std()


def test_one_indicator_with_the_variance_of_the_factor_fixed():
    short("LATENT: f; MODEL: f@1; x1 ~ f@0.8; z1 ~ f; x1@v; z1 ~ x2;", factors())


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_rows_without_any_indicator(share):
    columns = factors()
    lost = generator(73).random(150) < share
    for name in ("x1", "x2", "x3"):
        columns[name][lost] = np.nan
    short("LATENT: f h; MODEL: f -> x1:x3; h -> z1:z3; f ~~ h;", columns)


def test_an_indicator_that_is_hardly_ever_seen():
    columns = factors()
    columns["x3"][8:] = np.nan
    short("LATENT: f; OPTIONS: prior1; MODEL: f -> x1:x3;", columns)


def test_thirty_indicators():
    rng = generator(74)
    f = rng.normal(size=200)
    columns = indicators(rng, f, "x", (1.0, *rng.uniform(0.5, 1.5, 29)))
    columns["x7"][:20] = np.nan
    found = short("LATENT: f; MODEL: f -> x1:x30; f@s;", columns)
    s = np.log(found.parameters["s"])
    assert abs(s.mean()) < critical() * s.std() and s.std() < 0.3


def test_complete_and_incomplete_data_of_one_row_differ_little():
    """One missing value in 150 rows changes hardly anything (and takes another path through the planner)."""
    columns = factors()
    text = "LATENT: f; MODEL: f -> x1 x2@a x3@b;"
    complete = finite(fit(text, columns, draws=3000))
    columns["x2"][0] = np.nan
    holed = finite(fit(text, columns, draws=3000))
    for name in "ab":
        one, two = complete.parameters[name], holed.parameters[name]
        room = critical() * np.hypot(naive.batch_error(one), naive.batch_error(two)) + 0.3 * one.std()
        assert abs(one.mean() - two.mean()) < room, name


# ------------------------------------------------------------------ clusters
RANDOM = "CLUSTERID: g; LATENT: g = a_j b_j; FIXED: x; MODEL: a_j ~ 1; b_j ~ 1; a_j ~~ b_j; y ~ 1@a_j x@b_j;"


def test_a_cluster_with_one_row():
    columns = two_level(75, clusters=25)
    keep = (columns["g"] > 2) | np.concatenate([[True], np.diff(columns["g"]) > 0])
    single = {name: values[keep] for name, values in columns.items()}
    assert (np.bincount(single["g"].astype(int))[:3] == 1).all()
    short(RANDOM, single)


def test_all_clusters_with_one_row_and_a_proper_prior():
    columns = two_level(76, clusters=60)
    first = np.concatenate([[True], np.diff(columns["g"]) > 0])
    single = {name: values[first] for name, values in columns.items()}
    text = "CLUSTERID: g; LATENT: g = a_j; OPTIONS: prior1; MODEL: a_j ~ 1; y ~ 1@a_j;"
    short(text, single)


def test_clusters_without_outcomes():
    columns = clusters_without_rows(two_level(77, clusters=30), (0.0, 7.0, 29.0), ("y",))
    short(RANDOM, columns)


def test_latent_means_with_measurement_and_clusters_without_data():
    """Within and between factors of three indicators; some clusters have values of none, some of one."""
    rng = generator(78)
    g = np.repeat(np.arange(40), 5)
    between, within = 0.7 * rng.normal(size=40), rng.normal(size=200)
    columns = indicators(rng, within + between[g], "x", (1.0, 0.8, 1.2)) | {"g": g.astype(float)}
    columns["w"] = (between + rng.normal(size=40))[g]
    columns = clusters_without_rows(columns, (3.0, 4.0), ("x1", "x2", "x3"))
    columns = clusters_without_rows(columns, (5.0, 6.0), ("x1", "x3"))
    columns = clusters_without_rows(columns, (6.0, 8.0), ("w",))
    text = """CLUSTERID: g; LATENT: f; g = h_j; OPTIONS: prior1;
    MODEL: x1 ~ f@1 h_j@1; x2 ~ f h_j; x3 ~ f h_j; w ~ h_j;"""
    short(text, columns)


def test_three_levels_with_a_level_3_unit_of_one_row():
    columns = three_level(79, schools=25)
    first = (columns["k"] > 1) | np.concatenate([[True], np.diff(columns["k"]) > 0])
    columns = {name: values[first] for name, values in columns.items()}
    assert (np.bincount(columns["k"].astype(int))[:2] == 1).all()
    columns["y"][columns["k"] == 3] = np.nan
    text = """CLUSTERID: g k; LATENT: g = a_j; k = a_k; OPTIONS: prior1;
    MODEL: a_k ~ 1 s; a_j ~ 1@a_k w; y ~ 1@a_j x;"""
    short(text, columns)


def test_a_latent_variable_with_nothing_below_it():
    """A level-2 latent variable with level-2 indicators only."""
    rng = generator(80)
    g = np.repeat(np.arange(80), 2)
    f = rng.normal(size=80)
    own = indicators(rng, f, "w", (1.0, 0.8, 1.2))
    columns = {name: values[g] for name, values in own.items()} | {"g": g.astype(float)}
    columns["y"] = (0.5 * f)[g] + rng.normal(size=160)
    columns = clusters_without_rows(columns, (0.0, 1.0), ("w1", "w2", "w3"))
    short("CLUSTERID: g; LATENT: g = f_j; OPTIONS: prior1; MODEL: f_j -> w1:w3; y ~ f_j;", columns)

"""Categorical outcomes as a user gets them: saved columns, residual correlations, conditional effects, tests."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from end_to_end import run_in
from rates import ALPHA, critical
from scipy import stats

SCRIPT = """\
DATA: data.csv;
MISSING: NA;
CLUSTERID: c;
ORDINAL: o b m;
NOMINAL: g;
COUNT: n;
MODEL:
  o ~ x@o1 z;
  logit(b) ~ x@b1 m@b2 x*m;
  g ~ x z;
  n ~ x@n1 z;
SIMPLE: x | m;
WALDTEST: o1 = 0; b1 = 0;
PARAMETERS: ratio = exp(b1); rate = exp(n1); difference = o1 - b1;
SEED: 41;
BURN: 300;
ITER: 800;
CHAINS: 2;
NIMPS: 4;
OPTIONS: savelatent saveresidual savepredicted;
SAVE: stacked = stacked.csv; iterations = draws.csv; waldtest = wald.csv;
"""


def data(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Thirty clusters of ten; gaps in every outcome.  m: a complete moderator with codes 1, 2, 4."""
    c = np.repeat(np.arange(30.0), 10)
    x, z = rng.normal(size=(2, 300))
    effect = 0.5 * rng.normal(size=30)[c.astype(int)]
    m = rng.choice([1.0, 2.0, 4.0], 300)
    o = 1.0 + (0.5 * x + effect + rng.normal(size=300) > -0.5) + (0.5 * x + rng.normal(size=300) > 0.8)
    b = (0.4 * x + 0.2 * x * m + effect + rng.logistic(size=300) > 0.0).astype(float)
    g = 1.0 + np.stack([np.zeros(300), 0.6 * x, -0.4 * x]).T.__add__(rng.gumbel(size=(300, 3))).argmax(axis=1)
    n = rng.negative_binomial(3, 3 / (3 + np.exp(0.5 + 0.3 * x + effect))).astype(float)
    for values in (o, b, g, n):
        values[rng.random(300) < 0.08] = np.nan
    return {"c": c, "o": o, "b": b, "g": g, "n": n, "x": x.round(3), "z": z.round(3), "m": m}


@pytest.fixture(scope="module")
def original() -> dict[str, np.ndarray]:
    return data(np.random.default_rng(19))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, original) -> Path:
    """A folder in which the script has run."""
    return run_in(tmp_path_factory.mktemp("categorical"), SCRIPT, original)


@pytest.fixture(scope="module")
def document(folder) -> dict:
    return json.loads((folder / "r.json").read_text())


@pytest.fixture(scope="module")
def saved(folder) -> dict[str, np.ndarray]:
    """Columns of the four data sets, shape (4, 300)."""
    with (folder / "stacked.csv").open() as file:
        names, *rows = csv.reader(file)
    table = np.array(rows, dtype=float).reshape(4, 300, -1)
    return {name: table[:, :, k] for k, name in enumerate(names)}


def test_observed_categories_stay_and_missing_ones_are_codes(saved, original):
    for name in ("o", "b", "g"):
        known = ~np.isnan(original[name])
        assert (saved[name][:, known] == original[name][known]).all()
        assert set(np.unique(saved[name])) == set(original[name][known])
    assert (saved["n"] >= 0.0).all() and (saved["n"] == np.floor(saved["n"])).all()


def test_probabilities(saved):
    """Between 0 and 1, adding up to 1, and those of the linear predictors saved beside them."""
    for name, codes in (("o", "123"), ("g", "123")):
        shares = np.stack([saved[f"{name}.{code}.probability"] for code in codes])
        assert (shares >= 0.0).all() and (shares <= 1.0).all()
        assert np.allclose(shares.sum(axis=0), 1.0, atol=3e-4)
    assert np.allclose(saved["b.probability"], 1.0 / (1.0 + np.exp(-saved["b.predicted"])), atol=1e-4)
    for code in "23":
        odds = saved[f"g.{code}.probability"] / saved["g.1.probability"]
        assert np.allclose(np.log(odds), saved[f"g.{code}.predicted"], atol=0.02)


def test_residuals(saved):
    """A value less its expectation: by codes, by indicators of a nominal outcome, by the mean of a count."""
    expected = sum(code * saved[f"o.{code}.probability"] for code in (1, 2, 3))
    assert np.allclose(saved["o.residual"], saved["o"] - expected, atol=6e-4)
    assert np.allclose(saved["b.residual"], saved["b"] - saved["b.probability"], atol=2e-4)
    for code in (2, 3):
        assert np.allclose(
            saved[f"g.{code}.residual"], (saved["g"] == code) - saved[f"g.{code}.probability"], atol=2e-4
        )
    mean = np.exp(saved["n.predicted"])
    assert np.allclose(saved["n.residual"], saved["n"] - mean, atol=1e-4 * (2.0 + mean.max()))


def test_latent_responses_are_on_the_side_of_their_category(saved):
    for k in range(4):  # thresholds differ between data sets, not within one
        low, middle, high = (saved["o.latent"][k, saved["o"][k] == code] for code in (1.0, 2.0, 3.0))
        assert low.max() <= 1e-4 and middle.min() >= -1e-4
        assert middle.max() <= high.min() + 1e-4


def test_latent_responses_of_imputed_categories_have_the_law_of_the_model(saved, original):
    missing = np.isnan(original["o"])
    residuals = (saved["o.latent"] - saved["o.predicted"])[:, missing].ravel()
    assert abs(residuals.sum()) / math.sqrt(residuals.size) < critical()
    squares = float((residuals**2).sum())
    assert ALPHA / 2 < stats.chi2.cdf(squares, residuals.size) < 1.0 - ALPHA / 2


def test_random_effects_are_the_same_within_clusters(saved, original):
    for name in ("o[c]", "b[c]", "g.2[c]", "g.3[c]", "n[c]"):
        assert (np.ptp(saved[name].reshape(4, 30, 10), axis=2) == 0.0).all()


def test_residual_correlations_are_correlations(document):
    rows = [row for table in document["residual_correlations"] for row in table["rows"]]
    assert len(rows) >= 10  # five linear predictors
    for row in rows:
        assert -1.0 <= row["q025"] <= row["estimate"] <= row["q975"] <= 1.0, row


def table_of(document: dict, name: str, kind: str = "outcome") -> dict[str, dict]:
    tables = document["outcome_tables"] + document["generated_tables"]
    found = [table for table in tables if table["kind"] == kind and name in (table["name"], "")]
    return {
        row["label"]: row
        for table in found
        for row in table["rows"]
        if row["section"] in ("Coefficients", None)
    }


def test_generated_parameters(document):
    generated = {row["label"]: row for t in document["generated_tables"] for row in t["rows"]}
    b1 = table_of(document, "logit(b)")["x"]
    n1 = table_of(document, "n")["x"]
    for name, row in (("ratio", b1), ("rate", n1)):
        for key in ("estimate", "q025", "q975"):
            assert generated[name][key] == pytest.approx(math.exp(row[key]), rel=2e-3)
    assert generated["difference"]["mean"] == pytest.approx(
        table_of(document, "o")["x"]["mean"] - b1["mean"], abs=1e-6
    )


def test_conditional_effects_at_each_code_of_the_moderator(document):
    effects = [t for t in document["outcome_tables"] if t["kind"] == "conditional-effects"]
    slopes = [row for t in effects for row in t["rows"] if row["label"] == "Slope"]
    coefficients = table_of(document, "logit(b)")
    wanted = [coefficients["x"]["mean"] + code * coefficients["x*m"]["mean"] for code in (1.0, 2.0, 4.0)]
    assert sorted(row["mean"] for row in slopes) == pytest.approx(sorted(wanted), abs=1e-6)


def test_wald_test(folder, document):
    with (folder / "wald.csv").open() as file:
        _, row = list(csv.reader(file))
    assert float(row[1]) == 2.0 and math.isfinite(float(row[2])) and 0.0 <= float(row[3]) <= 1.0
    assert document["fit"]["wald"][0]["statistic"] == pytest.approx(float(row[2]))

"""Ten mixed models of real school data against restricted maximum likelihood (REML), by what a user gets to see."""

import csv
import json
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mixed_model import MixedModel

from mlbayes.cli import main

FOLDER = Path(__file__).parents[2] / "examples" / "school_data"
REML = tomllib.loads((Path(__file__).parent / "school_data_reml.toml").read_text())

# With a flat prior on the covariance matrix the exact posterior puts only 7 % below this REML estimate, which is
# near 0; `test_the_exact_posterior` shows that the draws are right about it.
NEAR_ZERO = {("intercepts_and_slopes_as_outcomes", "var_ses")}


@dataclass
class Fit:
    """A finished run: its folder, estimates of the coefficients, and draws of the variances by REML's names."""

    folder: Path
    coefficients: dict[str, float]
    variances: dict[str, np.ndarray]


def fitted(name: str, folder: Path) -> Fit:
    """Run an example, with its draws saved."""
    shutil.copy(FOLDER / "hs.csv", folder)
    script = folder / f"{name}.inp"
    script.write_text((FOLDER / script.name).read_text() + "SAVE: iterations = draws.csv;\n")
    assert (
        main([str(script), "--quiet", "--output", str(folder / "r.txt"), "--json", str(folder / "r.json")])
        == 0
    )
    (table,) = json.loads((folder / "r.json").read_text())["outcome_tables"]
    draws = np.loadtxt(folder / "draws.csv", delimiter=",")
    rows = [row for row in table["rows"] if row["section"] == "Variances"]
    return Fit(
        folder,
        {row["label"]: row["estimate"] for row in table["rows"] if row["section"] == "Coefficients"},
        {reml_name(row["label"], REML[name]["effects"]): draws[:, row["number"] - 1] for row in rows},
    )


def reml_name(label: str, effects: list[str]) -> str:
    """The name of a variance in the table of REML figures."""
    if label == "Residual Var.":
        return "residual"
    if "Cov" in label:
        return "cov"
    return "var_1" if label == "L2 : Var(Intercept)" else f"var_{effects[1]}"


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """Every model is run once, when a test first asks for it."""
    found: dict[str, Fit] = {}

    def get(name: str) -> Fit:
        if name not in found:
            found[name] = fitted(name, tmp_path_factory.mktemp(name))
        return found[name]

    return get


@pytest.mark.parametrize("name", REML)
def test_fixed_effects(fits, name):
    coefficients = fits(name).coefficients
    assert set(coefficients) == set(REML[name]["fixed"])
    for label, (estimate, error) in REML[name]["fixed"].items():
        assert abs(coefficients[label] - estimate) < 0.25 * error, label


@pytest.mark.parametrize("name", REML)
def test_variances(fits, name):
    variances = fits(name).variances
    assert set(variances) == set(REML[name]["random"])
    for label, value in REML[name]["random"].items():
        if (name, label) not in NEAR_ZERO:
            low, high = np.quantile(variances[label], (0.1, 0.9))
            assert low < value < high, label


def test_school_means(fits):
    fit = fits("oneway")
    with (fit.folder / "oneway_means.csv").open() as file:
        rows = list(csv.DictReader(file))
    effects = {row["School"]: float(row["mathach[school]"]) for row in rows}
    deviation = REML["oneway"]["random"]["var_1"] ** 0.5
    for school, mean in REML["oneway"]["school_means"].items():
        assert abs(fit.coefficients["Intercept"] + effects[school] - mean) < 0.15 * deviation, school


def test_the_exact_posterior(fits):
    """Shares of the draws below quantiles of the exact posterior, and below the REML estimate near 0."""
    fit = fits("intercepts_and_slopes_as_outcomes")
    data = np.genfromtxt(FOLDER / "hs.csv", delimiter=",", names=True)
    ses, sector = data["SES"], data["sector"]
    x = np.column_stack([np.ones_like(ses), ses, sector, ses * sector])
    model = MixedModel(data["MathAch"], x, data["School"])
    exact = model.posterior([3.62, 0.7, 0.25, -0.5], [0.05, 0.3, 0.4, 0.7], 60_000, np.random.default_rng(3))
    assert exact.effective > 20_000
    values = {
        "var_1": exact.covariance[:, 0, 0],
        "cov": exact.covariance[:, 1, 0],
        "var_ses": exact.covariance[:, 1, 1],
        "residual": exact.residual,
    }
    for label, points in values.items():
        order = np.argsort(points)
        bounds = points[order][np.searchsorted(np.cumsum(exact.weights[order]), (0.1, 0.5, 0.9))]
        bounds = [*bounds, REML["intercepts_and_slopes_as_outcomes"]["random"][label]]
        for bound in bounds:
            share = exact.share_below(points, bound)
            error = np.sqrt(share * (1 - share) * (1 / 5_000 + 1 / 20_000))  # N_Eff is above 5,000
            assert abs(np.mean(fit.variances[label] < bound) - share) < 4.5 * error, (label, bound)
    assert 0.05 < exact.share_below(values["var_ses"], 0.1271) < 0.1

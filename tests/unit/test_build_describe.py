"""What is said of a model: MODEL INFORMATION, DATA INFORMATION and `explain`."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from modelling import built

from mlbayes.model.describe import describe, explain
from mlbayes.model.patterns import data_information

SCRIPT = """
CLUSTERID: pupil;
NOMINAL: g;
CENTER: groupmean = x; grandmean = w;
MODEL: y ~ x w g | x;
SEED: 4; BURN: 10; ITER: 10; CHAINS: 1; OPTIONS: prior2;
"""


def test_model_information_is_plain_data() -> None:
    information = describe(built(SCRIPT))
    assert information.predictors == {
        "Incomplete continuous": ["x"],
        "Complete continuous": ["w"],
        "Complete nominal": ["g"],
    }
    assert information.centered == {"Grand Mean Centered": ["w"], "Group Mean Centered": ["x"]}
    assert information.models[0].models == ["y ~ Intercept x w g.2 g.3 | Intercept x"]
    assert json.loads(json.dumps(asdict(information)))["parameters"]["Outcome Models"] == 9


def test_data_information() -> None:
    information = data_information(built(SCRIPT))
    json.dumps(asdict(information))
    assert information.sample_size == 160
    assert information.clusters == {"2": 40}
    assert information.dummies == {"g": ["g.2", "g.3"]}
    assert [(row.variable, row.percent, row.patterns) for row in information.missing] == [
        ("y", 0.0, "--"),
        ("x", 1.25, "-M"),
        ("w", 0.0, "--"),
        ("g", 0.0, "--"),
    ]
    assert information.pattern_percent == [98.75, 1.25]


def test_lags_are_missing_at_the_first_occasion() -> None:
    model = built("CLUSTERID: pupil; TIMEID: t; MODEL: y ~ y.lag | 1@0; x ~ x.lag;")
    rows = {row.variable: row.percent for row in data_information(model).missing}
    assert rows == pytest.approx({"y": 0.0, "x": 1.25, "y.lag1": 25.0, "x.lag1": 100 * 41 / 160})
    assert describe(model).models[0].models[1] == "y ~ Intercept y.lag1"


def test_explain_names_every_variable_and_every_addition() -> None:
    model = built(SCRIPT)
    text = explain(model)
    assert "x: continuous, level 1 (one value per row), 2 of 160 missing" in text
    assert "predictor: it has missing values" in text
    assert "centred at its estimated group mean" in text
    assert "w: continuous, level 2 (one value per cluster of pupil), complete" in text
    assert "missing values are drawn from its regression on the other predictors and y ~" in text
    for addition in model.additions:
        assert addition.what in text
        assert addition.because in text

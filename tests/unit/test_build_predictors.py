"""Predictors without an equation: who gets a distribution, and what stands in its parts."""

from __future__ import annotations

import numpy as np
import pytest
from modelling import attempt, built, messages, single_rows

from mlbayes.model.counts import count_parameters
from mlbayes.model.describe import describe
from mlbayes.model.expressions import Centring, Form, Reference
from mlbayes.model.model import Model, Role


def roles(model: Model) -> dict[str, Role]:
    return {name: v.role for name, v in model.variables.items() if v.role is not Role.UNUSED}


@pytest.mark.parametrize(
    ("script", "joint"),
    [
        ("MODEL: y ~ z m;", []),
        ("MODEL: y ~ z x;", ["z", "x"]),
        ("CENTER: z; MODEL: y ~ z m;", ["z", "m"]),
        ("FIXED: z; CENTER: z; MODEL: y ~ z m;", []),
        ("FIXED: z; MODEL: y ~ z x;", ["x"]),
        ("MODEL: y ~ z x; x ~ z;", []),
        ("CLUSTERID: pupil; MODEL: y ~ z.mean m;", ["z", "m"]),
        ("MODEL: y ~ z m z*m; SIMPLE: z | m;", ["z", "m"]),
        ("FIXED: z m; MODEL: y ~ z m z*m; SIMPLE: z | m;", []),
        ("CLUSTERID: pupil; MODEL: y ~ (pupil == 3) x;", ["x"]),
    ],
)
def test_all_or_nothing(script: str, joint: list[str]) -> None:
    assert [m.variable for m in built(script).predictor_models] == joint


def test_roles_have_reasons() -> None:
    model = built("FIXED: t; CENTER: m; MODEL: y ~ x z t m;")
    assert roles(model) == {
        "y": Role.OUTCOME,
        "x": Role.PREDICTOR,
        "z": Role.PREDICTOR,
        "t": Role.FIXED,
        "m": Role.PREDICTOR,
    }
    assert model.variables["x"].because == "it has missing values"
    assert model.variables["m"].because == "it is centred at an estimated mean"
    assert model.variables["z"].because.startswith("'x' needs a distribution")
    assert model.variables["t"].because == "it is listed in FIXED"


def test_parts_of_a_single_level() -> None:
    model = built("ORDINAL: o b; NOMINAL: g; FIXED: t b; MODEL: y ~ x o g t b;")
    x = next(m for m in model.predictor_models if m.variable == "x")
    (part,) = x.parts
    assert part.labels == ("o", "b", "g.2", "g.3", "t")
    assert part.predictors == (
        Reference("o", 1, Form.RESPONSE, 0, Centring.GRAND),
        Reference("b", 1, Form.VALUE, 0, Centring.GRAND),
        Reference("g", 1, Form.DUMMY, 2, Centring.GRAND),
        Reference("g", 1, Form.DUMMY, 3, Centring.GRAND),
        Reference("t", 1, Form.VALUE, 0, Centring.GRAND),
    )


def test_parts_of_two_levels() -> None:
    model = built("CLUSTERID: pupil; ORDINAL: o; FIXED: t v; MODEL: y ~ x o w t v;")
    x, w, o = model.predictor_models
    assert [x.variable, w.variable, o.variable] == ["x", "w", "o"]
    within, between = x.parts
    assert within.predictors == (
        Reference("o", 1, Form.RESPONSE, 0, Centring.GROUP),
        Reference("t", 1, Form.VALUE, 0, Centring.GRAND),
    )
    assert between.predictors == (
        Reference("w", 2, Form.VALUE, 0, Centring.GRAND),
        Reference("v", 2, Form.VALUE, 0, Centring.GRAND),
        Reference("o", 2, Form.MEAN, 0, Centring.GRAND),
    )
    assert [part.level for part in w.parts] == [2]
    assert w.parts[0].labels == ("x", "v", "o")


def test_parts_of_three_levels() -> None:
    model = built("CLUSTERID: pupil school; FIXED: t; MODEL: y ~ x w v t;")
    x, w, v = model.predictor_models
    assert [part.labels for part in x.parts] == [("t",), ("w",), ("w", "v")]
    assert x.parts[1].predictors == (Reference("w", 2, Form.VALUE, 0, Centring.GROUP),)
    assert x.parts[2].predictors[0] == Reference("w", 3, Form.MEAN, 0, Centring.GRAND)
    assert [part.level for part in w.parts] == [2, 3]
    assert v.parts[0].predictors == (
        Reference("x", 3, Form.MEAN, 0, Centring.GRAND),
        Reference("w", 3, Form.MEAN, 0, Centring.GRAND),
    )


def test_counts_of_parameters() -> None:
    assert count_parameters(built("MODEL: y ~ z x;")) == {"Outcome Models": 4, "Predictor Models": 6}
    # grand mean, slope and residual variance of x; grand mean, slope and two thresholds of o
    assert count_parameters(built("ORDINAL: o; MODEL: y ~ o x;"))["Predictor Models"] == 7
    # grand means and slopes of two dummy codes; grand mean, two slopes and residual variance of x
    assert count_parameters(built("NOMINAL: g; MODEL: y ~ g x;"))["Predictor Models"] == 8
    assert count_parameters(built("ORDINAL: o; MODEL: o ~ z;"))["Outcome Models"] == 4
    assert count_parameters(built("MODEL: y ~ z@b1; m ~ z@b1; y ~~ m@r;"))["Outcome Models"] == 6
    hev = built("OPTIONS: hev; CLUSTERID: pupil; MODEL: y ~ z;")
    assert count_parameters(hev)["Outcome Models"] == 2 + 1 + 40


def test_fixed_variables_are_centred_at_observed_means_with_a_warning() -> None:
    model = built("CLUSTERID: pupil; FIXED: t v; CENTER: grandmean = t v; MODEL: y ~ t v;")
    assert model.warnings == (
        "The following variables are fixed and will be centered with observed means: v t",
    )
    assert model.observed_mean("t") == 1.5
    assert describe(model).centered == {"Grand Mean Centered": ["v", "t"]}


def test_fcs_is_a_model_of_predictors_alone() -> None:
    model = built("CLUSTERID: pupil; FIXED: t; ORDINAL: o; FCS: y x o t w;")
    assert model.imputation
    assert [m.variable for m in model.predictor_models] == ["y", "x", "w", "o"]
    assert describe(model).parameters.keys() == {"Imputation Models"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("FIXED: x; MODEL: y ~ x;", "the FIXED variable 'x' has 2 missing values"),
        ("FIXED: y; MODEL: y ~ z;", "'y' is listed in FIXED but has an equation"),
        ("COUNT: c; MODEL: y ~ c x;", "the count 'c' needs a distribution as a predictor"),
        ("COUNT: c; FCS: y x c;", "FCS has no model for the count 'c'"),
        ("CENTER: groupmean = z; MODEL: y ~ z;", "'z' has no group means: it varies at level 1"),
    ],
)
def test_mistakes(script: str, message: str) -> None:
    assert messages(script) == [message]


def test_a_complete_count_may_be_taken_as_given() -> None:
    (problem,) = attempt("COUNT: c; MODEL: y ~ c x;")[1]
    assert problem.hint == "write an equation for it: c ~ ...; or take it as given: FIXED: c;"


def test_predictor_models_need_something_within_clusters() -> None:
    (problem,) = attempt("CLUSTERID: pupil; MODEL: y ~ x z;", single_rows())[1]
    assert problem.message == "every cluster of 'pupil' has a single row: 'z' does not vary within clusters"
    assert problem.span is not None


@pytest.mark.parametrize("term", ["x.missing", "ismissing(x)"])
def test_whether_a_value_is_missing_is_a_fixed_predictor(term: str) -> None:
    """It is known, predicts other incomplete predictors, and not the variable whose values are missing."""
    model = built(f"MODEL: y ~ x m {term}; m ~ z;")
    indicator = model.variables["x.missing"]
    assert indicator.role is Role.FIXED
    np.testing.assert_array_equal(indicator.values, model.variables["x"].missing)
    (of_x,) = (m for m in model.predictor_models if m.variable == "x")
    assert [r.variable for r in of_x.parts[0].predictors if r.variable == "x.missing"] == []
    (of_y,) = (e for e in model.equations if e.outcome == "y")
    assert [term.label for term in of_y.terms][-1] == "x.missing"


def test_its_effect_on_the_variable_itself_is_a_number_or_has_a_prior() -> None:
    for parameters in ("d = 0.5;", "d ~ normal(0, 1);"):
        model = built(f"MODEL: x ~ z x.missing@d; PARAMETERS: {parameters}")
        assert model.variables["x.missing"].role is Role.FIXED

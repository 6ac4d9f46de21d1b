"""Warnings of categories that the data say too little about, and none for ordinary data."""

from __future__ import annotations

import shutil

import modelling
import numpy as np
import pytest
from hard_outcomes import Case, attempt, cases, model_of
from modelling import built, example_table
from scripts import CONFORMANCE, DATA, EXAMPLES, title, with_conformance_scripts

from mlbayes import pipeline
from mlbayes.problems import ProblemKind
from mlbayes.source import Source

SIGNS = ("(separation)", "depend on priors", "depends on priors", "no upper bound", "told apart")
CASES = {name: case for name, case in cases().items() if not case.problem}
REFUSED = {name: case for name, case in cases().items() if case.problem}


def doubts(warnings: tuple[str, ...]) -> list[str]:
    """Those of the warnings that come from this check."""
    return [w for w in warnings if any(sign in w for sign in SIGNS)]


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_named(name):
    case = CASES[name]
    found = doubts(model_of(case).warnings)
    assert len(found) == len(case.warnings), found
    for text, warning in zip(case.warnings, found, strict=True):
        assert text in warning


@pytest.mark.parametrize("name", REFUSED)
def test_a_coefficient_without_a_posterior_is_refused(name):
    model, problems = attempt(REFUSED[name])
    assert model is None
    assert [problem.kind for problem in problems] == [ProblemKind.NUMERICAL]
    assert REFUSED[name].problem in problems[0].message
    assert problems[0].span is not None and "normal(0, 1)" in problems[0].hint


@pytest.mark.parametrize(
    "script",
    [
        "ORDINAL: o; MODEL: o ~ x z;",
        "ORDINAL: b; MODEL: logit(b) ~ x z;",
        "NOMINAL: g; MODEL: g ~ x z;",
        "COUNT: c; MODEL: c ~ x z;",
        "ORDINAL: b; NOMINAL: g; MODEL: b ~ g;",
        "CLUSTERID: pupil; ORDINAL: b; MODEL: b ~ z | z;",
    ],
)
def test_ordinary_data_are_not_named(script):
    assert doubts(built(script).warnings) == []


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("MODEL: y ~ z m;", True),
        ("MODEL: yjt(y) ~ m;", True),
        ("CLUSTERID: pupil; MODEL: y ~ m z | z;", True),
        ("COUNT: c; MODEL: c ~ z m;", True),
        ("COUNT: c; MODEL: c ~ z m@slope; PARAMETERS: slope ~ normal(0, 1);", False),
        ("ORDINAL: b; MODEL: b ~ z m;", False),
        ("MODEL: y ~ z m@slope; PARAMETERS: slope ~ normal(0, 1);", False),
        ("MODEL: y ~ 1@0 z m;", False),
        ("MODEL: y ~ 1@start z m; PARAMETERS: start ~ normal(0, 1);", False),
        ("MODEL: y ~ z; w ~ v;", False),
    ],
)
def test_a_constant_beside_the_intercept_is_refused(script, wrong):
    table = example_table()
    table.columns["m"].values[:] = 3.0
    problems = modelling.attempt(script, table)[1]
    told = [problem.message for problem in problems]
    assert told == (
        [
            "the predictor 'm' has the same value everywhere: its coefficient and the intercept cannot be told apart"
        ]
        if wrong
        else []
    )
    assert all(problem.span is not None for problem in problems)


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("MODEL: y ~ z;", True),
        ("ORDINAL: o; MODEL: o ~ z;", True),
        ("NOMINAL: g; MODEL: g ~ z;", True),
        ("MODEL: yjt(y) ~ z;", True),
        ("MODEL: y ~ z | 1@0;", False),
        ("MODEL: y ~ z; var(y) ~ 1@0 m@1;", False),
        ("COUNT: c; MODEL: c ~ z;", False),
    ],
)
def test_random_intercepts_of_single_rows_are_named(script, wrong):
    model, _ = modelling.attempt(f"CLUSTERID: pupil; {script}", modelling.single_rows())
    told = [text for text in model.warnings if "residuals cannot be told apart" in text]
    assert len(told) == wrong
    assert all("'pupil'" in text and "(line 1)" in text for text in told)


@pytest.mark.parametrize("path", EXAMPLES, ids=title)
def test_examples_are_not_named(path):
    parts, _ = pipeline.understand_parts(pipeline.read(path))  # none where data are only simulated
    assert [doubts(part.model.warnings) for part in parts] == [[] for _ in parts]


@with_conformance_scripts
def test_scripts_of_the_reference_are_not_named(tmp_path):
    for data in DATA.iterdir():
        shutil.copy(data, tmp_path)
    for path in CONFORMANCE:
        source = Source(tmp_path / path.name, path.read_text())
        assert doubts(pipeline.understand(source)[0].warnings) == [], path.name


# ------------------------------------------------------------------ what takes a warning away
def with_script(name: str, script: str, **columns) -> list[str]:
    """The warnings of a case with another script or other columns."""
    case = CASES[name]
    return doubts(model_of(Case(script, {**case.columns, **columns})).warnings)


def test_a_stated_prior_is_a_decision():
    script = "ORDINAL: y; MODEL: y ~ x{} z; PARAMETERS: b ~ {};"
    for prior in ("normal(0, 2)", "truncate(-9, 9)"):
        assert with_script("probit", script.format("@b", prior)) == []
    assert with_script("probit", script.format("@b", "truncate(0, Inf)")) != []


def test_a_fixed_coefficient_is_not_estimated():
    assert with_script("probit", "ORDINAL: y; MODEL: y ~ x@1 z;") == []


def test_the_remedy_of_uniform_clusters():
    assert with_script("uniform clusters", "CLUSTERID: c; ORDINAL: y; MODEL: y ~ z | 1@0;") == []
    y = CASES["uniform clusters"].columns["y"].copy()
    y[12] = 1.0 - y[12]  # of a third cluster
    assert with_script("uniform clusters", CASES["uniform clusters"].script, y=y) == []


def test_one_more_case_at_the_wrong_side():
    """A single unit on the other side gives the likelihood a maximum, in each kind of outcome."""
    for name in ("probit", "logit", "falling", "ordered probit", "multinomial"):
        columns = CASES[name].columns
        y = columns["y"].copy()
        y[[0, -1]] = y[[-1, 0]]
        assert with_script(name, CASES[name].script, y=y) == [], name


def test_units_without_the_outcome_say_nothing():
    y = CASES["nearly separated"].columns["y"].copy()
    y[y.size // 2 + 9] = np.nan
    assert len(with_script("nearly separated", CASES["nearly separated"].script, y=y)) == 1


def test_the_middle_category_bounds_both_sides():
    """A group that is all in the middle of three ordered categories has a finite coefficient; unordered it has not."""
    group = np.resize([1.0, 2.0, 3.0], 120)
    y = np.where(group == 2.0, 2.0, 1.0 + np.arange(120) // 40)
    columns = {"y": y, "g": group}
    assert doubts(model_of(Case("NOMINAL: g; ORDINAL: y; MODEL: y ~ g;", columns)).warnings) == []
    assert len(doubts(model_of(Case("NOMINAL: g y; MODEL: y ~ g;", columns)).warnings)) == 1


@pytest.mark.parametrize(
    ("script", "value", "message"),
    [
        ("ORDINAL: y; MODEL: y ~ x;", 3.0, "'y' is declared ordinal but has the code 3 only"),
        ("NOMINAL: y; MODEL: y ~ x;", 0.0, "'y' is declared nominal but has the code 0 only"),
        ("ORDINAL: y; MODEL: y ~ x;", np.nan, "'y' is declared ordinal but has no values"),
        ("COUNT: y; MODEL: y ~ x;", 0.0, "'y' has the same value everywhere in the rows that are analysed"),
    ],
)
def test_a_single_category_is_an_error(script, value, message):
    model, problems = attempt(Case(script, {"y": np.full(30, value), "x": np.arange(30.0)}))
    assert model is None
    assert message in [problem.message for problem in problems]

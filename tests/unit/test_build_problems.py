"""Mistakes in a model: what is said, where, and that all are said at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelling import attempt, example_table, messages

from mlbayes.language.parse import parse_script
from mlbayes.model.build import build_model
from mlbayes.problems import ProblemKind, render
from mlbayes.source import Source


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("SEED: 1;", "there is no model"),
        ("MODEL: d = z + 1;", "MODEL has no equation"),
        ("MODEL: y ~ z; FCS: y z;", "FCS and MODEL exclude each other"),
        ("MODEL: y ~ zz;", "'zz' is not known"),
        ("MODEL: yy ~ z;", "'yy' is not known"),
        ("MODEL: y ~ y;", "'y' is among its own predictors"),
        ("MODEL: y ~ z; z ~ m; m ~ y;", "the equations form a circle: m ~ y, y ~ z, z ~ m"),
        ("MODEL: a = b1 + z; b1 = a; y ~ a;", "a definition uses itself: a -> b1 -> a"),
        ("CLUSTERID: pupil; MODEL: w ~ z;", "'z' varies at level 1 and cannot predict 'w' of level 2"),
        ("CLUSTERID: pupil; MODEL: w ~~ z;", "'~~' between variables of different levels (1, 2)"),
        ("CLUSTERID: pupil; MODEL: y ~ w.mean;", "'w' has no cluster means: it varies at level 2"),
        ("MODEL: y ~ z.mean;", "'z' has no cluster means: it varies at level 1"),
        ("CLUSTERID: pupil; MODEL: y ~ z.mean[scool];", "'scool' is not an identifier of CLUSTERID"),
        ("MODEL: y ~ z.lag;", "'z.lag' needs TIMEID"),
        (
            "MODEL: y ~ z; x ~ z x.missing;",
            "the data say nothing about this coefficient: 'x.missing' is 0 wherever 'x' is observed",
        ),
        ("TIMEID: t; MODEL: y ~ z.lag0;", "'z.lag0' is no earlier value"),
        ("TIMEID: t; NOMINAL: g; MODEL: y ~ g.lag;", "the lag of the nominal variable 'g' is not a number"),
        ("CLUSTERID: pupil; TIMEID: t; RANDOMEFFECT: u = y | 1 [pupil]; MODEL: y ~ z; m ~ u.lag;",
         "the random effect 'u' has no other form"),
        ("CLUSTERID: pupil; TIMEID: t; MODEL: y ~ w.lag;", "'w' has no lag: it varies at level 2"),
        ("CLUSTERID: pupil; TIMEID: t; MODEL: y ~ z.lag z.lag4;", "no series has the 5 occasions that 'z.lag4' needs"),
        ("CLUSTERID: pupil; MODEL: y ~ z.lag;", "'z.lag' needs TIMEID"),
        ("MODEL: y ~ z.latent;", "'z.latent' needs 'z' to be declared in ORDINAL"),
        ("NOMINAL: g; MODEL: y ~ g.7;", "'g' has no code 7"),
        ("NOMINAL: g(9); MODEL: y ~ g;", "'g' has no code 9"),
        ("NOMINAL: g; MODEL: y ~~ g;", "the nominal variable 'g' in '~~'"),
        ("MODEL: logit(y) ~ z;", "logit(y) needs a categorical variable"),
        ("MODEL: y ~ z; ln(y + 9) ~ m;", "'y' is modelled both as 'y' and as 'ln(y+9)'"),
        ("MODEL: ln(y + m) ~ z;", "an outcome can be a transformation of one variable, not also of 'm'"),
        ("MODEL: y ~ z@b1 z@b2;", "'z' has two different tags in the equation of 'y'"),
        ("MODEL: y ~ z; y@1; y@v;", "the residual variance of 'y' has two different tags"),
        ("MODEL: y ~ z; y@0;", "a variance cannot be fixed at 0"),
        ("MODEL: y ~ z; m@2;", "'m' has no equation"),
        ("ORDINAL: b; MODEL: b ~ z; b@2;", "'b' has no residual variance of its own"),
        ("LATENT: f; MODEL: y ~ z;", "the latent variable 'f' is declared but never used"),
        ("LATENT: scool = f; MODEL: y ~ f;", "'scool' in LATENT is not in CLUSTERID"),
        ("LATENT: z; MODEL: y ~ z;", "'z' in LATENT is a variable of the data"),
        ("ORDINAL: zz; MODEL: y ~ z;", "'zz' in ORDINAL is not in the data"),
        ("ORDINAL: b; NOMINAL: b; MODEL: y ~ b;", "'b' is declared both ordinal and nominal"),
        ("CENTER: nope; MODEL: y ~ z;", "'nope' in CENTER is not in the data"),
        ("CLUSTERID: pupil; CENTER: cgm = z; cwc = z; MODEL: y ~ z;",
         "'z' is centred both at its grand mean and at group means"),
        ("MODEL: f -> y z; LATENT: f; WEIGHT: x;", "the weight 'x' is missing or not above 0"),
    ],
)  # fmt: skip
def test_messages(script: str, message: str) -> None:
    assert message in messages(script)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("ORDINAL: z; MODEL: y ~ z;", "'z' is declared ordinal but has the value"),
        ("COUNT: z; MODEL: z ~ y;", "'z' is declared count but has the value"),
        ("MODEL: y ~ x; FIXED: x;", "the FIXED variable 'x' has 2 missing values"),
    ],
)
def test_problems_of_the_data(script: str, message: str) -> None:
    _, problems = attempt(script)
    assert problems[0].message.startswith(message)
    assert problems[0].kind is ProblemKind.DATA


def test_all_problems_at_once_in_the_order_of_the_script() -> None:
    text = "MODEL: y ~ zz;\n  m ~ z@b1 nope;\nPARAMETERS: q = b2;\nFIXED: w x2;\n"
    _, problems = attempt(text)
    assert [p.message for p in problems] == [
        "'zz' is not known",
        "'nope' is not known",
        "'b2' is not known",
        "'x2' in FIXED is not in the data",
    ]
    source = Source(Path("test.imp"), text)
    assert render(problems[1], source) == (
        "test.imp:2:12: error: 'nope' is not known\n"
        "      m ~ z@b1 nope;\n"
        "               ^^^^\n"
        "    hint: names are those of the data, of LATENT, definitions and labels"
    )


def test_definitions_that_explode_are_refused() -> None:
    chain = " ".join(f"d{i + 1} = d{i} + d{i};" for i in range(40))
    deep = " ".join(f"e{i + 1} = e{i} + 1;" for i in range(400))
    assert messages(f"MODEL: d0 = z + m; {chain} y ~ d40;") == [
        "the definition 'd40' is too large or too deeply nested"
    ]
    assert messages(f"MODEL: e0 = z; {deep} y ~ e400;") == [
        "the definition 'e400' is too large or too deeply nested"
    ]


def test_rows_without_data_are_dropped_and_filtered_rows_are_not_used() -> None:
    script, _ = parse_script(Source(Path("test.imp"), "MODEL: x ~ 1;"))
    table = example_table()
    model, problems = build_model(script, table)
    assert problems == []
    assert model is not None
    assert len(model.used_rows) == table.rows - 2
    assert model.warnings == ("2 observations dropped because all variables of the model are missing.",)
    model, _ = build_model(script, table, model.used_rows[:50])
    assert model is not None
    assert model.hierarchy.units == (50,)
    assert model.warnings == ()


def test_no_rows_at_all() -> None:
    script, _ = parse_script(Source(Path("test.imp"), "CLUSTERID: pupil; MODEL: y ~ z | z; m ~ 1;"))
    model, problems = build_model(script, example_table(), np.zeros(0, np.int64))
    assert model is None
    assert "'y' has no values in the rows that are analysed" in [p.message for p in problems]


def test_functions_of_other_commands() -> None:
    assert messages("MODEL: y ~ z cluster_mean(z) normal(0, 1);") == [
        "'cluster_mean' belongs to TRANSFORM",
        "'normal' belongs to SIMULATE",
    ]


def test_links_belong_to_outcomes() -> None:
    assert messages("MODEL: y ~ logit(z) var(z); PARAMETERS: d = yjt(1, 2); e = iyjt(1);") == [
        "'logit' belongs to the left side of an equation",
        "'var' belongs to the left side of an equation",
        "'yjt' belongs to the left side of an equation",
        "'iyjt' belongs to transformed latent variables",
    ]

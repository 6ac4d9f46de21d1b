"""The builder never fails without a message, and says the same of the same model written differently."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelling import built, example_table

from mlbayes.language.parse import parse_script
from mlbayes.model.build import build_model
from mlbayes.model.describe import describe, explain
from mlbayes.model.patterns import data_information
from mlbayes.problems import render
from mlbayes.source import Source

NAMES = st.sampled_from(
    "y z m x w v o b g c t pupil f h u0 d1 lab nope z.mean y.lag o.latent g.2 x.missing".split()
)
TAGS = st.sampled_from(["", "", "", "", "@0", "@1", "@lab", "@b1", "@f", "@h", "@z"])
TERMS = st.one_of(
    st.builds("{}{}".format, NAMES, TAGS),
    st.builds("{}*{}{}".format, NAMES, NAMES, TAGS),
    st.builds("({}-{}){}".format, NAMES, NAMES, TAGS),
    st.builds("1{}".format, TAGS),
)
OUTCOMES = st.builds(
    str.format, st.sampled_from(["{}", "{}", "{}", "logit({})", "var({})", "yjt({}-1)", "ln({}+9)"]), NAMES
)
RANDOM = st.sampled_from(
    ["", "", " | z", " | 1@0", " | 0 x", " | 1[pupil] z[school]", " | w", " | g z*m", " | 1@lab"]
)
STATEMENTS = st.one_of(
    st.builds(
        "{} ~ {}{};".format,
        st.lists(OUTCOMES, min_size=1, max_size=2).map(" ".join),
        st.lists(TERMS, min_size=1, max_size=4).map(" ".join),
        RANDOM,
    ),
    st.builds("{} -> {} {};".format, TERMS, OUTCOMES, OUTCOMES),
    st.builds("{} ~~ {}{};".format, NAMES, NAMES, TAGS),
    st.builds("{}@{};".format, NAMES, st.sampled_from(["1", "lab", "0"])),
    st.builds("d1 = {}+{};".format, NAMES, NAMES),
)
COMMANDS = st.lists(
    st.sampled_from(
        [
            "CLUSTERID: pupil;", "CLUSTERID: school pupil;", "ORDINAL: o b;", "ORDINAL: y;",
            "NOMINAL: g;", "NOMINAL: g(7);", "COUNT: c;", "FIXED: t x;", "FIXED: w;", "CENTER: z m;",
            "CENTER: groupmean = z x w;",
            "LATENT: f; pupil = h;", "TIMEID: t;", "WEIGHT: c;", "RANDOMEFFECT: u0 = y | 1 [pupil];",
            "PARAMETERS: q = lab*2; lab ~ normal(0, 1);", "PARAMETERS: lab = b1 + nope;",
            "SIMPLE: z | m;", "SIMPLE: z | g and o @ quartile;", "WALDTEST: lab = 0;", "WALDTEST: y ~ z;",
            "OPTIONS: prior1 hev;",
        ]
    ),
    max_size=6,
    unique=True,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(COMMANDS, st.lists(STATEMENTS, min_size=1, max_size=4))
def test_a_script_gives_a_model_or_problems(commands: list[str], statements: list[str]) -> None:
    source = Source(Path("test.imp"), "\n".join([*commands, "MODEL:", *statements]))
    script, _ = parse_script(source)
    model, problems = build_model(script, example_table())
    assert (model is None) == bool(problems)
    assert all(render(problem, source) for problem in problems)
    if model is not None:
        assert describe(model).parameters
        assert explain(model)
        assert data_information(model).sample_size == model.hierarchy.units[0]
        for equation in model.equations:
            assert all(term.coefficient in model.parameters for term in equation.terms)
            assert all(i < len(equation.terms) for random in equation.random for i in random.terms)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MODEL: y ~ z m;", "MODEL: y ~ z; y ~ m;"),
        ("MODEL: y ~ z m;", "MODEL: Y ~ 1 Z M;"),
        ("MODEL: { y m } ~ z;", "MODEL: m ~ z; y ~ z;"),
        ("MODEL: y m ~ z;", "MODEL: m ~ z; y ~ m z;"),
        ("MODEL: y ~ z; m ~ z;", "MODEL: z -> y m;"),
        ("MODEL: y@2; y ~ z;", "MODEL: y ~ z; y ~~ y@2;"),
        ("CLUSTERID: pupil school; MODEL: y ~ z | z;", "CLUSTERID: school pupil; MODEL: y ~ 1 z | 1 z;"),
        ("CLUSTERID: pupil; MODEL: y ~ z | 1@0;", "CLUSTERID: pupil; MODEL: y ~ z | 0;"),
        ("CENTER: z; MODEL: y ~ z;", "MODEL: y ~ z; CENTER: grandmean = z;"),
        ("NOMINAL: g; MODEL: y ~ g;", "NOMINAL: g; MODEL: y ~ g.2 g.3;"),
    ],
)
def test_the_same_model_written_differently(one: str, other: str) -> None:
    first, second = built(one), built(other)
    assert asdict(describe(first)) == asdict(describe(second))
    for left, right in zip(first.equations, second.equations, strict=True):
        assert replace(left, terms=(), span=None) == replace(right, terms=(), span=None)
        assert [replace(t, span=None) for t in left.terms] == [replace(t, span=None) for t in right.terms]
    assert first.parameters == second.parameters
    assert first.predictor_models == second.predictor_models


def test_names_and_order_of_clusters_do_not_matter() -> None:
    text = "CLUSTERID: pupil; FIXED: t; CENTER: groupmean = x; grandmean = w; MODEL: y ~ x w t | x;"
    table = example_table()
    order = np.random.default_rng(3).permutation(table.rows)
    columns = {name: replace(c, values=c.values[order]) for name, c in table.columns.items()}
    columns["pupil"] = replace(columns["pupil"], values=1000.0 - columns["pupil"].values)
    script, _ = parse_script(Source(Path("test.imp"), text))
    model, problems = build_model(script, replace(table, columns=columns))
    assert problems == []
    assert model is not None
    assert asdict(describe(model)) == asdict(describe(built(text)))
    assert asdict(data_information(model)) == asdict(data_information(built(text)))

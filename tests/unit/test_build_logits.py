"""Equations of single logits of a nominal outcome: `n.2 ~ x@b`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from modelling import attempt, built, equation, messages

from mlbayes.model.model import ConditionalEffect, Model
from mlbayes.output.estimates import conditional_body
from mlbayes.results.conditional import conditional_tables
from mlbayes.results.document import Row, Table
from mlbayes.results.draws import Draws, ModeratorDraws
from mlbayes.results.parameters import Parameters


def coefficients(model: Model) -> list[tuple[int | None, str, str]]:
    """Code, term and parameter of the terms of g."""
    return [(t.category, t.label, t.coefficient) for t in equation(model, "logit(g)").terms]


def test_a_logit_has_what_is_said_of_all_and_of_it_alone() -> None:
    model = built("NOMINAL: g; MODEL: g ~ z; g.2 ~ x@a z@k; g.3 ~ m x@a;")
    assert coefficients(model) == [
        (2, "Intercept", "g.2 ~ Intercept"),
        (2, "z", "k"),
        (2, "x", "a"),
        (3, "Intercept", "g.3 ~ Intercept"),
        (3, "z", "g.3 ~ z"),
        (3, "m", "g.3 ~ m"),
        (3, "x", "a"),
    ]
    assert equation(model, "logit(g)").printed == "logit(g) ~ Intercept z, g.2 ~ x@a z@k, g.3 ~ m x@a"


@pytest.mark.parametrize(
    "script",
    [
        "NOMINAL: g; MODEL: g ~ x@a z;",
        "NOMINAL: g; MODEL: { g.2 g.3 } ~ x@a z;",
        "NOMINAL: g; MODEL: logit(g.2) ~ x z; g ~ z; logit(g.3) ~ x@a; g.2 ~ x@a;",
        "NOMINAL: g; MODEL: g.3 ~ z; g.2 ~ z; g ~ x@a;",
    ],
)
def test_ways_to_say_that_a_coefficient_is_common(script: str) -> None:
    terms = coefficients(built(script))
    assert {(code, label) for code, label, _ in terms} == {
        (c, label) for c in (2, 3) for label in ("Intercept", "x", "z")
    }
    assert {name for _, label, name in terms if label == "x"} == {"a"}


def test_intercepts_of_single_logits() -> None:
    model = built("NOMINAL: g; MODEL: g.2 ~ 1@0 x; g.3 ~ 1@a;")
    assert coefficients(model) == [(2, "x", "g.2 ~ x"), (3, "Intercept", "a")]


def test_the_reference_follows_nominal() -> None:
    model = built("NOMINAL: g(3); MODEL: g.1 ~ x@a;")
    assert coefficients(model) == [
        (1, "Intercept", "g.1 ~ Intercept"),
        (1, "x", "a"),
        (2, "Intercept", "g.2 ~ Intercept"),
    ]


def test_two_categories_have_one_logit() -> None:
    model = built("NOMINAL: b; MODEL: b.1 ~ x@a;")
    assert [term.coefficient for term in equation(model, "logit(b)").terms][1:] == ["a"]


def test_a_latent_variable_measured_by_single_logits() -> None:
    model = built("NOMINAL: g; LATENT: f; MODEL: f -> y z m; f -> g.2@1 g.3@l;")
    assert [(c, n) for c, label, n in coefficients(model) if label == "f"] == [(2, "g.2 ~ f"), (3, "l")]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("MODEL: g.1 ~ x;", "'g.1' is the reference, which has no logit"),
        ("MODEL: g.9 ~ x;", "'g.9' has no logit of its own"),
        ("MODEL: g ~ x@a; g.2 ~ x@b2;", "'x' has two different tags in the equation of 'logit(g)'"),
        ("MODEL: g.2 ~ w.mean2;", "'w.mean2' is not known"),
        ("MODEL: g.2 ~ g.3;", "'g' is among its own predictors"),
        (
            "CLUSTERID: pupil; MODEL: g.2 ~ x | x;",
            "random effects of a single logit of 'g' are not supported",
        ),
        ("MODEL: g.2 ~ 1@z;", "a latent intercept of a single logit of 'g' is not supported"),
        ("MODEL: g ~ x z; WALDTEST: g.2 ~ x;", "a nested model is one of all logits of 'g'"),
    ],
)
def test_problems(script: str, message: str) -> None:
    _, problems = attempt("NOMINAL: g; " + script)
    assert message in messages("NOMINAL: g; " + script)
    assert all(problem.span is not None for problem in problems)


def test_a_wrong_code_is_the_only_problem() -> None:
    """What is said of it does not meet what is said of others."""
    assert messages("NOMINAL: g; MODEL: g ~ x@a; g.9 ~ x@k;") == ["'g.9' has no logit of its own"]


# ------------------------------------------------------------------ conditional effects
SIMPLE = "NOMINAL: g; FIXED: z m; MODEL: g ~ m z*m; g.2 ~ z; g.3 ~ z@a; SIMPLE: z | m @ 2;"


def test_conditional_effects_are_those_of_each_logit() -> None:
    model = built(SIMPLE)
    terms = equation(model, "logit(g)").terms
    assert [t.label for t in terms] == 2 * ["Intercept", "m", "z", "z*m"]
    for effect, code in zip(model.conditional_effects, (2, 3), strict=True):
        assert isinstance(effect, ConditionalEffect)
        assert {terms[i].category for i, _ in (*effect.slopes, *effect.intercepts)} == {code}
    draws = np.array([0.1, 0.2, 0.3, 0.4, 1.1, 1.2, 1.3, 1.4])
    made = SimpleNamespace(
        equations=[SimpleNamespace(coefficients=draws[None, None])],
        moderators=2 * [(ModeratorDraws(np.full((1, 1, 1), 2.0)),)],
    )
    (table,) = conditional_tables(0, model, cast(Draws, made), cast(Parameters, None))
    found = [(row.category, row.section, row.label, float(row.values[0, 0])) for row in table.rows]
    held = "z | m @ 2"
    assert found == [
        ("g.2", held, "Intercept", pytest.approx(0.1 + 2 * 0.2)),
        ("g.2", held, "Slope", pytest.approx(0.3 + 2 * 0.4)),
        ("g.3", held, "Intercept", pytest.approx(1.1 + 2 * 1.2)),
        ("g.3", held, "Slope", pytest.approx(1.3 + 2 * 1.4)),
    ]


def test_conditional_effects_of_logits_stand_under_their_headings() -> None:
    rows = [
        Row(label, "x | m @ 2", f"g.{code}", estimate=1.0)
        for code in (2, 3)
        for label in ("Intercept", "Slope")
    ]
    lines = conditional_body(
        Table("conditional-effects", "Conditional Effects", "logit(g)", rows=rows), False
    )
    assert [line.split("  ")[0].strip() or line[:14].strip() for line in lines if line.strip()] == [
        "g.2",
        "x | m @ 2",
        "Intercept",
        "Slope",
        "g.3",
        "x | m @ 2",
        "Intercept",
        "Slope",
    ]

"""Lags and conditions in definitions, as the model graph holds them."""

from __future__ import annotations

import pytest
from modelling import attempt, built, equation, messages

from mlbayes.model.expressions import Constant, Form, Operation, Reference, level_of

TIME = "CLUSTERID: pupil; TIMEID: t;"
TREND = """
LATENT: pupil = mean slope phi trend;
MODEL:
  hat = mean + (t - 1)*trend + z.lag*slope;
  res = ifelse(t <= 1, 0, y.lag - hat);
  1 -> mean slope phi trend;
  y ~ 1@mean res@phi z@slope t@trend;
"""


def lag(name: str, occasions: int = 1) -> Reference:
    return Reference(name, 1, Form.LAG, occasions)


def test_a_condition_is_a_tree() -> None:
    model = built(TIME + TREND)
    hat = Operation(
        "+",
        (
            Operation(
                "+",
                (
                    Reference("mean", 2),
                    Operation(
                        "*", (Operation("-", (Reference("t", 1), Constant(1.0))), Reference("trend", 2))
                    ),
                ),
            ),
            Operation("*", (lag("z"), Reference("slope", 2))),
        ),
    )
    residual = Operation(
        "ifelse",
        (
            Operation("<=", (Reference("t", 1), Constant(1.0))),
            Constant(0.0),
            Operation("-", (lag("y"), hat)),
        ),
    )
    assert {name: tree for name, tree, _ in model.definitions} == {"hat": hat, "res": residual}
    term = next(term for term in equation(model, "y").terms if term.label == "(res)*phi")
    assert term.expression == Operation("*", (residual, Reference("phi", 2)))
    assert level_of(residual) == 1
    assert [text for _, _, text in model.definitions] == [
        "mean+(t-1)*trend+z.lag1*slope",
        "ifelse(t<=1,0,y.lag1-hat)",
    ]


@pytest.mark.parametrize(
    ("written", "operator"),
    [("t == 2", "=="), ("t != 2", "!="), ("t < 2", "<"), ("t >= 2", ">="), ("t > 1 and z < 0", "and"),
     ("t > 1 or z < 0", "or")],
)  # fmt: skip
def test_comparisons(written: str, operator: str) -> None:
    model = built(f"{TIME} MODEL: y ~ ({written}) ({written})*y.lag3 | 1@0;")
    first, second = equation(model, "y").terms[1:]
    assert isinstance(first.expression, Operation) and first.expression.operator == operator
    assert second.expression == Operation("*", (first.expression, lag("y", 3)))


@pytest.mark.parametrize(
    "script",
    [
        "MODEL: y ~ z.lag; z ~ y.lag;",
        "MODEL: y ~ z y.lag; z ~ y.lag;",
        "MODEL: y ~ z.lag z; z ~ z.lag2 y.lag; y ~~ m; m ~ y.lag;",
        "MODEL: d = y.lag - z.lag; y ~ d; z ~ d;",
        "ORDINAL: b; MODEL: b ~ b.lag y.lag;",
    ],
)
def test_variables_may_predict_themselves_later(script: str) -> None:
    assert attempt(TIME + script)[1] == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("MODEL: y ~ z y.lag; z ~ y z.lag;", "the equations form a circle: y ~ z, z ~ y"),
        ("MODEL: d = y - y.lag; y ~ d;", "'y' is among its own predictors"),
        ("MODEL: d = ifelse(t <= 1, y, y.lag); y ~ d;", "'y' is among its own predictors"),
        ("MODEL: d = e + 1; e = ifelse(t <= 1, 0, d); y ~ d;", "a definition uses itself: d -> e -> d"),
        ("MODEL: w ~ z.lag;", "'z' varies at level 1 and cannot predict 'w' of level 2"),
        ("MODEL: d = ismissing(z + 1); y ~ d;", "'ismissing' belongs to TRANSFORM and SIMULATE"),
        ("MODEL: d = ifelse(t <= 1, 0, nope.lag); y ~ d;", "'nope.lag' is not known"),
    ],
)
def test_circles_and_levels(script: str, message: str) -> None:
    assert message in messages(TIME + script)

"""Expressions as text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbayes.language.nodes import Binary, Call, Name, Number, Unary
from mlbayes.language.parse import parse_script
from mlbayes.language.printer import print_expression, print_formula, print_number, print_tag, print_term
from mlbayes.source import Source


def parse(text):
    script, problems = parse_script(Source(Path("m.imp"), f"TRANSFORM: d = {text};"))
    assert not problems
    return script.transform[0].expression


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x1 ^ 2", "(x1^2)"),
        ("time_i == 1", "(time_i==1)"),
        ("(y_i.lag - ymean_j) * phi_j", "(y_i.lag1-ymean_j)*phi_j"),
        ("x.mean[school]", "x.mean[school]"),
        ("x * y * z", "x*y*z"),
        ("x * (y * z)", "x*(y*z)"),
        ("-x", "(-x)"),
        ("ln(x + 1)", "ln(x+1)"),
        ("intercept", "Intercept"),
        ("2", "2"),
    ],
)
def test_terms(text, printed):
    assert print_expression(parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        "a*b+c", "(a+b)*c", "a-(b-c)", "a-b-c", "a/(b*c)", "-a^2", "(-a)^2", "a^b^c", "(a^b)^c", "a--b",
        "a<-1", "a<1 and (b>2 or c==3)", "(a<b)==c", "ifelse(a<1,0,b.lag1)", "1/(y+1)", "2.5e-07*x", "x^-2",
    ],
)  # fmt: skip
def test_formulas_have_the_parentheses_they_need(text):
    assert print_formula(parse(text)) == text


def test_numbers_and_tags():
    printed = [
        print_number(value) for value in (1.0, -3.0, 0.5, 0.1 + 0.2, 1e20, float("inf"), float("-inf"))
    ]
    assert printed == ["1", "-3", "0.5", "0.30000000000000004", "1e+20", "Inf", "-Inf"]
    assert print_tag(Number(-3.0)) == "-3"
    assert print_term(Binary("*", Name("x"), Name("z")), Name("b3")) == "x*z@b3"


LEAVES = st.one_of(
    st.builds(Number, st.floats(0, 1e12)),
    st.builds(Name, st.sampled_from(["x", "y_i", "m.mean"]), st.sampled_from([None, "school"])),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Unary, st.sampled_from("+-"), inner),
        st.builds(Binary, st.sampled_from("+ - * / ^ == != < <= > >= and or".split()), inner, inner),
        st.builds(Call, st.just("ln"), st.tuples(inner)),
    ),
    max_leaves=20,
)


@given(EXPRESSIONS)
def test_printed_formulas_parse_to_themselves(expression):
    assert parse(print_formula(expression)) == expression
    assert parse(print_expression(expression)) == expression

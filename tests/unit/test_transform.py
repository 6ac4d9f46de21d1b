"""Computed columns and the selection of rows."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbayes.data import functions as data_functions
from mlbayes.data.table import Column, Table, Vector
from mlbayes.data.transform import apply_filter, apply_transforms, evaluate
from mlbayes.language.commands import FUNCTIONS, Function
from mlbayes.language.nodes import Binary, Call, Definition, Expression, Name, Number, Unary
from mlbayes.language.parse import parse_script
from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Source, Span

NAN = math.nan


def table_of(**columns: list[float]) -> Table:
    rows = len(next(iter(columns.values())))
    made = {name: Column(name, name, np.array(values, float)) for name, values in columns.items()}
    return Table(Path("some.dat"), made, (), np.arange(1, rows + 1) * 10)


def call(function: str, *arguments: Expression | str | float) -> Call:
    return Call(function, tuple(node(argument) for argument in arguments), Span(3, 7))


def node(value: Expression | str | float) -> Expression:
    if isinstance(value, str):
        return Name(value, span=Span(1, 2))
    return Number(float(value)) if isinstance(value, int | float) else value


def binary(left: Expression | str | float, symbol: str, right: Expression | str | float) -> Binary:
    return Binary(symbol, node(left), node(right), Span(2, 3))


DATA = table_of(x=[-1, 0, 2, NAN], y=[4, 1, NAN, NAN], id=[7, 7, 3, 3], school=[1, 1, 1, 1])


def value(
    expression: Expression, table: Table = DATA, identifiers: tuple[str, ...] = ("school", "id")
) -> Vector:
    values, problems = evaluate(expression, table, identifiers)
    assert problems == []
    return values


def problem(expression: Expression, table: Table = DATA) -> Problem:
    values, problems = evaluate(expression, table, ("id",))
    assert len(problems) == 1
    assert len(values) == table.rows
    return problems[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (binary("x", "+", "y"), [3, 1, NAN, NAN]),
        (binary("x", "-", 1), [-2, -1, 1, NAN]),
        (binary("x", "*", "y"), [-4, 0, NAN, NAN]),
        (binary("x", "/", 2), [-0.5, 0, 1, NAN]),
        (binary("x", "^", 2), [1, 0, 4, NAN]),
        (binary("x", "^", 0), [1, 1, 1, NAN]),
        (binary(1, "^", "x"), [1, 1, 1, NAN]),
        (Unary("-", Name("x")), [1, 0, -2, NAN]),
        (Unary("+", Name("x")), [-1, 0, 2, NAN]),
        (binary("x", "==", 0), [0, 1, 0, NAN]),
        (binary("x", "!=", 0), [1, 0, 1, NAN]),
        (binary("x", "<", 0), [1, 0, 0, NAN]),
        (binary("x", "<=", 0), [1, 1, 0, NAN]),
        (binary("x", ">", 0), [0, 0, 1, NAN]),
        (binary("x", ">=", 0), [0, 1, 1, NAN]),
        (binary("x", "and", 1), [1, 0, 1, NAN]),
        (binary("x", "or", 0), [1, 0, 1, NAN]),
        (binary("x", "or", "y"), [1, 1, NAN, NAN]),
        (call("exp", 0), [1, 1, 1, 1]),
        (call("ln", binary("y", "/", "y")), [0, 0, NAN, NAN]),
        (call("sqrt", "y"), [2, 1, NAN, NAN]),
        (call("abs", "x"), [1, 0, 2, NAN]),
        (call("min", "x", 1, "x"), [-1, 0, 1, NAN]),
        (call("max", "x", 1), [1, 1, 2, NAN]),
        (call("sum", "x", "y", 1), [4, 2, NAN, NAN]),
        (call("mean", "x", "y"), [1.5, 0.5, NAN, NAN]),
        (call("ismissing", "y"), [0, 0, 1, 1]),
        (call("ismissing", binary("x", "+", "y")), [0, 0, 1, 1]),
        (call("missing", binary("x", "==", 0), "x"), [-1, NAN, 2, NAN]),
        (call("missing", binary("y", "==", 1), "x"), [-1, NAN, 2, NAN]),
        (call("ifelse", binary("x", ">", 0), 5, "y"), [4, 1, 5, NAN]),
        (call("ifelse", call("ismissing", "y"), 0, "y"), [4, 1, 0, 0]),
        (call("cluster_mean", "x"), [-0.5, -0.5, 2, 2]),
        (call("cluster_mean", "x", "school"), [1 / 3] * 4),
        (call("cluster_mean", "y"), [2.5, 2.5, NAN, NAN]),
        (call("cluster_mean", "y", "x"), [4, 1, NAN, NAN]),
    ],
)
def test_values(expression: Expression, expected: list[float]) -> None:
    np.testing.assert_allclose(value(expression), expected, rtol=1e-15)


def test_normal_distribution() -> None:
    table = table_of(z=[-38, -1.5, 0, 1.5, 8])
    p = value(call("phi", "z"), table)
    assert p[2] == 0.5
    assert 0 < p[0] < 1e-300
    np.testing.assert_allclose(
        value(call("iphi", call("phi", "z")), table_of(z=[-1.5, 0, 1.5])), [-1.5, 0, 1.5], atol=1e-14
    )
    assert value(call("normal_pdf", "z"), table)[3] == pytest.approx(0.12951759566589174, rel=1e-14)


def test_branches_that_are_not_taken_are_not_checked() -> None:
    positive = binary("y", ">", 1)
    table = table_of(y=[-1, 0, 1, math.e])
    np.testing.assert_allclose(value(call("ifelse", positive, call("ln", "y"), 0), table), [0, 0, 0, 1])
    found = value(call("missing", binary("y", "<=", 0), call("ln", "y")), table)
    np.testing.assert_allclose(found, [NAN, NAN, 0, 1])


@pytest.mark.parametrize(
    ("expression", "message", "line"),
    [
        (call("ln", "x"), "ln(-1) is not a finite number (and in 1 other row)", 10),
        (call("sqrt", "x"), "sqrt(-1) is not a finite number", 10),
        (binary("y", "/", "x"), "1 / 0 is not a finite number", 20),
        (binary("x", "^", 0.5), "-1 ^ 0.5 is not a finite number", 10),
        (call("exp", binary("x", "*", 1000)), "exp(2000) is not a finite number", 30),
        (call("iphi", "y"), "iphi(4) is not a finite number (and in 1 other row)", 10),
        (
            binary(1, "+", call("exp", call("sqrt", "x"))),
            "sqrt(-1) is not a finite number",
            10,
        ),
    ],
)
def test_values_outside_the_domain(expression: Expression, message: str, line: int) -> None:
    found = problem(expression)
    assert found.message == message
    assert found.place == f"some.dat, line {line}"
    assert found.kind is ProblemKind.DATA
    assert found.span is not None


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        (call("sqr", "x"), "there is no function 'sqr' for data", "did you mean 'sqrt'?"),
        (call("normal", 0, 1), "there is no function 'normal' for data", ""),
        (call("qqqqqq", 0, 1), "there is no function 'qqqqqq' for data", "the functions are abs, "),
        (call("ln", "x", "y"), "ln takes 1 argument, not 2", ""),
        (call("min"), "min takes at least 1 argument, not 0", ""),
        (call("ifelse", "x"), "ifelse takes 3 arguments, not 1", ""),
        (call("cluster_mean", 1, 2, 3), "cluster_mean takes 1 or 2 arguments, not 3", ""),
        (
            call("cluster_mean", "x", 2),
            "the second argument of cluster_mean is the name of an identifier",
            "",
        ),
        (node("schol"), "there is no variable 'schol' in the data", "did you mean 'school'?"),
        (node("x.mean"), "there is no variable 'x.mean' in the data", "cluster_mean(x)"),
        (Name("x", level="id"), "there is no variable 'x' in the data", ""),
    ],
)
def test_errors_of_expressions(expression: Expression, message: str, hint: str) -> None:
    found = problem(expression)
    assert found.message == message
    assert hint in found.hint


def test_cluster_mean_needs_an_identifier() -> None:
    _, problems = evaluate(call("cluster_mean", "x"), DATA)
    assert "CLUSTERID" in problems[0].message


def test_text_columns() -> None:
    column = Column("who", "Who", np.array([0, NAN, 0, 1]), ("mia", "", "mia", "leo"))
    table = Table(DATA.path, {**DATA.columns, "who": column}, (), DATA.lines)
    assert [p.message for p in evaluate(binary("who", "+", 1), table)[1]] == [
        "'mia' is not a number (and in 1 other row)",
        "'leo' is not a number",
    ]
    assert value(call("ismissing", "who"), table).tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(value(call("cluster_mean", "x", "who"), table), [0.5, NAN, 0.5, NAN])


def test_transforms_follow_each_other() -> None:
    made = (Definition("a", binary("x", "+", 1)), Definition("b", binary("a", "*", 2)))
    table, problems = apply_transforms(DATA, made)
    assert problems == []
    assert list(table.columns) == [*DATA.columns, "a", "b"]
    assert table.columns["b"].computed
    np.testing.assert_array_equal(table.values("b"), [0, 2, 6, NAN])
    assert "a" not in DATA.columns


def test_transforms_report_all_problems_once() -> None:
    made = (
        Definition("x", Number(1), span=Span(5, 6)),
        Definition("a", Name("nowhere")),
        Definition("b", binary("a", "*", 2)),
        Definition("b", Number(1)),
    )
    table, problems = apply_transforms(DATA, made)
    assert [p.message for p in problems] == [
        "there is a variable 'x' already",
        "there is no variable 'nowhere' in the data",
        "there is a variable 'b' already",
    ]
    assert problems[0].span == Span(5, 6)
    assert np.isnan(table.values("b")).all()


def test_filter_keeps_rows_where_everything_is_true() -> None:
    chosen, problems = apply_filter(DATA, (binary("x", "<", 1), binary("y", ">", 1)))
    assert (chosen.tolist(), problems) == ([True, False, False, False], [])
    assert apply_filter(DATA, ())[0].all()
    chosen, problems = apply_filter(DATA, (Name("nowhere"), Name("never"), binary("x", "<", 1)))
    assert (chosen.tolist(), len(problems)) == (apply_filter(DATA, (binary("x", "<", 1),))[0].tolist(), 2)


LEAVES = st.one_of(
    st.sampled_from(["x", "y", "id"]).map(Name), st.floats(-3, 3, width=16).map(lambda number: Number(number))
)


def _grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda a: Unary("-", a)),
        st.tuples(st.sampled_from(sorted(OBVIOUS)), pairs).map(lambda t: Binary(t[0], *t[1])),
        st.tuples(st.sampled_from(["abs", "phi"]), inner).map(lambda t: Call(t[0], (t[1],))),
        st.tuples(st.sampled_from(["min", "max", "sum", "mean", "missing"]), pairs).map(lambda t: Call(*t)),
        st.tuples(inner, inner, inner).map(lambda t: Call("ifelse", t)),
    )


MEANINGS: dict[str, Callable[[list[float]], float]] = {
    "abs": lambda a: abs(a[0]),
    "phi": lambda a: 0.5 * math.erfc(-a[0] / math.sqrt(2)),
    "min": min,
    "max": max,
    "sum": sum,
    "mean": lambda a: sum(a) / len(a),
}
OBVIOUS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": lambda a, b: a != 0 and b != 0,
    "or": lambda a, b: a != 0 or b != 0,
}


def by_row(tree: Expression, row: dict[str, float]) -> float:
    """The obvious meaning of an expression, one row at a time."""
    match tree:
        case Number():
            return tree.value
        case Name():
            return row[tree.name]
        case Unary():
            return -by_row(tree.operand, row)
        case Call(function="ifelse"):
            condition = by_row(tree.arguments[0], row)
            return NAN if math.isnan(condition) else by_row(tree.arguments[1 if condition else 2], row)
        case Call(function="missing"):
            condition = by_row(tree.arguments[0], row)
            return NAN if condition and not math.isnan(condition) else by_row(tree.arguments[1], row)
        case Call():
            arguments = [by_row(argument, row) for argument in tree.arguments]
            if any(map(math.isnan, arguments)):
                return NAN
            return MEANINGS[tree.function](arguments)
        case Binary():
            a, b = by_row(tree.left, row), by_row(tree.right, row)
            if math.isnan(a) or math.isnan(b):
                return NAN
            return float(OBVIOUS[tree.operator](a, b))


@given(st.recursive(LEAVES, _grown, max_leaves=12))
def test_random_expressions_row_by_row(tree: Expression) -> None:
    rows = [{name: float(DATA.values(name)[i]) for name in DATA.columns} for i in range(DATA.rows)]
    np.testing.assert_allclose(value(tree), [by_row(tree, row) for row in rows], rtol=1e-12)


@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if f.only in ("", "TRANSFORM")], ids=lambda f: f.name
)
def test_functions_of_the_language_are_those_of_computed_columns(function: Function) -> None:
    """What the language has and does not bind to another command works in TRANSFORM, but for forms of outcomes."""
    script = f"TRANSFORM: new = {function.name}({', '.join(['half'] * function.least)});"
    definition = parse_script(Source(Path("model.imp"), script))[0].transform[0]
    values, problems = evaluate(definition.expression, table_of(half=[0.5, 0.5], id=[1, 2]), ("id",))
    if function.name in ("logit", "probit", "yjt", "iyjt", "var"):
        assert problems[0].message == f"there is no function '{function.name}' for data"
    else:
        assert problems == [] and len(values) == 2


def test_computed_columns_have_no_other_functions() -> None:
    listed = {function.name for function in FUNCTIONS}
    assert listed >= set(data_functions.FUNCTIONS)


def test_lags_are_no_columns() -> None:
    found = problem(node("x.lag"))
    assert found.message == "there is no variable 'x.lag' in the data"
    assert found.hint == "earlier values exist in MODEL only, in definitions too: d = y - y.lag;"

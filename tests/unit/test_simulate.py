"""SIMULATE: levels, order of computation, operators, lags, ranges, missing values, columns, determinism."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlbayes.data.levels import CONSTANTS, Levels
from mlbayes.data.simulate import simulate
from mlbayes.data.table import Table
from mlbayes.language.parse import parse_script
from mlbayes.problems import ProblemError
from mlbayes.results.simulated import simulated_summaries
from mlbayes.source import Source


def table(text: str) -> Table:
    script, problems = parse_script(Source(Path("test.imp"), text))
    assert problems == []
    return simulate(script)


def columns(text: str) -> dict[str, np.ndarray]:
    return {name: column.values for name, column in table(text).columns.items()}


def single(statements: str, rows: int = 6, more: str = "") -> dict[str, np.ndarray]:
    return columns(f"SIMULATE: n = {rows}; n: {statements} {more}")


def messages(text: str) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        table(text)
    return [problem.message for problem in caught.value.problems]


# ------------------------------------------------------------------ levels
def test_units_are_spread_evenly_and_in_order():
    levels = Levels({1: "row", 2: "pupil", 3: "school"}, {1: 11, 2: 5, 3: 2, CONSTANTS: 1})
    pupil, school = levels.ancestors(1, 2), levels.ancestors(1, 3)
    assert pupil.tolist() == sorted(pupil.tolist()) and set(np.bincount(pupil)) == {2, 3}
    assert school.tolist() == levels.ancestors(2, 3)[pupil].tolist()
    assert set(np.bincount(levels.ancestors(2, 3))) == {2, 3}
    assert levels.ancestors(1, CONSTANTS).tolist() == [0] * 11
    assert levels.times(1).tolist() == [k + 1 for count in np.bincount(pupil) for k in range(count)]
    assert levels.times(3).tolist() == [1, 2]


@pytest.mark.parametrize(("rows", "clusters"), [(1, 1), (7, 7), (20, 3), (1000, 137)])
def test_every_cluster_has_rows(rows, clusters):
    counts = np.bincount(Levels({1: "a", 2: "b"}, {1: rows, 2: clusters, CONSTANTS: 1}).ancestors(1, 2))
    assert len(counts) == clusters and counts.sum() == rows and np.ptp(counts) <= 1


def test_three_levels_in_any_order_of_the_text():
    found = columns(
        """SIMULATE: row: c = b + row.time / 100; a2 = a; school: a = school; pupil: b = 10 * a + pupil.time;
        school(3) = 2; row(1) = 2 * 2 * 3; pupil(2) = 2 * 3;"""
    )
    assert found["a"].tolist() == [1] * 6 + [2] * 6
    assert found["b"].tolist() == [11, 11, 12, 12, 13, 13, 21, 21, 22, 22, 23, 23]
    assert np.allclose(found["c"], found["b"] + np.tile([0.01, 0.02], 6))
    assert list(found) == ["pupil", "school", "c", "a2", "a", "b"]


def test_numbers_of_units_and_places_in_clusters():
    found = columns("SIMULATE: row(1) = 5; group(2) = 2; row: t = row.time; k = row; g = group.time;")
    assert found["k"].tolist() == [1, 2, 3, 4, 5] and found["g"].tolist() == found["group"].tolist()
    assert found["t"].tolist() == [1, 2, 3, 1, 2]
    assert single("t = n.time;")["t"].tolist() == [1, 2, 3, 4, 5, 6]


def test_sizes_use_constants_wherever_these_stand():
    found = columns("SIMULATE: row(1) = each * 4; cluster(2) = 4; row: x = 1; define: each = 3;")
    assert len(found["x"]) == 12
    assert len(single("x = k;", more="define: k = 2;")["x"]) == 6
    assert len(columns("SIMULATE: n = 0.1 * 30; n: x = 1;")["x"]) == 3  # 3.0000000000000004 is a whole number


# ------------------------------------------------------------------ statements
def test_constants_and_operators():
    found = single(
        "k := 3; y = k * c; z ~ normal(y, 0); w <- normal(y, 0); e = 2 * h;", more="define: c = 2; h := 1/2;"
    )
    assert found["y"].tolist() == [6] * 6 == found["z"].tolist() == found["w"].tolist()
    assert list(found) == ["y", "z", "w", "e"]  # constants are no columns


def test_expressions_have_the_functions_of_the_language():
    found = single(
        """a = ifelse(n.time > 3, sqrt(n.time - 3), 0); b = min(n.time, 2) + max(1, 2) + abs(0 - 1) + mean(1, 3);
        c = phi(iphi(n.time / 7)) * 7; d = normal_pdf(0); e = exp(ln(2)) ^ 2; f = n.time >= 2 and n.time != 3;"""
    )
    assert found["a"].tolist() == pytest.approx([0, 0, 0, 1, math.sqrt(2), math.sqrt(3)])
    assert found["b"].tolist() == [6, 7, 7, 7, 7, 7]
    assert found["c"].tolist() == pytest.approx([1, 2, 3, 4, 5, 6])
    assert found["d"][0] == pytest.approx(1 / math.sqrt(2 * math.pi)) and found["e"][0] == pytest.approx(4)
    assert found["f"].tolist() == [0, 1, 0, 1, 1, 1]


def test_missing_values():
    found = single(
        "x = missing(n.time < 3, n.time); y = x + 1; m = ismissing(y); z = normal(x, 1); b = bernoulli(0 * x);"
    )
    assert np.isnan(found["x"]).tolist() == [True, True] + [False] * 4
    assert found["m"].tolist() == [1, 1, 0, 0, 0, 0]
    assert np.isnan(found["z"]).tolist() == np.isnan(found["b"]).tolist() == np.isnan(found["y"]).tolist()


def test_a_range_makes_independent_draws_and_a_loop_its_statements():
    found = single("x1:x3 = normal(0, 1); { i in 1:3 }: y[i] = 2 * x[i];")
    assert len({found[f"x{i}"][0] for i in (1, 2, 3)}) == 3
    assert all((found[f"y{i}"] == 2 * found[f"x{i}"]).all() for i in (1, 2, 3))
    assert "s" in single("x1:x3 = 1; s = x1:+:x3;") and single("x1:x3 = 1; s = x1:+:x3;")["s"][0] == 3


def test_two_draws_in_a_statement_differ_and_a_value_stays_what_it_is():
    found = single("d = normal(0, 1) - normal(0, 1); u = uniform(0, 1); a = u; b = u;", rows=50)
    assert (np.abs(found["d"]) > 0).all() and (found["a"] == found["b"]).all()


def test_bounds_and_degenerate_distributions():
    found = single(
        "u = uniform(2, 2); v = uniform(n.time, n.time + 1); a = bernoulli(0); b = bernoulli(1);", rows=400
    )
    assert (found["u"] == 2).all() and (found["a"] == 0).all() and (found["b"] == 1).all()
    assert ((found["v"] >= np.arange(1, 401)) & (found["v"] < np.arange(2, 402))).all()


def test_draws_of_units_that_are_not_used_may_have_wrong_parameters():
    x = "x = ifelse(n.time > 3, normal(0, n.time - 3), 5);"
    found = single(f"{x} y = missing(n.time < 3, 0 * bernoulli(n.time - 2));", rows=3)
    assert found["x"].tolist() == [5, 5, 5]
    assert found["y"][2] == 0


# ------------------------------------------------------------------ lags
def test_lags_begin_anew_in_every_cluster():
    found = columns(
        """SIMULATE: t(1) = 6; p(2) = 2; p: w = p; before = w.lag;
        t: x = t; one = x.lag; two = x.lag2; sum = sum.lag + x;"""
    )
    assert found["one"].tolist() == [0, 1, 2, 0, 4, 5]
    assert found["two"].tolist() == [0, 0, 1, 0, 0, 4]
    assert found["sum"].tolist() == [1, 3, 6, 4, 9, 15]
    assert found["before"].tolist() == [0, 0, 0, 1, 1, 1]


def test_variables_may_depend_on_earlier_values_of_each_other():
    noise = "e = normal(0, 1); f = normal(0, 1);"
    found = columns(
        f"""SIMULATE: t(1) = 30; p(2) = 5; t: {noise}
        x = ifelse(t.time == 1, 2, 0.5*x.lag - 0.2*y.lag) + e; y = 0.3*x + 0.4*y.lag + f;"""
    )
    for cluster in range(5):
        x = y = 0.0
        for row in range(6 * cluster, 6 * cluster + 6):
            x = (2 if row == 6 * cluster else 0.5 * x - 0.2 * y) + found["e"][row]
            y = 0.3 * x + 0.4 * y + found["f"][row]
            assert found["x"][row] == pytest.approx(x) and found["y"][row] == pytest.approx(y)


def test_the_noise_is_the_same_whether_computed_at_once_or_by_occasion():
    script = "SIMULATE: t(1) = 40; p(2) = 4; t: x = normal(0, 1); z = normal(0, 1); x ~~ z = .5;"
    plain, stepped = columns(script), columns(script + "t: l = x.lag;")
    assert (plain["x"] == stepped["x"]).all() and (plain["z"] == stepped["z"]).all()


# ------------------------------------------------------------------ correlations
def test_correlated_draws_are_a_cholesky_factor_times_independent_ones():
    found = columns(
        """SIMULATE: n = 50; n: a = normal(1, 4); b = normal(a, 9); c = 5 + normal(0, 1); d = 2*normal(0, 1);
        a ~~ b = .6; define: d ~~ b := r; r = 0.5; SEED: 8;"""
    )
    rng = np.random.Generator(np.random.Philox(key=[8, 2**32 - 1]))
    first, second, third, alone = rng.standard_normal((4, 50))
    za, zb = first, 0.6 * first + 0.8 * second
    zd = 0.5 / 0.8 * second + math.sqrt(1 - 0.625**2) * third  # not correlated with a
    assert np.allclose(found["a"], 1 + 2 * za) and np.allclose(found["b"], found["a"] + 3 * zb)
    assert np.allclose(found["d"], 2 * zd) and np.allclose(found["c"], 5 + alone)


def test_correlations_with_a_list():
    found = columns("SIMULATE: n = 9; n: a = normal(0, 1); b1:b2 = normal(0, 1); a ~~ b1:b2 = 0.7;")
    assert list(found) == ["a", "b1", "b2"]


# ------------------------------------------------------------------ the table
def test_variables_choose_and_order_the_columns():
    text = "SIMULATE: row(1) = 4; g(2) = 2; define: k = 7; g: u = g; row: x1:x3 = row; y = 1;"
    found = table(text + "VARIABLES: y x2:x3 g u k row.time;")
    assert list(found.columns) == ["y", "x2", "x3", "g", "u", "k", "row.time"]
    assert found.values("k").tolist() == [7] * 4 and found.values("row.time").tolist() == [1, 2, 1, 2]
    assert found.rows == 4 and not any(column.computed for column in found.columns.values())
    assert found.simulated["u"].tolist() == [1, 2] and "g" not in found.simulated


def test_summaries_are_over_the_units_of_a_level():
    made = table(
        "SIMULATE: row(1) = 12; g(2) = 4; g: u = g; row: x = missing(row > 9, row); v = missing(1 == 1, 0);"
    )
    u, x, v = simulated_summaries(made)
    assert (u.variable, u.mean, u.variance, u.missing) == ("u", 2.5, pytest.approx(5 / 3), 0.0)
    assert (u.q25, u.q50, u.q75) == (1.5, 2.5, 3.5)
    assert (x.mean, x.missing, x.sd) == (5.0, 25.0, pytest.approx(math.sqrt(7.5)))
    assert v.mean is None and v.q50 is None and v.missing == 100.0


def test_the_seed_and_nothing_else_decides():
    text = "SIMULATE: t(1) = 30; p(2) = 6; p: u = normal(0, 1); t: x = uniform(0, 1); y = bernoulli(x) + u;"
    one, two, other = (
        columns(text + "SEED: 3;"),
        columns(text + "SEED: 3; BURN: 7;"),
        columns(text + "SEED: 4;"),
    )
    assert all((one[name] == two[name]).all() for name in one)
    assert all((one[name] != other[name]).any() for name in ("u", "x", "y"))
    assert all((one[name] == columns(text + "t: more = normal(0, 1); SEED: 3;")[name]).all() for name in one)


def test_the_stream_is_not_that_of_a_chain():
    found = single("z = normal(0, 1);", rows=100, more="SEED: 5;")["z"]
    for chain in range(8):
        rng = np.random.Generator(np.random.Philox(key=[5, chain]))
        assert not np.isin(found, rng.standard_normal(1000)).any()


# ------------------------------------------------------------------ errors that the transcripts do not show
def test_one_problem_for_each_place_in_a_range():
    assert messages("SIMULATE: n = 5; n: x1:x9 = normal(0, 0 - 1);") == [
        "normal(0, -1) needs a variance that is not negative (n 1 and 4 others)"
    ]


def test_a_limit_on_the_number_of_values_counts_variables():
    (message,) = messages("SIMULATE: n = 1000000; n: x1:x100 = normal(0, 1);")
    assert "102,000,002 values" in message


def test_correlations_on_the_edge_are_refused():
    assert (
        "between -1 and 1" in messages("SIMULATE: n = 5; n: a = normal(0,1); b = normal(0,1); a ~~ b = 1;")[0]
    )
    chain = "a = normal(0,1); b = normal(0,1); c = normal(0,1); a ~~ b = .6; b ~~ c = .8;"
    assert "not positive definite" in messages(f"SIMULATE: n = 5; n: {chain}")[0]  # .36 + .64 = 1
    columns(f"SIMULATE: n = 5; n: {chain} a ~~ c = .48;")


def test_there_must_be_a_variable():
    for text in ("n = 50;", "n = 50; define: x = 3;", "n(1) = 50; m(2) = 5;"):
        assert messages(f"SIMULATE: {text}") == ["SIMULATE makes no variable"]
    assert columns("SIMULATE: n = 50; VARIABLES: n;").keys() == {"n"}

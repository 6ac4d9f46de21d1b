"""Clusters, their nesting and order, and the levels of variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import DATA, with_shared_data

from mlbayes.data.read import read_table
from mlbayes.data.table import Column, Table
from mlbayes.data.words import MissingCodes, code_words
from mlbayes.language.nodes import Name
from mlbayes.model.hierarchy import build_hierarchy, level_of_values, values_at_level
from mlbayes.model.units import Hierarchy
from mlbayes.problems import ProblemKind

NAN = math.nan


def table_of(**columns: Sequence[float] | Sequence[str]) -> Table:
    made = {}
    for name, values in columns.items():
        if isinstance(values[0], str):
            words = tuple(str(value) for value in values)
            made[name] = Column(name, name, code_words(words, MissingCodes(())), words)
        else:
            made[name] = Column(name, name, np.array(values, float))
    return Table(Path("some.dat"), made, (), np.arange(1, len(values) + 1))


def built(table: Table, *identifiers: str, rows: list[int] | None = None) -> Hierarchy:
    used = np.array(range(table.rows) if rows is None else rows)
    hierarchy, problems = build_hierarchy(table, tuple(map(Name, identifiers)), used)
    assert problems == []
    return hierarchy


def message(table: Table, *identifiers: str) -> str:
    hierarchy, problems = build_hierarchy(table, tuple(map(Name, identifiers)), np.arange(table.rows))
    assert hierarchy.levels == 1
    return " | ".join(problem.message for problem in problems)


def as_lists(arrays: tuple[np.ndarray, ...]) -> list[list[int]]:
    return [array.tolist() for array in arrays]


def test_without_clusters() -> None:
    hierarchy = built(table_of(x=[3, 1, 2]), rows=[0, 2])
    assert (hierarchy.levels, hierarchy.units, hierarchy.order.tolist()) == (1, (2,), [0, 2])


def test_two_levels_in_order_of_appearance() -> None:
    hierarchy = built(table_of(id=[9, 2, 9, 5, 2]), "id")
    assert hierarchy.identifiers == ("id",)
    assert hierarchy.units == (5, 3)
    assert hierarchy.order.tolist() == [0, 2, 1, 4, 3]
    assert as_lists(hierarchy.parents) == [[0, 0, 1, 1, 2]]
    assert hierarchy.labels == (("9", "2", "5"),)


@pytest.mark.parametrize("order", [("pupil", "school"), ("school", "pupil")])
def test_three_levels_in_any_order(order: tuple[str, str]) -> None:
    table = table_of(school=["b", "a", "b", "a", "b"], pupil=[4, 1.5, 3, 2, 4])
    hierarchy = built(table, *order)
    assert hierarchy.identifiers == ("pupil", "school")
    assert hierarchy.units == (5, 4, 2)
    assert hierarchy.order.tolist() == [0, 4, 2, 1, 3]
    assert as_lists(hierarchy.parents) == [[0, 0, 1, 2, 3], [0, 0, 1, 1]]
    assert hierarchy.labels == (("4", "3", "1.5", "2"), ("b", "a"))


def test_only_used_rows_count() -> None:
    hierarchy = built(table_of(id=[1, 2, NAN, 1, 3]), "id", rows=[1, 3, 4])
    assert hierarchy.order.tolist() == [1, 3, 4]
    assert hierarchy.labels == (("2", "1", "3"),)


def test_no_rows() -> None:
    assert built(table_of(id=[1, 2]), "id", rows=[]).units == (0,)


def test_missing_identifier() -> None:
    table = table_of(id=[1, NAN, 2, NAN])
    _, problems = build_hierarchy(table, (Name("id"),), np.arange(4))
    assert problems[0].message == "the identifier 'id' is missing"
    assert problems[0].place == "some.dat, lines 2, 4"
    assert problems[0].kind is ProblemKind.DATA


def test_bad_identifiers() -> None:
    table = table_of(school=[1, 1, 2, 2], pupil=[1, 2, 3, 4], same=[5, 5, 6, 6], shift=[1, 2, 1, 2])
    assert "is not in the data" in message(table, "schol")
    assert "is listed twice" in message(table, "school", "school")
    assert "more than three levels" in message(table, "school", "pupil", "same")
    assert "tell the same clusters apart" in message(table, "school", "same")
    assert message(table, "school", "shift") == (
        "neither identifier nests in the other: cluster 1 of 'shift' lies in clusters 1 and 2 of 'school' "
        "(lines 1 and 3), and cluster 1 of 'school' lies in clusters 1 and 2 of 'shift' (lines 1 and 2)"
    )


THREE = table_of(school=[1, 1, 1, 2, 2, 2], pupil=[1, 1, 2, 3, 3, 4])


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ([1, 2, 3, 4, 5, 6], 1),
        ([1, 1, 3, 4, 4, 6], 2),
        ([1, 1, 1, 4, 4, 4], 3),
        ([1, NAN, 3, NAN, 4, 6], 2),
        ([1, NAN, NAN, NAN, 4, NAN], 3),
        ([1, 2, 1, 4, 4, 4], 1),
        ([7, 7, 7, 7, 7, 7], 3),
        ([NAN] * 6, 1),
    ],
)
def test_levels_of_variables(values: list[float], level: int) -> None:
    hierarchy = built(THREE, "school", "pupil")
    assert level_of_values(hierarchy, np.array(values, float)) == level


def test_clusters_of_one_row_are_not_a_level_of_variables() -> None:
    hierarchy = built(table_of(id=[1, 2, 3]), "id")
    assert level_of_values(hierarchy, np.array([1.0, 2, 3])) == 1


def test_values_at_level_are_filled() -> None:
    hierarchy = built(THREE, "school", "pupil")
    np.testing.assert_array_equal(
        values_at_level(hierarchy, np.array([NAN, 1, 2, NAN, NAN, 4]), 2), [1, 2, NAN, 4]
    )
    np.testing.assert_array_equal(
        values_at_level(hierarchy, np.array([NAN, 1, 1, NAN, NAN, NAN]), 3), [1, NAN]
    )
    values = np.array([1.0, 2, 3, NAN, 5, 6])
    np.testing.assert_array_equal(values_at_level(hierarchy, values, 1), values)


@st.composite
def nested(draw: st.DrawFn) -> Table:
    """Three levels in random order of rows, with ids that are numbers or words."""
    schools = draw(st.lists(st.integers(0, 7), min_size=2, max_size=40))
    pupils = [10 * school + draw(st.integers(0, 2)) for school in schools]
    return table_of(school=[float(s) for s in schools], pupil=[float(p) for p in pupils])


def usable(table: Table) -> bool:
    numbers = [len(np.unique(table.values(name))) for name in ("school", "pupil")]
    return numbers[0] < numbers[1]


@given(nested().filter(usable))
def test_hierarchies_describe_the_data(table: Table) -> None:
    hierarchy = built(table, "school", "pupil")
    assert sorted(hierarchy.order.tolist()) == list(range(table.rows))
    for level, name in enumerate(hierarchy.identifiers, start=2):
        units = hierarchy.ancestors(1, level)
        labels = [float(hierarchy.labels[level - 2][unit]) for unit in units]
        assert labels == table.values(name)[hierarchy.order].tolist()
        assert set(units.tolist()) == set(range(hierarchy.units[level - 1]))
    for parent in hierarchy.parents:
        assert (np.diff(parent) >= 0).all()
    pupils = hierarchy.ancestors(1, 2)
    assert (np.diff(hierarchy.order)[np.diff(pupils) == 0] > 0).all()
    assert level_of_values(hierarchy, table.values("school")[hierarchy.order]) == 3


@given(nested().filter(usable), st.integers(0, 2**32 - 1))
def test_names_of_clusters_do_not_matter(table: Table, seed: int) -> None:
    rng = np.random.default_rng(seed)
    renamed = {}
    for name, column in table.columns.items():
        ids, codes = np.unique(column.values, return_inverse=True)
        words = [f"unit {k}" for k in rng.permutation(len(ids))]
        renamed[name] = [words[code] for code in codes]
    one, two = built(table, "school", "pupil"), built(table_of(**renamed), "pupil", "school")
    assert (one.identifiers, one.units) == (two.identifiers, two.units)
    np.testing.assert_array_equal(one.order, two.order)
    assert as_lists(one.parents) == as_lists(two.parents)


@given(nested().filter(usable), st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_only_the_order(table: Table, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(table.rows)
    other = table_of(**{name: column.values[mixed].tolist() for name, column in table.columns.items()})
    one, two = built(table, "school", "pupil"), built(other, "school", "pupil")
    assert one.units == two.units
    for level in (0, 1):
        sizes = [
            dict(zip(h.labels[level], np.bincount(h.ancestors(1, level + 2)).tolist(), strict=True))
            for h in (one, two)
        ]
        assert sizes[0] == sizes[1]


@with_shared_data
def test_levels_of_real_data() -> None:
    table = read_table(DATA / "hs.csv", (), ())
    hierarchy = built(table, "school")
    levels = {name: level_of_values(hierarchy, table.values(name)[hierarchy.order]) for name in table.columns}
    assert {name for name, level in levels.items() if level == 1} == {"mathach", "ses", "female", "minority"}

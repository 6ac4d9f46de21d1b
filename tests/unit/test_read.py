"""Reading data files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import DATA, with_shared_data

from mlbayes.data.read import BLOCK, SHOWN_LENGTHS, read_table, require_numeric
from mlbayes.data.table import Table
from mlbayes.problems import Problem, ProblemError, ProblemKind


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "some.dat"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problems_of(path: Path, names: tuple[str, ...] = (), codes: tuple[str, ...] = ()) -> list[Problem]:
    with pytest.raises(ProblemError) as caught:
        read_table(path, names, codes)
    return caught.value.problems


def same(table: Table, **columns: Sequence[float]) -> None:
    assert list(table.columns) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(table.values(name), np.array(values, float), err_msg=name)


NAN = math.nan


@pytest.mark.parametrize(
    "content",
    [
        "1 2\n3 4\n",
        "1,2\n3,4",
        "1, 2\n3 ,4 \n",
        "1\t2\n3\t4\n",
        "\n  1   2  \n\n3 4\n\n\n",
        "\ufeff1 2\r\n3 4\r\n",
        "1 2\r3 4\r",
        "1,2,\n3,4,\n",
        '"1","2"\n"3","4"\n',
        '"1" 2\n3 "4"\n',
        "1e0 +2.\n3.00 .4e1",
    ],
)
def test_layouts(tmp_path: Path, content: str) -> None:
    same(read_table(written(tmp_path, content), ("A", "b"), ()), a=[1, 3], b=[2, 4])


def test_header_gives_names_and_titles(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'ID,"MathAch",x.1,\n1,2,3,\n4,,6,\n'), (), ("-9",))
    same(table, id=[1, 4], mathach=[2, NAN], **{"x.1": [3, 6]})
    assert [column.title for column in table.columns.values()] == ["ID", "MathAch", "x.1"]
    assert table.missing_codes == ("-9",)


def test_lines_of_rows_skip_blank_lines(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x\n\n1\n \n2\n"), (), ())
    assert table.lines.tolist() == [3, 5]
    assert table.rows == 2


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("999", "999.0"),
        ("-9.50", "-9.5"),
        ("NA", "na"),
        (".", "."),
        ("NaN", "NaN"),
        ("NA", '"NA"'),
        ("0", "-0"),
    ],
)
def test_missing_codes(tmp_path: Path, code: str, word: str) -> None:
    table = read_table(written(tmp_path, f"1 {word}\n{word} 2\n"), ("a", "b"), (code,))
    same(table, a=[1, NAN], b=[NAN, 2])


def test_empty_field_between_commas_is_missing(tmp_path: Path) -> None:
    same(
        read_table(written(tmp_path, "1,,3\n,2, \n,,\n"), ("a", "b", "c"), ()),
        a=[1, NAN, NAN],
        b=[NAN, 2, NAN],
        c=[3, NAN, NAN],
    )


def test_text_columns_do_no_harm(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "1 mia 3\n2 leo 4\n3 NA 5\n4 mia 6\n"), ("a", "b", "c"), ("NA",))
    same(table, a=[1, 2, 3, 4], b=[0, 1, NAN, 0], c=[3, 4, 5, 6])
    assert table.columns["b"].texts == ("mia", "leo", "NA", "mia")
    assert require_numeric(table, "a") == []


def test_require_numeric_names_line_and_column(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a Bb\n1 2\n\n1 2,5\n1 x\n1 x\n1 NA\n1 inf\n1 1_0\n"), (), ())
    problems = require_numeric(table, "bb")
    assert problems[0].message == "'2,5' is not a number"
    assert problems[0].place == "some.dat, line 4, column 'Bb'"
    assert problems[0].kind is ProblemKind.DATA
    assert problems[1].message == "'x' is not a number (and in 1 other row)"
    assert problems[2].hint == "if it stands for a missing value, declare it: MISSING: NA;"
    assert problems[3].message == "and 2 more problems like these"


@pytest.mark.parametrize("word", ["inf", "-Infinity", "nan", "1e999"])
def test_numbers_must_be_finite(tmp_path: Path, word: str) -> None:
    table = read_table(written(tmp_path, f"1\n{word}\n"), ("a",), ())
    assert [p.message for p in require_numeric(table, "a")] == [f"'{word}' is not a finite number"]


@pytest.mark.parametrize("word", ["1_000", "٣", "0x10", "1d3", "--1", "1 2"])
def test_python_spellings_are_text(tmp_path: Path, word: str) -> None:
    table = read_table(written(tmp_path, f'1\n"{word}"\n'), ("a",), ())
    assert len(require_numeric(table, "a")) == 1


def test_large_identifiers_stay_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "9007199254740992 1\n9007199254740993 2\n")
    table = read_table(path, ("id", "x"), (), frozenset({"id"}))
    same(table, id=[0, 1], x=[1, 2])


def test_every_ragged_row_is_reported(tmp_path: Path) -> None:
    problems = problems_of(written(tmp_path, "1 2\n3\n4 5\n6 7 8\n"), ("a", "b"))
    assert [(p.place, p.message) for p in problems] == [
        ("some.dat, line 2", "expected 2 values, found 1"),
        ("some.dat, line 4", "expected 2 values, found 3"),
    ]
    assert all(p.kind is ProblemKind.DATA for p in problems)


def test_ragged_rows_in_a_later_block(tmp_path: Path) -> None:
    problems = problems_of(written(tmp_path, "1 2\n" * (BLOCK + 3) + "1\n"), ("a", "b"))
    assert [p.place for p in problems] == [f"some.dat, line {BLOCK + 4}"]


def test_text_in_a_later_block(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "1 2\n" * BLOCK + "1 x\n"), ("a", "b"), ())
    assert table.columns["b"].texts is not None
    assert table.values("b")[-2:].tolist() == [0, 1]
    assert table.values("a").sum() == BLOCK + 1


def test_many_problems_are_counted(tmp_path: Path) -> None:
    problems = problems_of(written(tmp_path, "1\n1 1\n" * 30), ("a", "b"))
    assert len(problems) == SHOWN_LENGTHS + 1
    assert problems[-1].message == "and 25 more problems like these"


@pytest.mark.parametrize(
    ("content", "names", "message", "hint"),
    [
        ("", ("a",), "the data file is empty", ""),
        ("\ufeff\r\n \n", (), "the data file is empty", ""),
        ("a b\n", (), "the data file has a header but no rows", ""),
        ("a b A\n1 2 3\n", (), "2 columns are named 'a' (columns 1, 3)", "rename"),
        ("1 2\n3 4\n", (), "the first line holds numbers, not the names of the columns", "VARIABLES"),
        ("a,,c\n1,2,3\n", (), "the name of column 2 is empty", "needs a name"),
        (",b,c\n1,2,3\n", (), "the name of column 1 is empty", "row names"),
        (
            "A b\n1 2\n",
            ("a", "b"),
            "the first line looks like a header, but VARIABLES names the columns",
            "leave out",
        ),
        (
            "p q\n1 2\n",
            ("a", "b"),
            "the first line looks like a header, but VARIABLES names the columns",
            "leave out",
        ),
        ("a b\n1 2 3\n2 3 4\n", (), "expected 2 values, found 3", "row name"),
        ("a b\n1;2\n", (), "expected 2 values, found 1", "commas"),
        (b"1 2\n3 \x00\n", ("a", "b"), "there is a NUL byte in this line", "plain text"),
        (b"1 2\n3 \xe5\n", ("a", "b"), "byte 3 of this line (0xe5) is not UTF-8", "UTF-8"),
        ("1 2".encode("utf-16"), ("a", "b"), "the file is encoded in UTF-16", "UTF-8"),
    ],
)
def test_bad_files(
    tmp_path: Path, content: str | bytes, names: tuple[str, ...], message: str, hint: str
) -> None:
    problem = problems_of(written(tmp_path, content), names)[0]
    assert problem.message == message
    assert hint in problem.hint
    whole = message in ("the data file is empty", "the file is encoded in UTF-16")
    assert problem.place.partition(", ")[2] == ("" if whole else f"line {problem.place[-1]}")
    assert ("NUL" not in message and "UTF-8" not in message) or problem.place.endswith("line 2")


def test_first_row_of_text_is_no_header_above_text(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a x\nb y\n"), ("p", "q"), ())
    same(table, p=[0, 1], q=[0, 1])


def test_unreadable_files(tmp_path: Path) -> None:
    for path, message in [
        (tmp_path / "no.dat", "does not exist"),
        (tmp_path, "is a folder"),
        (Path("a\0b"), "cannot be"),
    ]:
        problem = problems_of(path, ("a",))[0]
        assert problem.kind is ProblemKind.FILE
        assert message in problem.message


CELLS = st.one_of(st.none(), st.floats(-1e12, 1e12).filter(lambda x: x != -99), st.integers(-98, 10**9))


@given(
    columns=st.integers(1, 5).flatmap(
        lambda k: st.lists(st.lists(CELLS, min_size=k, max_size=k), min_size=1, max_size=12)
    ),
    separator=st.sampled_from([",", " ", "\t", " , ", "   "]),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"]),
    code=st.sampled_from(["NA", "-99", ".", "nan", "-99.0"]),
    header=st.booleans(),
    quoted=st.booleans(),
    mark=st.booleans(),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    columns: list[list[float | None]],
    separator: str,
    end: str,
    code: str,
    header: bool,
    quoted: bool,
    mark: bool,
) -> None:
    rows = columns
    names = tuple(f"X{i}" for i in range(len(rows[0])))
    words = [[code if cell is None else repr(cell) for cell in row] for row in rows]
    if header:
        words.insert(0, list(names))
    if quoted:
        words = [[f'"{word}"' for word in row] for row in words]
    text = ("\ufeff" if mark else "") + end.join(separator.join(row) for row in words)
    path = written(tmp_path_factory.mktemp("trip"), text)
    table = read_table(path, () if header else names, (code,))
    expected = np.array([[NAN if cell is None else cell for cell in row] for row in rows], float)
    np.testing.assert_array_equal(np.column_stack([c.values for c in table.columns.values()]), expected)
    assert all(column.texts is None for column in table.columns.values())


@given(st.binary(max_size=200), st.booleans())
def test_hostile_files_end_in_tables_or_problems(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool
) -> None:
    path = written(tmp_path_factory.mktemp("hostile"), content)
    try:
        table = read_table(path, () if header else ("a", "b"), ("NA", "9"))
    except ProblemError as error:
        assert error.problems
    else:
        assert all(len(column.values) == table.rows > 0 for column in table.columns.values())
        for name in table.columns:
            require_numeric(table, name)


@given(st.text(st.sampled_from('19.,"- \tNAeinf_\n\r'), max_size=60))
def test_hostile_words(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = written(tmp_path_factory.mktemp("words"), content)
    try:
        table = read_table(path, ("a", "b"), ("NA", "9"))
    except ProblemError:
        return
    for column in table.columns.values():
        assert not np.isinf(column.values).any()
        assert not (column.texts is None and (column.values == 9).any())


@with_shared_data
def test_real_files() -> None:
    schools = read_table(DATA / "hs.csv", (), ())
    assert schools.rows == len((DATA / "hs.csv").read_text().splitlines()) - 1
    assert schools.columns["mathach"].title == "MathAch"
    assert schools.values("sector").max() == 1
    for path in sorted(DATA.glob("*.dat")):
        width = len(path.read_text("utf-8-sig").splitlines()[0].split())
        names = tuple(f"v{i}" for i in range(width))
        table = read_table(path, names, ("999",))
        plain = np.loadtxt(path, encoding="utf-8-sig", ndmin=2)
        plain[plain == 999] = np.nan
        np.testing.assert_array_equal(np.column_stack([table.values(name) for name in names]), plain)


def test_what_may_never_end_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.dat"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
        (problem,) = problems_of(path)
        assert problem.message == f"'{path}' is a device or a pipe, not a data file"
        assert problem.kind is ProblemKind.FILE

"""DROPOUT: the indicator, and the rows after a dropout."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlbayes import pipeline
from mlbayes.data.table import Table
from mlbayes.model.model import Distribution, Kind, Model
from mlbayes.problems import ProblemError, render
from mlbayes.source import Source

NAN = math.nan
# 1 drops out at time 3 (with a gap before), 2 stays, 3 drops out at time 2, 4 is never observed.
Y = {1: [5, NAN, 4, NAN, NAN], 2: [1, NAN, 2, 4, 7], 3: [2, 3, NAN, NAN, NAN], 4: [NAN] * 5}
ROWS = [(p, t, y) for p, values in Y.items() for t, y in enumerate(values)]
COMMANDS = "CLUSTERID: id; TIMEID: week; DROPOUT: quit = y;"
MODEL = "MODEL: quit ~ week | 1@0; y ~ week;"


def of_occasions(model: Model) -> tuple[str, ...]:
    """The warnings of a model but for that of a rare category: in so few rows every dropout is rare."""
    return tuple(w for w in model.warnings if not w.startswith("Category 1 of "))


def written(folder: Path, rows: list[tuple[int, float, float]], commands: str) -> Source:
    lines = [f"{p},{t},{'NA' if math.isnan(y) else y},{7 - t}" for p, t, y in rows]
    (folder / "data.csv").write_text("\n".join(["id,week,y,x", *lines]), encoding="utf-8")
    return Source(folder / "model.imp", f"DATA: data.csv; MISSING: NA; OPTIONS: prior1;\n{commands}")


def understood(folder: Path, rows: list[tuple[int, float, float]], commands: str) -> tuple[Model, Table]:
    return pipeline.understand(written(folder, rows, commands))


def complaint(folder: Path, rows: list[tuple[int, float, float]], commands: str) -> str:
    source = written(folder, rows, commands)
    with pytest.raises(ProblemError) as caught:
        pipeline.understand(source)
    return "\n".join(render(problem, source) for problem in caught.value.problems)


def by_person(model: Model, table: Table, name: str) -> dict[int, list[float]]:
    order = model.hierarchy.order
    ids, values = table.values("id")[order], table.values(name)[order]
    return {p: values[ids == p].tolist() for p in sorted(set(ids.astype(int).tolist()))}


def same(found: dict[int, list[float]], expected: dict[int, list[float]]) -> None:
    np.testing.assert_equal(found, expected)


def test_the_occasion_after_the_last_observed_one_is_the_dropout(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shuffled = [ROWS[i] for i in rng.permutation(len(ROWS))]
    for rows in (ROWS, shuffled):
        model, table = understood(tmp_path, rows, COMMANDS + MODEL)
        same(by_person(model, table, "quit"), {1: [0, 0, 0, 1], 2: [0] * 5, 3: [0, 0, 1], 4: [1]})
        same(by_person(model, table, "y"), {1: [5, NAN, 4, NAN], 2: Y[2], 3: [2, 3, NAN], 4: [NAN]})
        assert of_occasions(model) == (
            "7 rows after a dropout were dropped. OPTIONS: nodrop; keeps such rows.",
        )
        variable = model.variables["quit"]
        assert (variable.kind, variable.codes, variable.incomplete) == (Kind.ORDINAL, (0, 1), False)
        assert model.equations[0].distribution is Distribution.PROBIT


def test_rows_after_a_dropout_can_be_kept(tmp_path: Path) -> None:
    model, table = understood(tmp_path, ROWS, COMMANDS + MODEL + "OPTIONS: nodrop;")
    after = {1: [0, 0, 0, 1, NAN], 2: [0] * 5, 3: [0, 0, 1, NAN, NAN], 4: [1, NAN, NAN, NAN, NAN]}
    same(by_person(model, table, "quit"), after)
    assert of_occasions(model) == ()


def test_the_indicator_is_the_last_column(tmp_path: Path) -> None:
    _, table = understood(tmp_path, ROWS, COMMANDS + MODEL + "TRANSFORM: z = x + 1;")
    assert list(table.columns) == ["id", "week", "y", "x", "z", "quit"]


def test_with_lags_occasions_without_a_row_come_first(tmp_path: Path) -> None:
    """A gap before the last observed value is no dropout, one after it is."""
    rows = [(1, 0, 5.0), (1, 2, 4.0), (1, 4, NAN), (2, 0, 1.0), (2, 4, 3.0), (3, 0, 1.0), (3, 1, 2.0)]
    lagged = "MODEL: quit ~ (week>0)*y (week>0)*y.lag | 1@0; y ~ week;"
    model, table = understood(tmp_path, rows, COMMANDS + lagged)
    same(by_person(model, table, "week"), {1: [0, 1, 2, 3], 2: [0, 1, 2, 3, 4], 3: [0, 1]})
    same(by_person(model, table, "quit"), {1: [0, 0, 0, 1], 2: [0] * 5, 3: [0, 0]})
    assert list(of_occasions(model)) == [
        "5 occasions without a row were added, with missing values: '.lag' is the row of the previous whole number "
        "of week (TIMEID).",
        "1 row after a dropout was dropped. OPTIONS: nodrop; keeps such rows.",
        "1 cluster ends with an observed outcome before the last occasion of the data: not counted as a dropout, "
        "since no row shows it.",
    ]


def test_occasions_need_not_be_whole_without_lags(tmp_path: Path) -> None:
    halves = [(p, t / 2, y) for p, t, y in ROWS]
    model, table = understood(tmp_path, halves, COMMANDS + MODEL)
    same(by_person(model, table, "quit"), {1: [0, 0, 0, 1], 2: [0] * 5, 3: [0, 0, 1], 4: [1]})


def test_two_indicators(tmp_path: Path) -> None:
    """A row goes when it comes after the dropout of both."""
    script = "CLUSTERID: id; TIMEID: week; DROPOUT: quit = y; DROPOUT: left = m; TRANSFORM: m = missing(week > 1, x);"
    model, table = understood(tmp_path, ROWS, script + "MODEL: quit ~ week | 1@0; left ~ week | 1@0;")
    same(by_person(model, table, "quit"), {1: [0, 0, 0, 1], 2: [0] * 5, 3: [0, 0, 1], 4: [1, NAN, NAN]})
    left = {1: [0, 0, 1, NAN], 2: [0, 0, 1, NAN, NAN], 3: [0, 0, 1], 4: [0, 0, 1]}
    same(by_person(model, table, "left"), left)


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("CLUSTERID: id; DROPOUT: quit = y;", "model.imp:2:16: error: DROPOUT needs TIMEID"),
        ("DROPOUT: quit = y;", "model.imp:2:1: error: DROPOUT needs CLUSTERID and TIMEID"),
        (
            "CLUSTERID: id; TIMEID: week; DROPOUT: quit = yy;",
            "model.imp:2:46: error: 'yy' in DROPOUT is not in the data",
        ),
        (
            "CLUSTERID: id; TIMEID: week; DROPOUT: x = y;",
            "model.imp:2:39: error: there is a variable 'x' already",
        ),
        (
            "CLUSTERID: id; TIMEID: week; DROPOUT: quit = x;",
            "model.imp:2:39: error: no cluster drops out: 'x' is observed in the last row of each",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, commands: str, expected: str) -> None:
    assert complaint(tmp_path, ROWS, commands + "MODEL: y ~ week;").splitlines()[0] == expected


def test_times_must_order_the_rows(tmp_path: Path) -> None:
    found = complaint(tmp_path, [*ROWS, (2, 3, 1.0)], COMMANDS + "MODEL: quit ~ week nope | 1@0;")
    assert "2 rows of id 2 have the occasion 3 of 'week': lines 10, 22" in found
    assert "'nope' is not known" in found and "'quit' is not known" not in found

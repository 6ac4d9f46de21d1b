"""Occasions that are missing from the data, their order, and the ends of series."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbayes import pipeline
from mlbayes.data.occasions import series_of
from mlbayes.data.table import Column, Table
from mlbayes.model.model import Model
from mlbayes.model.patterns import data_information
from mlbayes.output.gather import completed
from mlbayes.output.information import data_lines
from mlbayes.problems import ProblemError, render
from mlbayes.results.draws import Snapshot
from mlbayes.source import Source

NAN = math.nan
LAGGED = "CLUSTERID: id; TIMEID: time; MODEL: y ~ y.lag | 1@0;"
# Two people, rows shuffled: the first has no row for times 3 and 4, the second starts later and ends sooner.
GAPS = """\
y,id,time,w,note
5,1,5,10,e
21,2,2,20,a
1,1,1,10,a
23,2,4,20,b
2,1,2,10,c
22,2,3,20,d
6,1,6,10,f
"""


def understood(folder: Path, data: str, commands: str) -> tuple[Model, Table]:
    (folder / "data.csv").write_text(data, encoding="utf-8")
    text = f"DATA: data.csv; MISSING: NA; OPTIONS: prior1;\n{commands}"
    return pipeline.understand(Source(folder / "model.imp", text))


def complaint(folder: Path, data: str, commands: str) -> str:
    with pytest.raises(ProblemError) as caught:
        understood(folder, data, commands)
    source = Source(folder / "model.imp", f"DATA: data.csv; MISSING: NA; OPTIONS: prior1;\n{commands}")
    return "\n".join(render(problem, source) for problem in caught.value.problems)


def analysed(model: Model, table: Table, name: str) -> list[float]:
    return table.values(name)[model.hierarchy.order].tolist()


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(np.array(found), np.array(expected))


# ------------------------------------------------------------------ rows that are added
def test_missing_occasions_become_rows_in_order_of_time(tmp_path: Path) -> None:
    model, table = understood(tmp_path, GAPS, LAGGED + "w ~ 1;")
    same(analysed(model, table, "time"), [1, 2, 3, 4, 5, 6, 2, 3, 4])
    same(analysed(model, table, "y"), [1, 2, NAN, NAN, 5, 6, 21, 22, 23])
    same(analysed(model, table, "id"), [1] * 6 + [2] * 3)
    same(analysed(model, table, "w"), [10] * 6 + [20] * 3)
    assert model.variables["w"].level == 2 and not model.variables["w"].incomplete
    same(model.variables["y"].values.tolist(), [1, 2, NAN, NAN, 5, 6, 21, 22, 23])
    assert model.hierarchy.earlier(1).tolist() == [-1, 0, 1, 2, 3, 4, -1, 6, 7]
    assert model.hierarchy.earlier(2).tolist() == [-1, -1, 0, 1, 2, 3, -1, -1, 6]
    assert model.hierarchy.earlier(99).tolist() == [-1] * 9
    assert model.warnings[0] == (
        "2 occasions without a row were added, with missing values: '.lag' is the row of the previous whole "
        "number of time (TIMEID)."
    )


def test_rows_of_the_file_stay_where_they_are(tmp_path: Path) -> None:
    model, table = understood(tmp_path, GAPS, LAGGED)
    assert (table.rows, table.added, model.used_rows.tolist()) == (9, 2, list(range(9)))
    same(table.values("y").tolist(), [5, 21, 1, 23, 2, 22, 6, NAN, NAN])
    assert table.columns["note"].texts == ("e", "a", "a", "b", "c", "d", "f", "NA", "NA")
    assert [table.in_lines([row]) for row in (0, 6, 7)] == ["line 2", "line 8", "an added occasion"]


def test_complete_occasions_are_left_alone(tmp_path: Path) -> None:
    data = "y,id,time\n1,1,3\n2,1,4\n4,2,-1\n5,2,0\n6,2,1\n"
    model, table = understood(tmp_path, data, LAGGED)
    assert (table.rows, table.added, table.warnings) == (5, 0, ())
    same(analysed(model, table, "time"), [3, 4, -1, 0, 1])


def test_without_lags_rows_are_only_ordered(tmp_path: Path) -> None:
    model, table = understood(tmp_path, GAPS, "CLUSTERID: id; TIMEID: time; MODEL: y ~ time | 1@0;")
    same(analysed(model, table, "time"), [1, 2, 5, 6, 2, 3, 4])
    assert (table.added, model.warnings) == (0, ())


def test_a_single_series(tmp_path: Path) -> None:
    model, table = understood(
        tmp_path, "y,time\n3,4\n1,1\n9,2\n4,6\n5,7\n", "TIMEID: time; MODEL: y ~ y.lag;"
    )
    same(analysed(model, table, "time"), [1, 2, 3, 4, 5, 6, 7])
    same(analysed(model, table, "y"), [1, 9, NAN, 3, NAN, 4, 5])
    assert model.hierarchy.earlier(1).tolist() == [-1, 0, 1, 2, 3, 4, 5]


def test_three_levels(tmp_path: Path) -> None:
    rows = [(s, 10 * s + p, t, 100 * s) for s in (2, 1) for p in (1, 2) for t in (1, 2, 4)]
    data = "school,pupil,time,size,y\n" + "".join(f"{s},{p},{t},{z},{p + t / 7}\n" for s, p, t, z in rows)
    for clusters in ("pupil school", "school pupil"):
        script = f"CLUSTERID: {clusters}; TIMEID: time; FIXED: size; MODEL: y ~ y.lag size | 1@0;"
        model, table = understood(tmp_path, data, script)
        assert model.hierarchy.units == (16, 4, 2) and table.added == 4
        same(analysed(model, table, "time"), [1, 2, 3, 4] * 4)
        same(analysed(model, table, "school"), [2] * 8 + [1] * 8)
        assert model.variables["size"].level == 3 and not model.variables["size"].incomplete


def test_rows_that_a_filter_takes_out_are_still_occasions(tmp_path: Path) -> None:
    model, table = understood(tmp_path, GAPS, LAGGED + "FILTER: y != 22;")
    same(analysed(model, table, "y"), [1, 2, NAN, NAN, 5, 6, 21, NAN, 23])
    assert table.added == 3 and model.used_rows.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_computed_columns_of_added_rows(tmp_path: Path) -> None:
    script = "TRANSFORM: square = time^2; m = cluster_mean(y); dev = y - m; none = ismissing(y); FIXED: square none;"
    script += "CLUSTERID: id; TIMEID: time; MODEL: y ~ y.lag square none | 1@0;"
    model, table = understood(tmp_path, GAPS, script)
    same(analysed(model, table, "square"), [1, 4, 9, 16, 25, 36, 4, 9, 16])
    same(analysed(model, table, "none"), [0, 0, 1, 1, 0, 0, 0, 0, 0])
    same(analysed(model, table, "m"), [3.5] * 6 + [22.0] * 3)
    assert np.isnan(analysed(model, table, "dev")).tolist() == [False] * 2 + [True] * 2 + [False] * 5


def test_the_occasion_may_be_computed(tmp_path: Path) -> None:
    script = "TRANSFORM: wave = time - 1; TIMEID: wave; CLUSTERID: id; MODEL: y ~ y.lag | 1@0;"
    model, table = understood(tmp_path, GAPS, script)
    same(analysed(model, table, "wave"), [0, 1, 2, 3, 4, 5, 1, 2, 3])
    same(analysed(model, table, "time"), [1, 2, NAN, NAN, 5, 6, 2, 3, 4])


def test_computed_columns_can_fail_in_added_rows_alone(tmp_path: Path) -> None:
    script = LAGGED + "TRANSFORM: late = 1/(time - 3);"
    data = GAPS.replace("22,2,3,20,d\n", "")
    assert "data.csv, an added occasion: 1 / 0 is not a finite number (and in 1 other row)" in complaint(
        tmp_path, data, script
    )


def test_words_that_belong_to_a_series_are_carried_on(tmp_path: Path) -> None:
    data = "y,id,time,group\n1,a,1,east\n2,a,3,east\n4,b,1,west\n7,b,4,west\n"
    model, table = understood(tmp_path, data, LAGGED)
    assert [table.columns["id"].texts[row] for row in model.hierarchy.order] == ["a"] * 3 + ["b"] * 4
    assert [table.columns["group"].texts[row] for row in model.hierarchy.order] == ["east"] * 3 + ["west"] * 4


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 3), st.integers(-3, 6)), min_size=2),
    st.randoms(use_true_random=False),
)
def test_any_order_of_rows_gives_the_same_series(rows, random) -> None:
    """Each series has every whole number from its first to its last time, and each row of the data once."""
    from mlbayes.data.occasions import add_occasions

    listed = sorted(rows)
    random.shuffle(listed)
    columns = {
        "id": [float(i) for i, _ in listed],
        "time": [float(t) for _, t in listed],
        "y": [100.0 * i + t for i, t in listed],
    }
    made = {name: Column(name, name, np.array(values)) for name, values in columns.items()}
    table = Table(Path("some.dat"), made, (), np.arange(len(listed)) + 1)
    series = series_of(table, np.arange(table.rows), ["id"], "time")
    longer, problems = add_occasions(table, series, ["id"], "time", {})
    assert problems == []
    wanted = {
        (i, t)
        for i in {i for i, _ in rows}
        for t in range(min(t for j, t in rows if j == i), max(t for j, t in rows if j == i) + 1)
    }
    found = list(zip(longer.values("id").tolist(), longer.values("time").tolist(), strict=True))
    assert len(found) == len(wanted) and set(found) == wanted
    same(longer.values("y")[: table.rows].tolist(), columns["y"])
    if len({t for _, t in rows}) > 1 and len(wanted) > len(rows):
        varying = len({i for i, _ in rows}) < len(rows)
        assert not varying or np.isnan(longer.values("y")[table.rows :]).all()


# ------------------------------------------------------------------ ends of series
ENDS = "y,x,id,time,w\n1,1,1,1,5\n2,2,1,2,5\nNA,NA,1,3,5\nNA,NA,1,4,5\nNA,2,2,1,6\nNA,NA,2,2,6\n3,1,2,3,6\n"


def test_ends_without_values_are_dropped(tmp_path: Path) -> None:
    model, table = understood(tmp_path, ENDS, LAGGED + "x ~ 1;")
    same(analysed(model, table, "time"), [1, 2, 1, 2, 3])
    assert model.warnings == (
        "2 rows at the end of a series were dropped: no variable of the model is observed there or later. "
        "OPTIONS: nodrop; keeps such rows.",
    )
    model, table = understood(tmp_path, ENDS, LAGGED + "x ~ 1; OPTIONS: nodrop;")
    same(analysed(model, table, "time"), [1, 2, 3, 4, 1, 2, 3])


def test_predictors_without_a_distribution_do_not_keep_a_row(tmp_path: Path) -> None:
    data = "y,x,id,time\n1,1,1,1\n2,2,1,2\nNA,7,1,3\n4,1,2,1\n5,3,2,2\n"
    kept = {"FIXED: x;": [1, 2, 1, 2], "": [1, 2, 3, 1, 2]}
    for command, times in kept.items():
        script = f"{command} CLUSTERID: id; TIMEID: time; MODEL: y ~ y.lag x time | 1@0;"
        same(analysed(*understood(tmp_path, data, script), "time"), times)


def test_values_of_clusters_are_not_lost_with_their_rows(tmp_path: Path) -> None:
    data = "y,id,time,w\n1,1,1,NA\n2,1,2,NA\nNA,1,3,5\nNA,1,4,5\nNA,2,1,6\nNA,2,2,6\nNA,3,1,NA\n1,4,1,7\n4,4,2,7\n"
    model, table = understood(tmp_path, data, LAGGED + "w ~ 1;")
    same(analysed(model, table, "id"), [1, 1, 1, 2, 4, 4])
    same(model.variables["w"].values.tolist(), [5, 6, 7])


# ------------------------------------------------------------------ what is wrong with times
def test_text_times(tmp_path: Path) -> None:
    data = "y,id,time\n1,1,w1\n2,1,w2\n3,2,w1\n4,2,w2\n"
    assert complaint(tmp_path, data, LAGGED).splitlines()[:2] == [
        "data.csv, line 2, column 'time': error: 'w1' is not a number (and in 1 other row)",
        "    hint: occasions are whole numbers: number those of each cluster 1, 2, 3, ...",
    ]


def test_missing_times(tmp_path: Path) -> None:
    assert complaint(tmp_path, GAPS.replace("2,1,2,10", "2,1,NA,10"), LAGGED) == (
        "model.imp:2:24: error: data.csv: 'time' is missing in line 6\n"
        f"    {LAGGED}\n"
        "                           ^^^^\n"
        "    hint: a row without an occasion has no place in its series: give it one, or leave it out with FILTER"
    )


def test_duplicates(tmp_path: Path) -> None:
    data = GAPS + "8,2,3,20,h\n9,2,3,20,i\n7,1,1,10,j\n"
    assert complaint(tmp_path, data, LAGGED) == (
        "model.imp:2:24: error: data.csv: 2 rows of id 1 have the occasion 1 of 'time': lines 4, 11 "
        "(and 2 other rows like these)\n"
        f"    {LAGGED}\n"
        "                           ^^^^\n"
        "    hint: an occasion has one row in each cluster: number the rows, or make one of them"
    )
    single = complaint(tmp_path, data, "TIMEID: time; MODEL: y ~ y.lag;")
    assert "2 rows have the occasion 1 of 'time': lines 4, 11 (and 3 other rows like these)" in single
    assert "hint: without clusters all rows are one series: name its clusters in CLUSTERID" in single


def test_times_that_are_not_whole(tmp_path: Path) -> None:
    halves = "y,id,time\n1,1,0\n2,1,0.5\n5,1,1.5\n3,2,1\n4,2,1.5\n"
    found = complaint(tmp_path, halves, LAGGED)
    assert "'time' is 0.5 in lines 3, 4, 6, but '.lag' counts occasions in whole numbers" in found
    assert "hint: count finer occasions: TRANSFORM: occasion = 2*time; TIMEID: occasion;" in found
    mended = LAGGED.replace("time", "occasion") + "TRANSFORM: occasion = 2*time;"
    model, table = understood(tmp_path, halves, mended)
    same(analysed(model, table, "occasion"), [0, 1, 2, 3, 2, 3])
    odd = complaint(tmp_path, halves.replace("0.5", "0.7183"), LAGGED)
    assert "hint: number the occasions of each cluster: 1, 2, 3, ..." in odd


def test_times_that_are_no_occasions(tmp_path: Path) -> None:
    days = "y,id,time\n1,1,20231230\n2,1,20240101\n3,2,20231231\n4,2,20240102\n"
    found = complaint(tmp_path, days, LAGGED)
    assert (
        "with a row for each whole number 17740 rows would be added to 4 (from 20231230 to 20240101 between "
        "lines 2, 3)" in found
    )


def test_times_with_a_common_step(tmp_path: Path) -> None:
    model, _ = understood(tmp_path, "y,id,time\n1,1,0\n2,1,6\n4,1,18\n3,2,6\n4,2,12\n", LAGGED)
    assert model.warnings[1] == (
        "All values of time (TIMEID) are 6 apart, but '.lag' is a single unit back. If 6 units are one occasion, "
        "count these: TRANSFORM: occasion = time/6;"
    )


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    data = GAPS.replace("2,1,2,10", "2,1,1.25,10")
    found = complaint(tmp_path, data, LAGGED.replace("y.lag", "y.lag nope") + "TRANSFORM: l = ln(0*y);")
    assert "ln(0) is not a finite number" in found
    assert "'time' is 1.25 in line 6" in found and "'nope' is not known" in found


# ------------------------------------------------------------------ report and saved data
def test_data_information(tmp_path: Path) -> None:
    model, _ = understood(tmp_path, GAPS, LAGGED)
    found = data_information(model)
    assert (found.sample_size, found.clusters, found.time) == (9, {"2": 2}, "time")
    assert data_lines(found)[3].split(":")[0].strip() == "Time identifier"
    rows = {row.variable: row.percent for row in found.missing}
    assert rows == pytest.approx({"y": 100 * 2 / 9, "y.lag1": 100 * 4 / 9})


def test_saved_data_have_the_rows_of_the_file_and_then_those_added(tmp_path: Path) -> None:
    model, table = understood(tmp_path, GAPS, LAGGED)
    drawn = Snapshot({"y": np.arange(1.0, 10.0) * 1000}, {"y.predicted": np.arange(9.0)})
    saved = completed(model, table, drawn)
    at = dict(zip([*table.columns, "y.predicted", "added#"], saved.T.tolist(), strict=True))
    same(at["y"], [5, 21, 1, 23, 2, 22, 6, 3000, 4000])
    same(at["time"], [5, 2, 1, 4, 2, 3, 6, 3, 4])
    same(at["y.predicted"], [4, 6, 0, 8, 1, 7, 5, 2, 3])
    same(at["added#"], [0] * 7 + [1] * 2)
    assert completed(model, table, drawn, spread=True)[:, -1].tolist() == [0.0] * 9


def test_saved_data_without_added_rows_have_no_further_column(tmp_path: Path) -> None:
    model, table = understood(tmp_path, "y,id,time\n1,1,3\n2,1,4\n4,2,-1\n5,2,0\n", LAGGED)
    assert completed(model, table, Snapshot({}, {})).shape == (4, 3)


def test_groups_are_data_sets_of_their_own(tmp_path: Path) -> None:
    rows = [(p, t, b) for p in (1, 2, 3) for t, b in ((1, 1), (2, 1), (4, 1), (7, 2), (8, 2), (10, 2))]
    data = "y,id,time,phase\n" + "".join(f"{p + t / 7},{p},{t},{b}\n" for p, t, b in rows)
    model, table = understood(tmp_path, data, LAGGED + "BYGROUP: phase;")
    assert table.added == 6
    same(analysed(model, table, "time"), [1, 2, 3, 4] * 3)
    same(table.values("phase")[-6:].tolist(), [1, 2] * 3)

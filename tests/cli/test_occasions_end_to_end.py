"""A model with lags from data with gaps, to the report and the saved data."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mlbayes.cli import main

SCRIPT = """\
DATA: data.csv;
MISSING: NA;
CLUSTERID: person;
TIMEID: day;
MODEL: mood ~ mood.lag stress;
SEED: 5;
BURN: 100;
ITER: 200;
CHAINS: 2;
NIMPS: 2;
SAVE: stacked0 = stacked.csv; estimates = estimates.csv; varimp = var.csv;
"""
COLUMNS = ("row", "person", "day", "mood", "stress", "note")


def series(rng: np.random.Generator) -> list[list[str]]:
    """Twenty people of 8 to 12 days, beginning on different ones; some cells are missing; `note` is in no model."""
    rows = []
    for person in range(20):
        mood, first = rng.normal(), int(rng.integers(1, 5))
        for day in range(first, first + int(rng.integers(8, 13))):
            stress = rng.normal()
            mood = 0.4 * mood + 0.5 * stress + 0.1 * person + rng.normal()
            cells = [f"{value:.3f}" if rng.random() > 0.1 else "NA" for value in (mood, stress)]
            rows.append([str(len(rows) + 1), str(100 + person), str(day), *cells, f"n{len(rows)}"])
    return rows


def run(folder: Path, rows: list[list[str]]) -> str:
    folder.mkdir()
    (folder / "data.csv").write_text("\n".join(",".join(row) for row in [list(COLUMNS), *rows]), "utf-8")
    (folder / "model.inp").write_text(SCRIPT, "utf-8")
    assert main(["run", str(folder / "model.inp"), "--output", str(folder / "report.txt"), "--quiet"]) == 0
    return (folder / "report.txt").read_text("utf-8")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]], list[int]]:
    """The same data with empty rows in the gaps, and without these rows and out of order; and where the gaps are."""
    folder = tmp_path_factory.mktemp("lags")
    rng = np.random.default_rng(8)
    rows = series(rng)
    inner = [k for k in range(1, len(rows) - 1) if rows[k - 1][1] == rows[k][1] == rows[k + 1][1]]
    gaps = sorted(rng.choice(inner[::2], 15, replace=False).tolist())
    for k in gaps:
        rows[k][3:5] = ["NA", "NA"]
    for person in {row[1] for row in rows}:  # the last row of each person says something
        [row for row in rows if row[1] == person][-1][3] = "0.5"
    run(folder / "full", rows)
    people = list(dict.fromkeys(row[1] for row in rows))
    left = [rows[k] for k in range(len(rows)) if k not in gaps]
    mixed = []
    for person in people:
        own = [row for row in left if row[1] == person]
        mixed += [own[i] for i in rng.permutation(len(own))]
    run(folder / "mixed", mixed)
    return folder, mixed, gaps


def test_a_missing_row_is_a_row_of_missing_values(runs: tuple[Path, list[list[str]], list[int]]) -> None:
    folder, _, gaps = runs
    full, mixed = ((folder / name / "estimates.csv").read_bytes() for name in ("full", "mixed"))
    assert full == mixed
    report = (folder / "mixed" / "report.txt").read_text("utf-8")
    assert f"WARNING: {len(gaps)} occasions without a row were added" in " ".join(report.split())


def test_no_row_and_no_cell_is_lost(runs: tuple[Path, list[list[str]], list[int]]) -> None:
    folder, mixed, gaps = runs
    saved = read(folder / "mixed" / "stacked.csv")
    size = len(mixed) + len(gaps)
    assert list(saved[0]) == ["imp#", *COLUMNS, "added#"] and len(saved) == 3 * size
    for number in range(3):
        block = saved[number * size : (number + 1) * size]
        assert {row["imp#"] for row in block} == {str(number)}
        for row, given in zip(block, mixed, strict=False):
            assert [row[name] for name in ("row", "person", "day", "note")] == [
                given[k] for k in (0, 1, 2, 5)
            ]
            for name, cell in (("mood", given[3]), ("stress", given[4])):
                assert (row[name] == "NA") == (cell == "NA" and number == 0)
                assert cell == "NA" or float(row[name]) == float(cell)
        assert [row["added#"] for row in block] == ["0"] * len(mixed) + ["1"] * len(gaps)
        for row in block[len(mixed) :]:
            assert row["row"] == row["note"] == "NA"
            assert {row["mood"] == "NA", row["stress"] == "NA"} == {number == 0}


def test_only_drawn_cells_vary(runs: tuple[Path, list[list[str]], list[int]]) -> None:
    folder, mixed, gaps = runs
    spread = read(folder / "mixed" / "var.csv")
    assert [float(row["mood"]) > 0 for row in spread] == [row[3] == "NA" for row in mixed] + [True] * len(
        gaps
    )
    assert {row["added#"] for row in spread} == {"0"}


def test_both_ways_impute_the_same(runs: tuple[Path, list[list[str]], list[int]]) -> None:
    folder, _, _ = runs
    blocks = []
    for name in ("full", "mixed"):
        rows = read(folder / name / "stacked.csv")
        blocks.append(
            {(row["imp#"], row["person"], row["day"]): (row["mood"], row["stress"]) for row in rows}
        )
    assert blocks[0] == blocks[1]

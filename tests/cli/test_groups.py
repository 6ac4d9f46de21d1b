"""FCS and BYGROUP as a user gets them: completed data, reports of groups, errors that name the group."""

import json
from pathlib import Path

import numpy as np
import pytest

from mlbayes.cli import main

SCRIPT = """\
DATA: data.csv;
MISSING: NA;
ORDINAL: item;
FCS: site x item y;
SEED: 5;
BURN: 100;
ITER: 200;
CHAINS: 2;
NIMPS: 4;
SAVE: stacked = stacked.csv; separate = imp*.csv; avgimp = avg.csv; estimates = est*.csv; psr = psr.csv;
"""
NAMES = ("row", "site", "x", "item", "y")


def data() -> np.ndarray:
    """Three sites in mixed order; a tenth of what is to be imputed is missing."""
    rng = np.random.default_rng(12)
    site = rng.permutation(np.repeat([2.0, 7.0, 10.0], 60))
    x = np.round(rng.standard_normal(180), 3)
    item = 3.0 * (1.0 + np.digitize(x + rng.standard_normal(180), (-0.7, 0.7)))
    y = np.round(site + 0.5 * x + 0.2 * item + rng.standard_normal(180), 3)
    columns = np.column_stack([np.arange(180.0), site, x, item, y])
    columns[:, 2:][rng.random((180, 3)) < 0.1] = np.nan
    return columns[~np.isnan(columns[:, 2:]).all(axis=1)]


def write(folder: Path, script: str, columns: np.ndarray) -> Path:
    """A script beside its data."""
    rows = [",".join("NA" if np.isnan(v) else f"{v:g}" for v in row) for row in columns]
    (folder / "data.csv").write_text("\n".join([",".join(NAMES), *rows]) + "\n")
    (folder / "model.inp").write_text(script)
    return folder / "model.inp"


def run(folder: Path, script: str, columns: np.ndarray, status: int = 0) -> None:
    """Run a script in a folder."""
    arguments = [str(write(folder, script, columns)), "--quiet", "--output", str(folder / "report.txt")]
    assert main([*arguments, "--json", str(folder / "result.json")]) == status


def read(path: Path) -> np.ndarray:
    """A saved table without its header."""
    return np.genfromtxt(path, delimiter=",", skip_header=1)


def assert_completed(folder: Path, columns: np.ndarray) -> None:
    """Observed values as they were and in their order, codes where codes belong, the same in all kinds of files."""
    stacked = read(folder / "stacked.csv")
    missing = np.isnan(columns)
    assert stacked.shape == (4 * len(columns), 6)
    for k in range(4):
        block = stacked[stacked[:, 0] == k + 1, 1:]
        assert np.array_equal(block[~missing], columns[~missing])
        assert np.isfinite(block).all() and set(block[:, 3]) == {3.0, 6.0, 9.0}
        assert np.array_equal(block, read(folder / f"imp{k + 1}.csv"))
    completed = stacked[:, 1:].reshape(4, *columns.shape)
    assert (np.ptp(completed, axis=0)[:, [2, 4]] > 0.0)[missing[:, [2, 4]]].all()
    assert np.array_equal(read(folder / "avg.csv")[~missing], columns[~missing])


def test_fcs_completes_the_data(tmp_path):
    columns = data()
    run(tmp_path, SCRIPT, columns)
    assert_completed(tmp_path, columns)
    document = json.loads((tmp_path / "result.json").read_text())
    titles = [(table["title"], table["name"]) for table in document["predictor_tables"]]
    assert titles == [("Complete variable", "site"), *(("Missing variable", name) for name in NAMES[2:])]
    assert document["outcome_tables"] == [] and document["fit"]["conditional_dic"] is None
    report = (tmp_path / "report.txt").read_text()
    assert "\nVARIABLES IN IMPUTATION MODEL:\n" in report
    assert "MODEL INFORMATION:" not in report and "MODEL FIT:" not in report


def test_groups_are_run_one_by_one_and_put_together(tmp_path):
    columns = data()
    run(tmp_path, "BYGROUP: site;\n" + SCRIPT, columns)
    assert_completed(tmp_path, columns)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [document["group"] for document in result["groups"]] == ["2", "7", "10"]
    assert [d["data"]["sample_size"] for d in result["groups"]] == [
        int((columns[:, 1] == site).sum()) for site in (2, 7, 10)
    ]
    lines = (tmp_path / "report.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("GROUP")] == [
        "GROUP 2 SAMPLER",
        "GROUP 7 SAMPLER",
        "GROUP 10 SAMPLER",
    ]
    assert "  GLOBAL MESSAGES:" in lines and lines.count("ALGORITHMIC OPTIONS SPECIFIED:") == 1
    for document in result["groups"]:
        rows = [row for table in document["predictor_tables"] for row in table["rows"]]
        saved = read(tmp_path / f"est{document['group']}.csv")
        assert np.allclose(saved[:, 0], [row["estimate"] for row in rows], rtol=1e-9)
        assert (tmp_path / f"psr{document['group']}.csv").exists()


def test_a_group_does_not_depend_on_the_others(tmp_path):
    columns = data()
    run(tmp_path, "BYGROUP: site;\n" + SCRIPT, columns)
    together = read(tmp_path / "stacked.csv")
    run(tmp_path, "BYGROUP: site;\nFILTER: site > 5;\n" + SCRIPT, columns)
    assert np.array_equal(read(tmp_path / "stacked.csv"), together[together[:, 2] > 5.0])
    twice = np.concatenate([columns, columns])
    twice[len(columns) :, 1] += 1.0  # the same data under other names
    run(tmp_path, "BYGROUP: site;\n" + SCRIPT, twice)
    drawn = read(tmp_path / "est2.csv")
    assert not np.array_equal(drawn, read(tmp_path / "est3.csv"))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda c: c[(c[:, 1] != 7.0) | (np.cumsum(c[:, 1] == 7.0) <= 3)], "(group 7 of site)"),
        (lambda c: np.where((c[:, 1:2] == 10.0) & (np.arange(5) == 2), 1.0, c), "same value everywhere"),
        (lambda c: np.where((np.arange(len(c)) == 4)[:, None] & (np.arange(5) == 1), np.nan, c), "1 missing value"),
    ],
)  # fmt: skip
def test_errors_name_the_group(tmp_path, capsys, damage, message):
    script = "BYGROUP: site;\n" + SCRIPT
    assert main([str(write(tmp_path, script, damage(data()))), "--quiet"]) in (2, 3)
    assert message in capsys.readouterr().err

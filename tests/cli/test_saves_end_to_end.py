"""Every file of SAVE as a user gets it: contents against the data that were read and against the report."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from end_to_end import as_text, run_in

from mlbayes.cli import main

SCRIPT = """\
DATA: data.csv;
MISSING: NA;
CLUSTERID: school;
ORDINAL: nights;
CENTER: groupmean = hours; grandmean = size hours.mean;
MODEL:
  score ~ hours@b1 hours.mean size nights@b2 hours*size | hours;
SIMPLE: hours | size;
WALDTEST: b1 = 0; b2 = 0;
WALDTEST: score ~ hours;
SEED: 11;
BURN: 300;
ITER: 1200;
CHAINS: 3;
NIMPS: 7;
OPTIONS: savelatent saveresidual savepredicted;
SAVE:
  stacked = stacked.csv; stacked = stacked.dat; stacked0 = stacked0.csv;
  separate = imp*.csv; separate = imp*.dat;
  estimates = estimates.csv; iterations = iterations.csv; iterations = chain*.csv; psr = psr.csv;
  avgimp = avg.csv; varimp = var.csv; avgimp = avg.dat; waldtest = wald.csv; simple = simple.csv;
"""
ADDED = [
    *("score[school]", "score$hours[school]", "nights.latent"),
    *("hours.mean[school]", "nights.mean[school]"),
    *("score.residual", "score.predicted"),
]
COLUMNS = ["row", "school", "score", "Hours", "size", "nights", "spare"]
WITH_GAPS = ("score", "Hours", "size", "nights")


def data(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Thirty schools of twelve pupils, rows shuffled; gaps in the outcome and in predictors of both levels."""
    school = rng.permutation(np.repeat(np.arange(30), 12))
    hours = rng.normal(0.0, 1.0, 30)[school] + rng.normal(5.0, 1.5, 360)
    size = rng.normal(10.0, 2.0, 30)
    nights = (rng.normal(0.0, 1.0, 360) > 0.2).astype(float)
    effect = rng.normal(0.0, 1.0, 30)[school] + rng.normal(0.0, 0.4, 30)[school] * hours
    score = 20.0 + effect + 1.5 * hours + 0.3 * size[school] + nights + rng.normal(0.0, 2.0, 360)
    size[[4, 17]] = np.nan
    for values, share in ((score, 0.1), (hours, 0.12), (nights, 0.08)):
        values[rng.random(360) < share] = np.nan
    spare = np.where(rng.random(360) < 0.3, np.nan, np.arange(360.0))
    columns = [np.arange(1.0, 361.0), 100.0 + school, score, hours, size[school], nights, spare]
    return dict(zip(COLUMNS, (np.round(column, 3) for column in columns), strict=True))


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and numbers of a comma-separated file, nan where missing."""
    with path.open() as file:
        names, *rows = csv.reader(file)
    return names, np.array([[math.nan if word == "NA" else float(word) for word in row] for row in rows])


@pytest.fixture(scope="module")
def original() -> dict[str, np.ndarray]:
    return data(np.random.default_rng(8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, original) -> Path:
    """A folder in which the script has run."""
    return run_in(tmp_path_factory.mktemp("saves"), SCRIPT, original)


@pytest.fixture(scope="module")
def document(folder) -> dict:
    return json.loads((folder / "r.json").read_text())


def numbered(document: dict) -> list[dict]:
    tables = document["outcome_tables"] + document["generated_tables"] + document["predictor_tables"]
    return [row for table in tables for row in table["rows"] if row["number"]]


@pytest.fixture(scope="module")
def stacked(folder) -> np.ndarray:
    """Data sets without the column of their number, shape (7, 360, columns)."""
    names, table = read(folder / "stacked.csv")
    assert names == ["imp#", *COLUMNS, *ADDED]
    assert table[:, 0].tolist() == np.repeat(np.arange(1.0, 8.0), 360).tolist()
    return table[:, 1:].reshape(7, 360, -1)


# ------------------------------------------------------------------ imputed data
def test_rows_and_observed_cells_are_those_of_the_file(stacked, original):
    for place, name in enumerate(COLUMNS):
        known = ~np.isnan(original[name])
        for block in stacked:
            assert np.array_equal(block[known, place], original[name][known]), name
    assert np.isnan(stacked[:, :, COLUMNS.index("spare")]).any(), "what the model does not use stays missing"


@pytest.mark.parametrize("name", WITH_GAPS)
def test_missing_cells_are_filled_and_vary(stacked, original, name):
    cells = stacked[:, np.isnan(original[name]), COLUMNS.index(name)]
    assert not np.isnan(cells).any()
    assert (cells.std(axis=0) > 0.0).mean() > (0.5 if name == "nights" else 0.999)
    if name == "nights":
        assert set(np.unique(cells)) == {0.0, 1.0}
    if name == "size":  # one value for each school and data set
        schools = original["school"][np.isnan(original[name])]
        for school in np.unique(schools):
            assert (np.ptp(cells[:, schools == school], axis=1) == 0.0).all()


def test_latent_columns_fit_the_data(stacked, original):
    at = {name: stacked[:, :, k] for k, name in enumerate([*COLUMNS, *ADDED])}
    assert np.allclose(at["score"] - at["score.residual"], at["score.predicted"], atol=2e-4)
    assert np.array_equal(at["nights.latent"] > 0.0, at["nights"] == 1.0)
    for name in ("score[school]", "score$hours[school]", "hours.mean[school]"):
        for school in np.unique(original["school"]):
            assert (np.ptp(at[name][:, original["school"] == school], axis=1) == 0.0).all()
    average = at["hours.mean[school]"].mean(axis=0)
    observed = [np.nanmean(original["Hours"][original["school"] == s]) for s in original["school"]]
    assert np.corrcoef(average, observed)[0, 1] > 0.95


def test_the_original_is_data_set_0(folder, stacked, original):
    names, table = read(folder / "stacked0.csv")
    assert names == ["imp#", *COLUMNS, *ADDED] and table.shape[0] == 8 * 360
    first = np.column_stack([original[name] for name in COLUMNS])
    assert np.array_equal(table[:360, 1 : 1 + len(COLUMNS)], first, equal_nan=True)
    assert (table[:360, 0] == 0.0).all() and np.isnan(table[:360, 1 + len(COLUMNS) :]).all()
    assert np.array_equal(table[360:, 1:], stacked.reshape(-1, stacked.shape[2]), equal_nan=True)


def test_separate_files(folder, stacked):
    assert (folder / "implist.dat").exists()
    for k, block in enumerate(stacked, 1):
        names, table = read(folder / f"imp{k}.csv")
        assert names == [*COLUMNS, *ADDED] and np.array_equal(table, block, equal_nan=True)
        fixed = np.genfromtxt(folder / f"imp{k}.dat", missing_values="NA")
        assert np.allclose(fixed, block, atol=1e-4, equal_nan=True)
    assert not (folder / "imp8.csv").exists()


def test_fixed_columns(folder, stacked):
    lines = (folder / "stacked.dat").read_text().splitlines()
    assert len(lines) == 7 * 360 and {len(line) for line in lines} == {13 * (1 + stacked.shape[2]) - 1}
    assert lines[0][:25] == f"{'1':>12} {'1.0000':>12}"


def test_mean_and_variance_over_draws(folder, stacked, original):
    names, mean = read(folder / "avg.csv")
    _, variance = read(folder / "var.csv")
    assert names == [*COLUMNS, *ADDED]
    assert (folder / "avg.dat").read_text().split()[: len(names)] == names
    for place, name in enumerate(COLUMNS[:-1]):
        missing = np.isnan(original[name])
        assert np.array_equal(mean[~missing, place], original[name][~missing])
        assert (variance[~missing, place] == 0.0).all()
        assert (variance[missing, place] > 0.0).all()
        if missing.any():  # 7 data sets against all draws
            error = np.sqrt(variance[missing, place] / 7)
            z = (stacked[:, missing, place].mean(axis=0) - mean[missing, place]) / error
            assert np.abs(z).max() < 5.0, name


def test_the_report_tells_the_order_of_columns(folder, document):
    assert document["saved"][0] == {
        "keyword": "stacked", "file": "stacked.csv", "variables": ["imp#", *COLUMNS, *ADDED],
    }  # fmt: skip
    assert "VARIABLE ORDER IN IMPUTED DATA:" in (folder / "r.txt").read_text()


# ------------------------------------------------------------------ results
def test_estimates_are_those_of_the_report(folder, document):
    names, table = read(folder / "estimates.csv")
    assert names == ["Estimate", "StdDev", "2.5%", "97.5%", "ChiSq", "PValue", "N_Eff"]
    rows = numbered(document)
    assert len(table) == len(rows)
    for line, row in zip(table, rows, strict=True):
        wanted = [row[key] for key in ("estimate", "sd", "q025", "q975")]
        assert np.allclose(line[:4], wanted, rtol=1e-8), row["label"]


def test_iterations_give_the_estimates(folder, document):
    draws = np.loadtxt(folder / "iterations.csv", delimiter=",")
    rows = numbered(document)
    assert draws.shape == (1200, len(rows))
    for k, row in enumerate(rows):
        assert np.median(draws[:, k]) == pytest.approx(row["estimate"], rel=1e-6, abs=1e-8), row["label"]
    chains = [np.loadtxt(folder / f"chain{k}.csv", delimiter=",") for k in (1, 2, 3)]
    assert np.array_equal(np.concatenate(chains), draws)


def test_psr_has_a_line_for_each_checkpoint(folder, document):
    table = np.loadtxt(folder / "psr.csv", delimiter=",")
    assert table.shape == (20, len(numbered(document)))
    highest = np.nanmax(table[-1])
    assert highest == pytest.approx(document["psr"][-1]["rhat"], rel=1e-6)


def test_wald_tests(folder, document):
    names, table = read(folder / "wald.csv")
    assert names == ["test_number", "df", "statistic", "probability"]
    assert table[:, 0].tolist() == [1.0, 2.0] and table[:, 1].tolist() == [2.0, 4.0]
    assert [test["statistic"] for test in document["fit"]["wald"]] == pytest.approx(table[:, 2].tolist())
    draws = np.loadtxt(folder / "iterations.csv", delimiter=",")
    places = [
        row["number"] - 1
        for row in numbered(document)
        if row["section"] == "Coefficients" and row["label"] in ("hours", "nights")
    ]
    chosen = draws[:, places]
    by_hand = chosen.mean(0) @ np.linalg.solve(np.cov(chosen.T), chosen.mean(0))
    assert table[0, 2] == pytest.approx(by_hand, rel=1e-3)


def test_conditional_effects(folder, document):
    names, table = read(folder / "simple.csv")
    sections = ["hours | size @ +1 SD", "hours | size @ 0", "hours | size @ -1 SD"]
    assert names == [f"{word}: score ~ {s}" for s in sections for word in ("SLOPE", "INTER")]
    effects = next(t for t in document["outcome_tables"] if t["kind"] == "conditional-effects")
    slopes = [row["estimate"] for row in effects["rows"] if row["label"] == "Slope"]
    assert np.median(table[:, ::2], axis=0) == pytest.approx(slopes, rel=1e-6)


# ------------------------------------------------------------------ variations
def rerun(folder: Path, original, change, **files) -> Path:
    """Run a changed script in a new folder; returns it."""
    folder.mkdir()
    (folder / "data.csv").write_text(files.get("data") or as_text(original))
    (folder / "model.inp").write_text(change(SCRIPT))
    assert main([str(folder / "model.inp"), "--quiet", "--output", str(folder / "r.txt")]) == 0
    return folder


def without_saves(script: str) -> str:
    return script.split("NIMPS")[0]


def test_data_sets_come_from_all_chains_and_fit_their_draws(folder, document, stacked):
    """The coefficient of nights, found again from the predicted values, tells which draw a data set belongs to."""
    at = {name: stacked[:, :, k] for k, name in enumerate([*COLUMNS, *ADDED])}
    mean = at["hours.mean[school]"]
    fixed = at["score.predicted"] - at["score[school]"] - at["score$hours[school]"] * (at["Hours"] - mean)
    column = next(row["number"] - 1 for row in numbered(document) if row["label"] == "nights")
    draws = np.loadtxt(folder / "iterations.csv", delimiter=",")[:, column]
    places = []
    for k in range(7):
        hours, size, nights = at["Hours"][k], at["size"][k], at["nights"][k]
        x = np.column_stack([nights, np.ones(360), hours, mean[k], size, hours * size, mean[k] * size])
        coefficients, *_ = np.linalg.lstsq(x, fixed[k], rcond=None)
        assert np.abs(fixed[k] - x @ coefficients).max() < 1e-3
        places.append(int(np.argmin(np.abs(draws - coefficients[0]))))
        assert abs(draws[places[-1]] - coefficients[0]) < 1e-4
    assert [place // 400 for place in sorted(places)] in (
        [0, 0, 0, 1, 1, 2, 2],
        [0, 0, 1, 1, 1, 2, 2],
        [0, 0, 1, 1, 2, 2, 2],
    )


def test_means_over_draws_without_data_sets(folder, tmp_path, original):
    other = rerun(
        tmp_path / "a", original, lambda s: without_saves(s) + "SAVE: avgimp = a.csv; varimp = v.csv;"
    )
    names, table = read(other / "a.csv")
    assert names == COLUMNS
    _, whole = read(folder / "avg.csv")
    assert np.array_equal(table, whole[:, : len(COLUMNS)], equal_nan=True)


@pytest.mark.parametrize(
    ("option", "wanted"),
    [("savelatent", ADDED[:5]), ("saveresidual", ADDED[5:6]), ("savepredicted", ADDED[6:]), ("psr", [])],
)
def test_options_add_their_columns(tmp_path, original, option, wanted):
    def change(script):
        return without_saves(script) + f"OPTIONS: {option}; NIMPS: 2; SAVE: separate = d*.csv;"

    made = rerun(tmp_path / option, original, change)
    assert read(made / "d1.csv")[0] == [*COLUMNS, *wanted]


def test_names_on_top_of_fixed_columns(tmp_path, original):
    def change(script):
        return without_saves(script) + "OPTIONS: savevarnames; NIMPS: 2; SAVE: stacked = s.dat;"

    made = rerun(tmp_path / "names", original, change)
    assert (made / "s.dat").read_text().splitlines()[0].split() == ["imp#", *COLUMNS]


def test_the_order_of_rows_does_not_matter_to_what_is_saved(folder, tmp_path, original):
    """Saved observed cells follow the file, whatever its order."""
    order = np.random.default_rng(2).permutation(360)
    shuffled = {name: values[order] for name, values in original.items()}
    made = rerun(tmp_path / "shuffled", original, lambda s: s, data=as_text(shuffled))
    _, table = read(made / "stacked0.csv")
    assert np.array_equal(table[360:720, 1], shuffled["row"])
    assert np.array_equal(table[:360, 3], shuffled["score"], equal_nan=True)


def test_words_are_saved_as_they_are(tmp_path, original):
    """Identifiers and columns that the model does not use."""
    head, *body = [line.split(",") for line in as_text(original).splitlines()]
    place = head.index("school")
    named = [[*row[:place], f"School {row[place]}", *row[place + 1 :], '"a, b"'] for row in body]
    data = "\n".join(",".join(row) for row in [[*head, "note"], *named]) + "\n"
    made = rerun(tmp_path / "words", original, lambda s: s, data=data)
    for file, schools in (("stacked0.csv", 8), ("imp3.csv", 1), ("avg.csv", 1)):
        with (made / file).open() as stream:
            rows = list(csv.DictReader(stream))
        assert [row["school"] for row in rows] == [row[place] for row in named] * schools
        assert {row["note"] for row in rows} == {"a, b"}
    fixed = np.genfromtxt(made / "imp3.dat", missing_values="NA")
    assert len(set(fixed[:, place])) == 30

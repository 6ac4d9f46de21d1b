"""Whole runs: forms of the data that must not matter, what options add, JSON, signs of life on a terminal."""

import csv
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import mlbayes as mlbayes_package
from mlbayes.output.json_file import document_from_json
from mlbayes.output.report import render_report

PACKAGE = Path(mlbayes_package.__file__).parent
ESTIMATES = "OUTCOME MODEL ESTIMATES:"


def rows(folder: Path) -> list[list[str]]:
    return list(csv.reader((folder / "data.csv").read_text().splitlines()))


def estimates(mlbayes, folder: Path, script: str | None = None, data: str | bytes | None = None) -> str:
    """The tables of estimates of a run with another script or other data."""
    if data is not None:
        (folder / "data.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    if script is not None:
        (folder / "model.inp").write_text(script)
    outcome = mlbayes(folder / "model.inp", "--quiet")
    assert outcome.status == 0, outcome.err
    return outcome.out[outcome.out.index(ESTIMATES) :]


# ------------------------------------------------------------------ forms of the data
def forms() -> dict:
    """Other ways of writing the same data: (script -> script, rows -> bytes)."""
    header = "VARIABLES: school score hours size;\nMODEL:"

    def joined(table, mark=",", end="\n"):
        return end.join(mark.join(row) for row in table) + end

    def coded(table, code):
        return [[code if word == "NA" else word for word in row] for row in table]

    def named(table):
        return [[f"School {row[0]}" if k else row[0], *row[1:]] for k, row in enumerate(table)]

    def declared(code):
        return lambda script: script.replace("MISSING: NA", f"MISSING: {code}")

    def same(script):
        return script

    return {
        "byte order mark": (same, lambda t: joined(t).encode("utf-8-sig")),
        "Windows line ends": (lambda s: s.replace("\n", "\r\n"), lambda t: joined(t, end="\r\n")),
        "blanks": (same, lambda t: joined(t, "   ")),
        "tabs": (same, lambda t: joined(t, "\t")),
        "commas and blanks": (same, lambda t: joined(t, " , ")),
        "no header": (lambda s: s.replace("MODEL:", header), lambda t: joined(t[1:])),
        "numeric code": (declared("-99"), lambda t: joined(coded(t, "-99"))),
        "decimals in the code": (declared("999"), lambda t: joined(coded(t, "999.0"))),
        "words as codes": (declared("gone"), lambda t: joined(coded(t, "gone"))),
        "empty cells": (same, lambda t: joined(coded(t, ""))),
        "clusters with names": (same, lambda t: joined(named(t))),
        "more columns": (same, lambda t: joined([[*row, "some text"] for row in t])),
    }


@pytest.mark.parametrize("form", forms())
def test_the_form_of_the_data_does_not_matter(mlbayes, folder, form):
    change_script, change_data = forms()[form]
    script, table = (folder / "model.inp").read_text(), rows(folder)
    before = estimates(mlbayes, folder)
    assert estimates(mlbayes, folder, change_script(script), change_data(table)) == before


def test_the_order_of_clusters_does_not_matter(mlbayes, folder):
    """Rows of a cluster far apart, in the same order within it: the same draws."""
    before = estimates(mlbayes, folder)
    head, *body = rows(folder)
    shuffled = [head, *sorted(body, key=lambda row: (body.index(row) % 6, int(row[0])))]
    assert estimates(mlbayes, folder, data="\n".join(",".join(row) for row in shuffled)) == before


# ------------------------------------------------------------------ FILTER and TRANSFORM
def test_filter_is_leaving_rows_out(mlbayes, folder):
    script = (folder / "model.inp").read_text()
    head, *body = rows(folder)
    filtered = estimates(mlbayes, folder, script + "FILTER: school <= 12;\n")
    kept = [head, *(row for row in body if int(row[0]) <= 12)]
    assert estimates(mlbayes, folder, script, "\n".join(",".join(row) for row in kept)) == filtered


def test_transform_is_another_column(mlbayes, folder):
    script = (folder / "model.inp").read_text().replace("score ~ hours size", "score ~ hours big")
    script = script.replace("FIXED: size", "FIXED: big").replace("grandmean = size", "grandmean = big")
    computed = estimates(mlbayes, folder, script + "TRANSFORM: big = size / 2;\n")
    head, *body = rows(folder)
    table = [[*head, "big"], *([*row, str(float(row[3]) / 2)] for row in body)]
    assert estimates(mlbayes, folder, script, "\n".join(",".join(row) for row in table)) == computed


# ------------------------------------------------------------------ what options add
def test_monte_carlo_errors_on_request(mlbayes, folder):
    path = folder / "result.json"
    script = (folder / "model.inp").read_text()
    assert "MCSE" not in estimates(mlbayes, folder)
    report = estimates(mlbayes, folder, script + "OPTIONS: mcse;\n")
    assert "MCSE" in report
    assert mlbayes(folder / "model.inp", "--quiet", "--json", path).status == 0
    (table, *_) = json.loads(path.read_text())["outcome_tables"]
    row = next(row for row in table["rows"] if row["label"] == "hours")
    assert 0.2 < row["mcse"] / (row["sd"] / row["neff"] ** 0.5) < 5.0


def test_json_holds_the_whole_report(mlbayes, folder):
    script = folder / "model.inp"
    script.write_text(script.read_text() + "NIMPS: 2; SAVE: stacked = s.csv;")
    outcome = mlbayes(script, "--quiet", "--json", folder / "result.json")
    text = (folder / "result.json").read_text()
    schema = json.loads((PACKAGE / "results" / "document.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))
    assert render_report(document_from_json(text)) == outcome.out
    assert "VARIABLE ORDER IN IMPUTED DATA:" in outcome.out


def test_strict_tells_of_too_few_draws(mlbayes, folder):
    assert mlbayes(folder / "model.inp").status == 0
    outcome = mlbayes(folder / "model.inp", "--strict")
    assert outcome.status == 4 and "warning:" in outcome.err and ESTIMATES in outcome.out


def test_the_number_of_threads_does_not_matter(mlbayes, folder):
    (folder / "model.inp").write_text((folder / "model.inp").read_text().replace("CHAINS: 2", "CHAINS: 4"))
    reports = [mlbayes(folder / "model.inp", "--quiet", "--threads", n).out for n in (1, 2, 4)]
    assert reports[0] == reports[1] == reports[2] != ""


# ------------------------------------------------------------------ a terminal
def test_progress_on_a_terminal(folder):
    script = folder / "long.inp"
    script.write_text(
        (folder / "model.inp").read_text().replace("BURN: 60;\nITER: 80;", "BURN: 500;\nITER: 60000;")
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-m", "mlbayes", str(script)], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other side was closed
            pass
        report = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    for words in (r"chain 1", r"chain 2", r"\d+/30500", r"R-hat [12]\.\d{3}", r"0:00:\d\d"):
        assert re.search(words, text), words
    assert "\x1b" not in report and report.index("BURN-IN") < report.index(ESTIMATES)


def test_no_progress_where_nobody_looks(mlbayes, folder):
    outcome = mlbayes(folder / "model.inp")
    assert "\x1b" not in outcome.err and "chain 1" not in outcome.err


def test_label_inside_a_function(mlbayes, folder):
    """A label that is no coefficient has a row of draws, saved ones included; a constraint holds in every draw."""
    script = "DATA: data.csv; MISSING: NA; CLUSTERID: school; SEED: 3; BURN: 100; ITER: 200; CHAINS: 2; FIXED: size;"
    script += "MODEL: score ~ 1@low (exp(-rate*size/100))@gap hours@slope;"
    script += "PARAMETERS: rate ~ truncate(0.1, 3); slope = exp(gap/10); check = slope - exp(gap/10);"
    (folder / "model.inp").write_text(script + "SAVE: iterations = draws.csv;")
    outcome = mlbayes(folder / "model.inp", "--quiet", "--json", str(folder / "out.json"))
    assert outcome.status == 0, outcome.err
    document = json.loads((folder / "out.json").read_text())
    found = {row["label"]: row for row in document["generated_tables"][0]["rows"]}
    assert list(found) == ["rate", "check"]
    assert 0.1 < found["rate"]["estimate"] < 3.0
    assert found["rate"]["sd"] > 0.0
    assert abs(found["check"]["estimate"]) < 1e-12
    saved = list(csv.reader((folder / "draws.csv").read_text().splitlines()))
    assert len({row[found["rate"]["number"] - 1] for row in saved}) > 150

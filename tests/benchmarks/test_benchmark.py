"""The benchmark can be run: data of the right shape, scripts that are understood, and what is made of draws."""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import compare
import datasets
from programs import PEERS, PROGRAMS, ROWS, SHORTER

from mlbayes import pipeline

MODELS = ("P1", "P2", "P3", "P4", "P5", "P6", "N1000")
SHAPES = {"P4": (5000, 250), "P6": (5000, 100), "N1000": (1000, 20)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    assert datasets.make(folder, list(MODELS), folder / "absent") == "drawn"
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_scripts_run_on_drawn_data(folder, tmp_path, model):
    script = compare.write_script(model, tmp_path, folder, 100, 100)
    parts, table = pipeline.understand_parts(pipeline.read(script))
    assert pipeline.plan_part(parts[0]).describe()
    if model in SHAPES:
        assert (table.rows, parts[0].model.hierarchy.units[1]) == SHAPES[model]


def test_drawn_data_have_the_shape_of_the_guides(folder):
    columns = np.genfromtxt(folder / "P3.csv", delimiter=",", names=True)
    assert 2400 < columns.size < 2900 and np.unique(columns["id"]).size == 132
    gaps = {name: np.isnan(columns[name]).mean() for name in columns.dtype.names}
    assert all(0.01 < gaps[name] < 0.15 for name in ("y", "x1", "x2", "x3")) and gaps["d"] == 0.0
    complete = np.genfromtxt(folder / "P1.csv", delimiter=",", names=True)
    assert 0.7 < complete.size / columns.size < 0.85
    sums = np.bincount(complete["id"].astype(int), complete["x1"])
    assert np.abs(sums).max() < 1e-3


def test_cells():
    assert compare.cells_of(["P4:jags", "P2"]) == [
        ("P4", "jags"),
        *(("P2", program) for program in PROGRAMS if "P2" in PROGRAMS[program].models),
    ]
    assert {model for program in PROGRAMS.values() for model in program.models} == set(ROWS)
    assert all(program in PROGRAMS and model in PROGRAMS[program].models for program, model in SHORTER)


def test_peers_have_programs():
    for name, peer in PROGRAMS.items():
        assert name == "mlbayes" or Path(peer.command("python")[-1]).is_file(), name


@pytest.mark.parametrize(
    "model, program",
    [
        ("P1", "two_level"),
        ("P2", "three_level"),
        ("P3", "incomplete"),
        ("P4", "logit"),
        ("P5", "location_scale"),
        ("P6", "diary"),
    ],
)
def test_stan_programs_have_the_parameters(model, program):
    text = (PEERS / "stan" / f"{program}.stan").read_text()
    blocks = dict(re.findall(r"^([a-z ]+) \{\n(.*?)^\}", text, re.M | re.S))
    assert list(blocks) == ["data", "parameters", "model", "generated quantities"]
    drawn = set(re.findall(r"\w+", blocks["parameters"] + blocks["generated quantities"]))
    assert set(ROWS[model]) <= drawn


def test_trials_are_not_recorded(tmp_path, monkeypatch, capsys):
    own = {"mean": {"b": 1.0}, "sd": {"b": 0.5}, "wall": 1.0, "cpu": 1.0}
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(compare, "run_cell", lambda *_: {"mean": {"b": 2.0}, "wall": 1.0, "cpu": 1.0})
    monkeypatch.setattr(compare, "versions", lambda _: {})
    monkeypatch.setattr(datasets, "make", lambda *_: "drawn")
    compare.RESULTS.write_text(json.dumps({"cells": {"P1:mlbayes": [own]}}))
    options = argparse.Namespace(
        what="try", cells=["P1:stan"], rounds=1, data=tmp_path, source=tmp_path, python="python", cold=False
    )
    compare.run(options)
    assert "means differ by 2.00 b" in capsys.readouterr().out
    assert list(compare.load_results()["cells"]) == ["P1:mlbayes"]
    options.what = "run"
    compare.run(options)
    assert list(compare.load_results()["cells"]) == ["P1:mlbayes", "P1:stan"]


def test_efficiency_is_that_of_the_worst_parameter():
    rng = np.random.default_rng(1)
    slow = rng.normal(size=(4, 1000))
    for t in range(1, 1000):
        slow[:, t] += 0.9 * slow[:, t - 1]
    record = compare.summary(
        ["fast", "slow"],
        np.stack([rng.normal(size=(4, 1000)), slow], -1),
        2.0,
        {"import": 1.5, "sampling": 0.5},
    )
    assert record["worst"] == "slow" and record["ess"]["fast"] > 3000 > 500 > record["min_ess"]
    assert record["per_second"] == record["min_ess"] / 2.0
    assert record["per_sampling_second"] == record["min_ess"] / 0.5


def test_tables_of_what_was_measured(tmp_path, monkeypatch, capsys):
    def record(wall, ess):
        rates = {"per_second": ess / wall, "per_sampling_second": 2 * ess / wall}
        return {
            "wall": wall, "cpu": wall, "memory": 100.0, "draws": 4000, "sampling": wall / 2, "min_ess": ess,
            "median_ess": ess, "rhat": 1.0, "mean": {"b": wall}, "sd": {"b": 2.0}, **rates,
        }  # fmt: skip

    cells = {
        "P1:mlbayes": [record(1.0, 5000.0), record(3.0, 5000.0), record(2.0, 5000.0)],
        "P1:jags": [record(10.0, 500.0)],
        "P1:pan": [{"wall": 1.0, "cpu": 1.0, "memory": 1.0, "failed": "not within 1 s"}],
    }
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results.json")
    compare.RESULTS.write_text(json.dumps({"cells": cells}))
    compare.ratios()
    compare.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| P1 | 2,500 | 50.0 jags | 50.0 | 5,000 | 100 jags | 50.0 |"
    (jags,) = (line for line in lines if "| jags |" in line)
    assert (
        jags
        == "| P1 | jags | 4,000 | 10.0 | 10.0 | 5.0 | 500 | 500 | 1.000 | 100 | 50.0 | 50.0 | 100 | 4.50 b |"
    )
    assert any("pan | not within 1 s" in line for line in lines)


@pytest.mark.slow
def test_a_cell_is_measured(folder):
    options = argparse.Namespace(what="run", python=sys.executable, data=folder, cold=False, most=300.0)
    record = compare.run_cell("N1000", "mlbayes", options)
    assert "failed" not in record, record["failed"]
    assert record["mean"].keys() == ROWS["N1000"].keys()
    assert 1000 < record["min_ess"] and record["rhat"] < 1.02
    assert 0.0 < record["sampling"] < record["wall"] and record["memory"] > 20.0
    for name, truth in {"b0": 4.0, "b_x1": -0.1, "b_x2": 0.1, "var_e": 0.36}.items():
        assert abs(record["mean"][name] - truth) < 6.0 * record["sd"][name], name

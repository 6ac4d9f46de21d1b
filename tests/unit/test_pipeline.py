"""The path from model to files, with made-up draws in the place of the chains."""

import dataclasses
import threading

import numpy as np
import pytest
import synthetic

from mlbayes import pipeline
from mlbayes.console import Console
from mlbayes.data.table import Column, Table
from mlbayes.output.gather import saved_orders
from mlbayes.output.saves import Imputations
from mlbayes.source import Source

FILES = {"estimates": "estimates.csv", "iterations": "iter.csv", "psr": "psr.csv", "simple": "simple.csv"}


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Stages that need no script, and the draws that they hand on."""
    model = synthetic.make_model()
    settings = dataclasses.replace(model.settings, saves=tuple(FILES.items()))
    source = Source(tmp_path / "model.inp", "")
    model = dataclasses.replace(model, settings=settings, source=source)
    table = Table(tmp_path / "data.csv", {"x": Column("x", "x", np.zeros(3))}, ("999",), np.arange(3))
    information, data = synthetic.make_information()
    monkeypatch.setattr(pipeline, "understand_parts", lambda *arguments: ([pipeline.Part(model)], table))
    monkeypatch.setattr(pipeline, "plan", lambda model: "the plan")
    monkeypatch.setattr(Console, "compile_notice", lambda self, kernels: None)
    monkeypatch.setattr(pipeline, "kernels", lambda planned: set())
    monkeypatch.setattr("mlbayes.model.describe.describe", lambda model: information)
    monkeypatch.setattr("mlbayes.model.patterns.data_information", lambda model: data)
    return source


def sampler(draws, seen):
    def sample(made, threads, progress, stop, checkpoint=None):
        seen.append((made, threads, stop.is_set()))
        progress.update(0, 1, 2, None)
        return draws

    return sample


def test_a_run_hands_each_value_on_and_writes_its_files(fakes, monkeypatch, tmp_path):
    seen = []
    draws = synthetic.make_draws()
    monkeypatch.setattr(pipeline, "sample", sampler(draws, seen))
    options = pipeline.RunOptions(tmp_path / "report.txt", tmp_path / "result.json", threads=3)
    (document,), text = pipeline.run(fakes, options, Console(quiet=True))
    assert seen == [("the plan", 3, False)] and text == "" and document.complete
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "estimates.csv", "iter.csv", "psr.csv", "report.txt", "result.json", "simple.csv",
    ]  # fmt: skip
    numbered = len((tmp_path / "estimates.csv").read_text().splitlines()) - 1
    assert len((tmp_path / "psr.csv").read_text().splitlines()[0].split(",")) == numbered
    iterations = (tmp_path / "iter.csv").read_text().splitlines()
    assert len(iterations) == draws.chains * draws.kept


def test_the_report_goes_to_stdout_without_output(fakes, monkeypatch):
    monkeypatch.setattr(pipeline, "sample", sampler(synthetic.make_draws(), []))
    _, text = pipeline.run(fakes, pipeline.RunOptions(), Console(quiet=True))
    assert "OUTCOME MODEL ESTIMATES:" in text


def test_nothing_is_written_when_nothing_was_kept(fakes, monkeypatch, tmp_path):
    draws = dataclasses.replace(synthetic.make_draws(), kept=0, complete=False)
    monkeypatch.setattr(pipeline, "sample", sampler(draws, []))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(fakes, pipeline.RunOptions(tmp_path / "report.txt"), Console(quiet=True))
    assert list(tmp_path.iterdir()) == []


def test_columns_of_saved_data():
    imputations = Imputations(["x", "y"], [])
    orders = saved_orders((("stacked", "a"), ("psr", "b"), ("avgimp", "c")), imputations)
    assert [(order.keyword, order.variables) for order in orders] == [
        ("stacked", ["imp#", "x", "y"]),
        ("avgimp", ["x", "y"]),
    ]


def test_all_processors_by_default():
    assert pipeline.processors() >= 1


def test_the_flag_of_an_interrupt_is_an_event():
    from mlbayes.console import Interrupt

    assert isinstance(Interrupt(), threading.Event)

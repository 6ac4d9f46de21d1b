"""Folders with small scripts and ways to run the command line on them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import mlbayes as mlbayes_package

PACKAGES = Path(mlbayes_package.__file__).parents[1]  # the copy that is tested, installed or not

SCRIPT = """\
DATA: data.csv;
MISSING: NA;
CLUSTERID: school;
FIXED: size;
CENTER: grandmean = size;
MODEL: score ~ hours size | hours;
SEED: 11;
BURN: 60;
ITER: 80;
CHAINS: 2;
"""


def data_text() -> str:
    """Fifteen schools of six pupils; some scores and hours are missing."""
    lines = ["school,score,hours,size"]
    for row in range(90):
        school = row // 6
        hours = 2.0 + (row * 37 % 11) / 3 + school * 0.1
        score = 20.0 + 1.5 * hours + (row * 53 % 17) / 2 + (school * 7 % 5)
        cells = [str(school + 1), f"{score:.2f}", f"{hours:.2f}", str(100 + school * 13 % 60)]
        if row % 10 == 3:
            cells[1] = "NA"
        if row % 9 == 4:
            cells[2] = "NA"
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data.csv and a sound model.inp."""
    (tmp_path / "data.csv").write_text(data_text())
    (tmp_path / "model.inp").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def mlbayes(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process."""
    from mlbayes.cli import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def python() -> Callable[..., Outcome]:
    """Run Python code in a process of its own."""

    def run(code: str, *arguments: object, **environment: str) -> Outcome:
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PACKAGES), **environment},
            timeout=120,
        )
        return Outcome(process.returncode, process.stdout, process.stderr)

    return run


@pytest.fixture
def make_document():
    """Make a document with one parameter row."""
    from mlbayes.results.document import DataInformation, Document, Fit, ModelInformation, Row, Table

    def make(rhat: float | None = 1.0, neff: float | None = 1000.0) -> Document:
        table = Table("outcome", "Outcome Variable", "y", rows=[Row("x", number=1, rhat=rhat, neff=neff)])
        return Document(
            version="1.0", program="0", options={}, option_notes=[], psr=[], chains=2, iterations=10,
            acceptance=[], data=DataInformation(9), model=ModelInformation({}), warnings=[], fit=Fit(),
            summaries=[], data_sets=10, residual_correlations=[], outcome_tables=[table],
            generated_tables=[], predictor_tables=[],
        )  # fmt: skip

    return make

"""Reports against those that another program printed for the same models.

Scripts, data and figures lie beside this repository, in `../shared/conformance`; without them there is nothing
to compare with and the tests are skipped.
"""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance"
pytestmark = pytest.mark.skipif(
    not (CONFORMANCE / "run.py").exists(), reason="no reference figures in ../shared/conformance"
)

QUICK = ("ex6.5a", "ex6.10", "ex6.11a", "ex6.15")
ALL = (
    *("ex6.1", "ex6.1-centred", "ex6.3a", "ex6.3a-centred", "ex6.3b-centred", "ex6.5a", "ex6.5b", "ex6.5c"),
    *("ex6.6", "ex6.10", "ex6.11a", "ex6.15", "ex6.16a", "ex6.16b"),
)
# The model of ex6.20b is that of ex6.20 written with a random slope in place of a latent variable.
SAME = {
    ("y_i", "l2:var(d_j)"): ("beta0_j", "residualvar."),
    ("y_i", "l2:sd(d_j)"): ("beta0_j", "residualsd"),
    ("y_i", "residualvar."): ("y_i", "residualvar."),
    ("y_i", "residualsd"): ("y_i", "residualsd"),
    ("y_i", "intercept"): ("y_i", "intercept"),
    ("y_i", "d_j"): ("y_i", "d_j"),
}


def run(case: str, folder: Path) -> Path:
    """Run a case and hold it against its reference; returns the report."""
    command = f"{sys.executable} -m mlbayes"
    process = subprocess.run(
        [sys.executable, str(CONFORMANCE / "run.py"), case]
        + ["--command", command, "--out", str(folder), "--verbose"],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return folder / case / "report.txt"


@pytest.mark.parametrize("case", QUICK)
def test_quick_cases(case, tmp_path):
    run(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL)
def test_every_case(case, tmp_path):
    run(case, tmp_path)


def test_a_random_slope_is_the_latent_variable_of_the_reference(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CONFORMANCE))
    compare = importlib.import_module("compare")
    ours = rows(compare, run("ex6.20b", tmp_path))
    reference = rows(compare, CONFORMANCE / "reference" / "ex6.20.json")
    verdicts = {key: compare.judge(ours[key], reference[other]) for key, other in SAME.items()}
    assert [verdict for verdict, *_ in verdicts.values()] == ["good"] * len(SAME), verdicts


def rows(compare, path: Path) -> dict[tuple[str, str], dict]:
    """Rows of variances, coefficients and standard deviations by table and label."""
    found, _ = compare.rows_of(compare.read(path))
    sections = ("variances", "coefficients", "standarddeviations")
    return {(key[2], key[6]): row for key, row in found.items() if key[4] in sections}

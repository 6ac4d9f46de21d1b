"""SIMULATE as a user sees it: with a model, alone, saved, and the same data from the file that was saved."""

import json

import jsonschema
import pytest

from mlbayes.results.schema import document_schema

ALONE = """\
SIMULATE: row(1) = 60; g(2) = 6; g: u = normal(0, 1); row: x = normal(u, 1); y = missing(x > 1, 2*x);
SEED: 4;
SAVE: dataset = sim.dat;
"""
MODEL = """\
SIMULATE: row(1) = 120; school(2) = 12;
  school: u = normal(0, 1);
  row: x = normal(0, 1); y = missing(uniform(0, 1) < 0.1, u + x + normal(0, 1));
VARIABLES: y x school;
CLUSTERID: school;
TRANSFORM: double = 2 * x;
MODEL: y ~ double | double;
SEED: 4; BURN: 60; ITER: 80; CHAINS: 2;
"""


@pytest.fixture
def script(tmp_path):
    def write(text, name="model.inp"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def parts(report):
    return [line for line in report.splitlines() if line.endswith(":") and line.isupper()]


def test_data_alone(mlbayes, script, tmp_path):
    outcome = mlbayes("run", script(ALONE), "--quiet", "--strict", "--json", tmp_path / "result.json")
    assert outcome.status == 0 and outcome.err == ""
    assert parts(outcome.out) == [
        "ALGORITHMIC OPTIONS SPECIFIED:", "SIMULATED DATA SUMMARIES:", "VARIABLE ORDER IN SIMULATED DATA:",
    ]  # fmt: skip
    assert "   dataset = 'sim.dat'\n\n     g u x y\n" in outcome.out
    rows = [line.split() for line in (tmp_path / "sim.dat").read_text().splitlines()]
    assert len(rows) == 60 and {len(row) for row in rows} == {4} and ["NA"] in [row[3:] for row in rows]
    document = json.loads((tmp_path / "result.json").read_text())
    jsonschema.Draft202012Validator(document_schema()).validate(document)
    missing = 100 * sum(row[3] == "NA" for row in rows) / 60
    assert [item["variable"] for item in document["simulated"]] == ["u", "x", "y"]
    assert document["simulated"][2]["missing"] == pytest.approx(missing) and document["sampled"] is False


def test_the_same_bytes_again_and_other_data_with_another_seed(mlbayes, script, tmp_path):
    def data(*options):
        assert mlbayes("run", script(ALONE), "--quiet", *options).status == 0
        return (tmp_path / "sim.dat").read_bytes()

    first = data()
    assert data() == first == data("--threads", 1) and data("--seed", 5) != first


def test_check_and_explain_show_what_will_be_simulated(mlbayes, script):
    for command in ("check", "explain"):
        outcome = mlbayes(command, script(ALONE))
        assert outcome.status == 0 and parts(outcome.out) == ["SIMULATED DATA SUMMARIES:"]
    assert "u = normal" not in mlbayes("check", script(MODEL)).out


def test_simulated_data_are_used_like_those_of_a_file(mlbayes, script, tmp_path):
    simulated = mlbayes(
        "run", script(MODEL + "SAVE: dataset = s.csv; stacked0 = i.csv; NIMPS: 2;"), "--quiet"
    )
    assert simulated.status == 0, simulated.err
    order = parts(simulated.out)
    assert order[:4] == [
        "ALGORITHMIC OPTIONS SPECIFIED:", "SIMULATED DATA SUMMARIES:", "VARIABLE ORDER IN SIMULATED DATA:",
        "BURN-IN POTENTIAL SCALE REDUCTION (PSR) OUTPUT:",
    ]  # fmt: skip
    assert order[-1] == "VARIABLE ORDER IN IMPUTED DATA:"
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "y,x,school" and len(lines) == 121  # nothing of TRANSFORM
    original = [line.split(",") for line in (tmp_path / "i.csv").read_text().splitlines()[1:121]]
    assert [row[1:4] for row in original] == [line.split(",") for line in lines[1:]]

    rest = MODEL[MODEL.index("CLUSTERID") :]
    read = mlbayes("run", script("DATA: s.csv; MISSING: NA;" + rest, "again.inp"), "--quiet")
    begin = "DATA INFORMATION:"

    def words(report):
        return report[report.index(begin) : report.index("WARNING MESSAGES:")]

    assert words(read.out) == words(simulated.out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALONE.replace("dataset", "stacked") + "NIMPS: 2;", "without a model there is nothing to save"),
        (ALONE.replace("sim.dat", "model.inp"), "this is an input of the run"),
        ("SIMULATE: n = 5; n: x = norml(0, 1); MODEL: x ~ 1;", "did you mean 'normal'?"),
        ("SIMULATE: n = 9; n: x = normal(0, 1); MODEL: y ~ x;", "'y'"),
        ("SIMULATE: n = 9; n: x = normal(0, 1); VARIABLES: xx; TRANSFORM: z = x;", "did you mean 'x'?"),
        ("MODEL: y ~ x;", "simulate the data with SIMULATE"),
    ],
)
def test_what_goes_wrong(mlbayes, script, tmp_path, text, message):
    outcome = mlbayes("run", script(text), "--quiet")
    assert outcome.status == 2 or "input" in message
    assert message in outcome.err and outcome.status != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.inp"]


def test_simulating_loads_neither_numba_nor_scipy(python, script):
    code = (
        "import sys; from mlbayes.cli import main; status = main(['run', sys.argv[1], '--quiet']);"
        "sys.exit(status or any(name in sys.modules for name in ('numba', 'scipy')))"
    )
    outcome = python(code, script(ALONE))
    assert outcome.status == 0, outcome.err

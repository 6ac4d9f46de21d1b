"""Results that could not be written are refused before anything is computed."""

from pathlib import Path

import pytest

from mlbayes.language.parse import parse_script
from mlbayes.output.targets import target_problems
from mlbayes.source import Source


def problems(folder, saves, reports=(), allow_outside=False, more="NIMPS: 2;"):
    text = f"DATA: data.csv; MODEL: y ~ x; {more} SAVE: {saves}"
    script, found = parse_script(Source(folder / "model.inp", text))
    assert found == []
    inputs = (folder / "model.inp", folder / "data.csv")
    return target_problems(script, inputs, [Path(path) for path in reports], allow_outside)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "home"
    (home / "results").mkdir(parents=True)
    (home / "data.csv").write_text("x y\n")
    (home / "model.inp").write_text("")
    (home / "link.csv").symlink_to(home / "data.csv")
    return home


def test_files_beside_the_script(folder):
    assert problems(folder, "stacked = imps.csv; iterations = iter*.csv; psr = results/psr.csv;") == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../out.csv", "outside"),
        ("results", "folder"),
        ("absent/out.csv", "does not exist"),
        ("data.csv", "input"),
        ("link.csv", "input"),
    ],
)
def test_refused_names_with_their_place_in_the_script(folder, name, message):
    (problem,) = problems(folder, f"psr = {name};")
    assert message in problem.message and problem.span is not None


def test_outside_when_allowed(folder):
    assert problems(folder, "psr = ../out.csv;", allow_outside=True) == []


def test_reports_may_lie_anywhere_but_not_on_inputs(folder):
    assert problems(folder, "psr = p.csv;", [folder.parent / "report.txt"]) == []
    assert len(problems(folder, "psr = p.csv;", [folder / "data.csv", folder / "absent" / "r.json"])) == 2


@pytest.mark.parametrize("keyword", ["stacked", "stacked0", "separate", "dataset"])
def test_data_that_will_not_be_there(folder, keyword):
    (problem,) = problems(folder, f"{keyword} = out.csv;", more="")
    assert "there are no" in problem.message and problem.hint


def test_two_results_in_one_file(folder):
    for saves in (
        "estimates = a.csv; estimates = a.csv;",
        "estimates = a.csv; psr = a.csv;",
        "psr = a.csv; iterations = results/../a.csv;",
    ):
        (problem,) = problems(folder, saves)
        assert problem.message == "two results would be written into this file"
        assert problem.span is not None
    assert problems(folder, "psr = report.txt;", reports=[folder / "report.txt"])[0].span is not None
    assert problems(folder, "estimates = a.csv; estimates = b.csv;") == []

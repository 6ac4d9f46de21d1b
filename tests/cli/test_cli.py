"""The command line: what is loaded, what is printed where, and which exit status it ends with."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlbayes import __version__, pipeline
from mlbayes.convergence import shortcomings
from mlbayes.problems import ExitStatus, Problem, ProblemError, ProblemKind

LOADED = """
import sys, resource
from mlbayes.cli import main
try:
    status = main(sys.argv[1:])
except SystemExit as leaving:
    status = leaving.code or 0
heavy = [name for name in ("numpy", "scipy", "numba", "lark", "rich") if name in sys.modules]
usage = resource.getrusage(resource.RUSAGE_SELF)
print("LOADED", *heavy)
print("CPU", usage.ru_utime + usage.ru_stime)
sys.exit(status)
"""


def loaded(text):
    return re.search(r"^LOADED(.*)$", text, re.M).group(1).split()


def cpu_seconds(text):
    return float(re.search(r"^CPU (.*)$", text, re.M).group(1))


# ------------------------------------------------------------------ what needs no script
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing(python, option):
    outcome = python(LOADED, option)
    assert outcome.status == 0
    assert loaded(outcome.out) == []
    assert cpu_seconds(outcome.out) < 0.1


def test_version(mlbayes):
    assert mlbayes("--version").out == f"mlbayes {__version__}\n"


def test_no_arguments_show_the_usage(mlbayes):
    outcome = mlbayes()
    assert outcome.status == ExitStatus.SCRIPT
    assert outcome.out == "" and outcome.err.startswith("usage: mlbayes MODEL.inp")


@pytest.mark.parametrize("command", ["run", "check", "explain"])
def test_every_command_has_help(mlbayes, command):
    outcome = mlbayes(command, "--help")
    assert outcome.status == 0 and f"usage: mlbayes {command}" in outcome.out


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1" * 30, "\N{ARABIC-INDIC DIGIT THREE}"])
def test_threads_must_be_a_number(mlbayes, threads):
    outcome = mlbayes("model.inp", f"--threads={threads}")
    assert outcome.status == 2 and "whole number above 0" in outcome.err


# ------------------------------------------------------------------ problems
def problem_stage(*problems):
    def stage(*arguments, **options):
        raise ProblemError(problems)

    return stage


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([ProblemKind.SCRIPT], 2),
        ([ProblemKind.UNSUPPORTED], 2),
        ([ProblemKind.DATA], 3),
        ([ProblemKind.FILE], 3),
        ([ProblemKind.NUMERICAL], 5),
        ([ProblemKind.DATA, ProblemKind.SCRIPT], 2),
    ],
)
def test_the_kind_of_a_problem_decides_the_status(mlbayes, folder, monkeypatch, kinds, status):
    problems = [Problem(f"number {i}", kind=kind) for i, kind in enumerate(kinds)]
    monkeypatch.setattr(pipeline, "run", problem_stage(*problems))
    outcome = mlbayes(folder / "model.inp")
    assert outcome.status == status
    assert outcome.err.splitlines()[-1] == f"{'1 error' if len(kinds) == 1 else '2 errors'} in model.inp"


def test_missing_script(mlbayes, tmp_path):
    outcome = mlbayes(tmp_path / "absent.inp")
    assert outcome.status == ExitStatus.DATA
    assert "absent.inp" in outcome.err and "Traceback" not in outcome.err and outcome.out == ""


def test_folder_as_script(mlbayes, tmp_path):
    outcome = mlbayes("check", tmp_path)
    assert outcome.status == ExitStatus.DATA
    assert "error:" in outcome.err and "internal" not in outcome.err


def test_all_errors_of_a_script_at_once(mlbayes, folder):
    script = folder / "bad.inp"
    script.write_text(
        "DATA: data.csv;\nMISSING: NA;\nCLUSTERID: school;\nMODEL:\nscore ~ hour;\nscore ~ sise;\n"
    )
    outcome = mlbayes(script)
    assert outcome.status == ExitStatus.SCRIPT and outcome.out == ""
    assert re.search(r"^bad\.inp:5:9: error: .*hour", outcome.err, re.M)
    assert re.search(r"^bad\.inp:6:9: error: .*sise", outcome.err, re.M)
    assert "            ^^^^" in outcome.err and "did you mean 'hours'?" in outcome.err
    assert outcome.err.splitlines()[-1] == "2 errors in bad.inp"


def test_data_error(mlbayes, folder):
    with (folder / "data.csv").open("a") as file:
        file.write("16,1.0\n")
    outcome = mlbayes("check", folder / "model.inp")
    assert outcome.status == ExitStatus.DATA
    assert "data.csv, line 92" in outcome.err


def test_internal_error_is_one_paragraph(mlbayes, folder, monkeypatch):
    def broken(*arguments):
        raise ValueError("a \x1b[31mfault")

    monkeypatch.setattr(pipeline, "run", broken)
    monkeypatch.delenv("MLBAYES_DEBUG", raising=False)
    outcome = mlbayes(folder / "model.inp")
    assert outcome.status == ExitStatus.INTERNAL
    assert outcome.err.startswith("internal error: ValueError: a ")
    assert "\x1b" not in outcome.err and "Traceback" not in outcome.err
    monkeypatch.setenv("MLBAYES_DEBUG", "1")
    with pytest.raises(ValueError, match="fault"):
        mlbayes(folder / "model.inp")


def test_interrupt_before_the_chains(mlbayes, folder, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupted)
    assert mlbayes(folder / "model.inp").status == ExitStatus.INTERRUPTED


def test_no_colour_outside_a_terminal(mlbayes, tmp_path):
    assert "\x1b" not in mlbayes(tmp_path / "absent.inp").err


# ------------------------------------------------------------------ where results go
def test_output_is_refused_before_anything_runs(mlbayes, folder, monkeypatch):
    monkeypatch.setattr(pipeline, "sample", lambda *arguments: pytest.fail("the chains were run"))
    script = folder / "model.inp"
    before = script.read_text()
    for target, message in [
        (folder / "absent" / "report.txt", "folder does not exist"),
        (folder, "folder, not a file"),
        (script, "input of the run"),
    ]:
        outcome = mlbayes(script, "--output", target)
        assert outcome.status == ExitStatus.DATA and message in outcome.err
    assert script.read_text() == before


def test_the_data_are_never_overwritten(mlbayes, folder):
    before = (folder / "data.csv").read_text()
    outcome = mlbayes(folder / "model.inp", "--json", folder / "data.csv")
    assert outcome.status == ExitStatus.DATA and "input of the run" in outcome.err
    assert (folder / "data.csv").read_text() == before


def test_a_failed_run_leaves_no_report(mlbayes, folder):
    script = folder / "bad.inp"
    script.write_text("DATA: data.csv; MODEL: score ~ nothing;")
    assert mlbayes(script, "--output", folder / "report.txt").status == ExitStatus.SCRIPT
    assert sorted(path.name for path in folder.iterdir()) == ["bad.inp", "data.csv", "model.inp"]


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 4), (("--strict", "--quiet"), 4)])
def test_strict(mlbayes, folder, monkeypatch, make_document, options, status):
    document = make_document(rhat=1.3, neff=20.0)
    monkeypatch.setattr(pipeline, "run", lambda *arguments: ([document], "the report\n"))
    outcome = mlbayes(folder / "model.inp", *options)
    assert outcome.status == status and outcome.out == "the report\n"
    assert outcome.err.count("warning:") == (0 if "--quiet" in options else 2)


def test_an_unfinished_run(mlbayes, folder, monkeypatch, make_document):
    document = make_document()
    document.complete = False
    monkeypatch.setattr(pipeline, "run", lambda *arguments: ([document], "the report\n"))
    assert mlbayes(folder / "model.inp").status == ExitStatus.INTERRUPTED


def test_shortcomings_ignore_constants(make_document):
    assert shortcomings(make_document(rhat=None, neff=None)) == []
    assert shortcomings(make_document(rhat=float("nan"), neff=float("nan"))) == []
    assert shortcomings(make_document()) == []


# ------------------------------------------------------------------ whole commands
def test_check_prints_the_models_without_the_engine(python, folder):
    outcome = python(LOADED, "check", folder / "model.inp")
    assert outcome.status == 0, outcome.err
    assert "score ~ Intercept hours size | Intercept hours" in outcome.out
    assert not {"numba", "scipy", "rich"} & set(loaded(outcome.out))
    assert cpu_seconds(outcome.out) < 0.5  # 0.3 s on an idle machine


def test_check_goes_on_after_a_bad_script(mlbayes, folder):
    (folder / "bad.inp").write_text("DATA: data.csv; MODEL: nothing ~ 1;")
    outcome = mlbayes("check", folder / "bad.inp", folder / "model.inp")
    assert outcome.status == ExitStatus.SCRIPT
    assert "score ~ Intercept hours size" in outcome.out and "bad.inp:1:24: error:" in outcome.err


@pytest.mark.parametrize(("stage", "word"), [("syntax", "Script"), ("graph", "Model"), ("plan", "score")])
def test_check_shows_a_stage(mlbayes, folder, stage, word):
    outcome = mlbayes("check", folder / "model.inp", "--show", stage)
    assert outcome.status == 0, outcome.err
    assert word in outcome.out


def test_explain(mlbayes, folder):
    outcome = mlbayes("explain", folder / "model.inp")
    assert outcome.status == 0, outcome.err
    assert "hours" in outcome.out and "grand mean" in outcome.out


def test_what_cannot_be_run_yet_is_explained_all_the_same(mlbayes, folder, monkeypatch):
    problem = Problem("covariances cannot be run yet", kind=ProblemKind.UNSUPPORTED)
    monkeypatch.setattr(pipeline, "plan", problem_stage(problem))
    outcome = mlbayes("explain", folder / "model.inp")
    assert outcome.status == 0 and "Variables" in outcome.out
    assert outcome.out.endswith("error: covariances cannot be run yet\n")
    assert mlbayes(folder / "model.inp").status == ExitStatus.SCRIPT


def test_run_writes_the_report(mlbayes, folder):
    printed = mlbayes(folder / "model.inp", "--quiet", "--threads", "1")
    assert printed.status == 0, printed.err
    assert "OUTCOME MODEL ESTIMATES:" in printed.out and printed.err == ""
    written = mlbayes(
        "run", folder / "model.inp", "--output", folder / "report.txt", "--json", folder / "r.json"
    )
    assert written.status == 0 and written.out == ""
    assert (folder / "report.txt").read_text() == printed.out
    assert '"version"' in (folder / "r.json").read_text()
    other = mlbayes(folder / "model.inp", "--quiet", "--seed", "12", "--truncate", "100")
    assert other.status == 0 and other.out != printed.out


def test_a_reader_that_goes_away(folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlbayes", "check", str(folder / "model.inp")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert error == b""

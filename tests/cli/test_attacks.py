"""Input that is meant to do harm: too deep, too large, too many, of the wrong kind, out of its place."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PACKAGES, SCRIPT

SECONDS = 2.0  # of processor time that may pass until bad input is refused
MEGABYTES = 500


def state(folder: Path) -> dict[str, object]:
    """Everything in a folder: contents of files, times, where links lead."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path.name] = os.readlink(path)
        elif path.is_file() and path.stat().st_size < 10_000_000:
            found[path.name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        else:
            found[path.name] = path.stat().st_mode
    return found


@pytest.fixture
def refused(folder, mlbayes):
    """Run a script that must be refused at once, with no file touched; returns what is said about it."""

    def run(old: str, new: str, status: int = 2, script: str = SCRIPT) -> str:
        assert old in script
        (folder / "model.inp").write_text(script.replace(old, new, 1))
        before, started = state(folder), time.process_time()
        outcome = mlbayes("run", folder / "model.inp", "--quiet")
        assert time.process_time() - started < SECONDS
        assert outcome.status == status, outcome.err
        assert state(folder) == before
        assert outcome.out == ""
        assert all(c.isprintable() or c == "\n" for c in outcome.err)
        assert max(map(len, outcome.err.splitlines())) < 400
        return outcome.err

    return run


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """What is imported once must not count as the time of a test."""
    import mlbayes.engine.chains  # noqa: F401
    import mlbayes.results.build  # noqa: F401
    from mlbayes.language.syntax import blimp_grammar

    blimp_grammar()


# ------------------------------------------------------------------ sizes
DEEP = {
    "parentheses": "(" * 100_000 + "hours" + ")" * 100_000,
    "calls": "exp(" * 100_000 + "hours" + ")" * 100_000,
    "signs": "(" + "-" * 100_000 + "hours)",
    "powers": "(" + "hours^" * 100_000 + "hours)",
    "sums": "(hours" + "+hours" * 100_000 + ")",
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting(refused, name):
    said = refused("~ hours", f"~ {DEEP[name]}")
    assert "model.inp:6:" in said and "200 deep" in said


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("score ~", "y1:y1000000000 ~ score; score ~", "model.inp:6:8"),
        ("FIXED: size", "FIXED: y1:y999999999", "model.inp:4:8"),
        ("score ~", "q1:q99999 score ~", "model.inp:6:8: error: after 100 errors"),
        ("score ~", "{ i in 1:999999999 } : score ~ hours[i]; score ~", "model.inp:6:8"),
        ("DATA: data.csv", "DATA: data.csv; VARIABLES: x1:x100000000", "model.inp:1:28"),
    ],
)
def test_ranges(refused, old, new, place):
    assert place in refused(old, new)


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("SEED: 11", f"SEED: {DIGITS}", 7),
        ("ITER: 80", f"ITER: {DIGITS}", 9),
        ("~ hours", f"~ hours@{DIGITS}", 6),
        ("~ hours", f"~ hours@.{DIGITS}e{DIGITS}", 6),
        ("~ hours", f"~ hours^{DIGITS}", 6),
        ("FIXED", f"NOMINAL: school({DIGITS}); FIXED", 4),
        ("FIXED", f"TRANSFORM: q = hours * {DIGITS}; FIXED", 4),
    ],
)
def test_long_numbers(refused, old, new, line):
    said = refused(old, new)
    assert f"model.inp:{line}:" in said and "^" in said


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("ITER: 80", "ITER: 1000000000000", 9),
        ("BURN: 60", "BURN: 999999999999", 8),
        ("CHAINS: 2", "CHAINS: 1000000000; NIMPS: 0", 9),
        ("ITER: 80;\nCHAINS: 2", "ITER: 1000000000000;\nCHAINS: 100000000000", 10),
    ],
)
def test_runs_that_no_memory_can_hold(refused, old, new, line):
    said = refused(old, new)
    assert f"model.inp:{line}:" in said
    assert "of memory" in said or "in total" in said


def test_more_data_sets_than_draws(refused):
    said = refused("CHAINS: 2", "NIMPS: 1000000000; CHAINS: 2")
    assert "model.inp:10:1: error: NIMPS asks for more data sets than there are draws" in said
    assert "ITER: 1000000000 is enough" in said


# ------------------------------------------------------------------ characters and names
def test_control_characters_of_a_script(refused):
    said = refused("hours size", "h\x1b[31mours\x07 \x9b2J\u202esize")
    assert "model.inp:6:17: error: the character" in said and "\N{REPLACEMENT CHARACTER}" in said


def test_control_characters_of_data(refused, folder):
    text = (folder / "data.csv").read_text()
    (folder / "data.csv").write_text(text.replace("size", "s\x1b]0;x\x07ize").replace("NA", "\x1b[2J"))
    assert "\N{REPLACEMENT CHARACTER}" in refused("~ hours", "~ hours s", 2)


def test_control_characters_of_names_of_files(folder, mlbayes):
    script = folder / "a\x1b[31m\n.inp"
    script.write_text(SCRIPT.replace("hours", "hour"))
    outcome = mlbayes("check", script)
    assert outcome.status == 2
    assert "\x1b" not in outcome.err and outcome.err.startswith("a\N{REPLACEMENT CHARACTER}[31m")


def test_names_that_are_markup_to_the_screen(folder, mlbayes):
    """Names of the data and labels look like markup and hyperlinks; they are printed as they are."""
    table = (folder / "data.csv").read_text().replace("school,", "s_i[red],").replace("size", "size.b[bold]")
    (folder / "data.csv").write_text(table)
    columns = "VARIABLES: school score hours size; "
    (folder / "data.csv").write_text(table.split("\n", 1)[1])
    (folder / "model.inp").write_text(columns + SCRIPT.replace("hours size", "hours size | 1[school]"))
    outcome = mlbayes("run", folder / "model.inp", "--quiet")
    assert outcome.status == 2  # two bars
    (folder / "model.inp").write_text(columns + SCRIPT.replace("| hours", "| 1[school] hours[school]"))
    outcome = mlbayes("run", folder / "model.inp", "--quiet")
    assert outcome.status == 0, outcome.err
    assert "[school]" in outcome.out


# ------------------------------------------------------------------ files that are none
def test_nul_bytes(refused, folder, mlbayes):
    (folder / "nul.csv").write_bytes(b"a,b\n1,2\0\n")
    assert "nul.csv, line 2: error: there is a NUL byte" in refused("data.csv", "nul.csv", 3)
    (folder / "nul.inp").write_bytes(b"MODEL: y ~ x\0;")
    outcome = mlbayes("check", folder / "nul.inp")
    assert outcome.status == 3 and "nul.inp, line 1: error: this is not a text file" in outcome.err


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (".", "is a folder"),
        ("..", "is a folder"),
        ("/", "is a folder"),
        ("/dev/zero", "device or a pipe"),
        ("/dev/null", "device or a pipe"),
        ("pipe", "device or a pipe"),
        ("absent.csv", "does not exist"),
        ("a" * 5000, "cannot be read"),
        ("loop", "cannot be read"),
    ],
)
def test_data_that_are_no_file(refused, folder, name, what):
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    said = refused("data.csv", name, 3)
    assert what in said.split("\n")[0] and said.startswith("model.inp:1:7: error: ") and "    ^" in said


def test_scripts_that_are_no_file(folder, mlbayes):
    for name in (folder, "/dev/zero", folder / "absent", sys.executable, folder / ("a" * 5000)):
        outcome = mlbayes("check", name)
        assert outcome.status == 3 and "error: " in outcome.err and "internal" not in outcome.err


def run_limited(folder: Path, *arguments: str, limit=None, **options) -> subprocess.CompletedProcess:
    """The program in a process of its own, with limits of the system."""
    return subprocess.run(
        [sys.executable, "-m", "mlbayes", *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        cwd=folder,
        text=True,
        timeout=200,
        preexec_fn=limit,
        **{"capture_output": True, **options},
    )


def test_a_huge_sparse_file_is_not_read(folder):
    """Two gigabytes of nothing behind a sound beginning, with less memory than that."""
    with (folder / "huge.csv").open("w") as file:
        file.write((folder / "data.csv").read_text())
        file.truncate(2 << 30)
    (folder / "model.inp").write_text(SCRIPT.replace("data.csv", "huge.csv"))

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))

    found = run_limited(folder, "check", "model.inp", limit=limit)
    assert found.returncode == 3, found.stderr
    assert "NUL byte" in found.stderr or "too large" in found.stderr


def test_a_file_larger_than_memory(folder, mlbayes, monkeypatch):
    monkeypatch.setattr("mlbayes.data.lines.physical_memory", lambda: 2000.0)
    outcome = mlbayes("check", folder / "model.inp")
    assert outcome.status == 3 and outcome.err.startswith("model.inp:1:7: error: the data file")
    assert "of memory" in outcome.err


def test_memory_that_ends(folder, mlbayes, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr("mlbayes.pipeline.load", fail)
    outcome = mlbayes("run", folder / "model.inp")
    assert outcome.status == 3 and "memory of this machine" in outcome.err and "internal" not in outcome.err


# ------------------------------------------------------------------ where results go
SAVING = SCRIPT.replace("SEED", "NIMPS: 4;\nSAVE: {save};\nSEED")


@pytest.mark.parametrize(
    "name",
    [
        "../out.csv",
        "/tmp/out.csv",
        "a/../../out.csv",
        "link.csv",
        "sub/../../out.csv",
        "../../*.csv",
        "out/",
        "..",
    ],
)
def test_results_do_not_leave_the_folder(refused, folder, name):
    (folder / "link.csv").symlink_to(folder.parent / "elsewhere.csv")
    (folder / "sub").mkdir()
    said = refused("{save}", f"stacked = {name}", 3, SAVING)
    assert "model.inp:8:17: error: " in said
    assert not (folder.parent / "elsewhere.csv").exists()


@pytest.mark.parametrize(
    "name", ["data.csv", "model.inp", "twin.csv", "hard.csv", "./data.csv", "sub/../data.csv"]
)
def test_input_is_never_overwritten(refused, folder, name):
    (folder / "twin.csv").symlink_to("data.csv")
    os.link(folder / "data.csv", folder / "hard.csv")
    (folder / "sub").mkdir()
    assert "is an input of the run" in refused("{save}", f"estimates = {name}", 3, SAVING)


@pytest.mark.parametrize(
    "saves",
    [
        "stacked = a.csv; SAVE: estimates = a.csv",
        "separate = im*.csv; SAVE: stacked = im1.csv",
        "stacked = im3.csv; SAVE: separate = im.csv",
        "stacked = imlist.dat; SAVE: separate = im*.csv",
        "separate = im*.csv; SAVE: separate = im*.csv",
    ],
)
def test_no_result_overwrites_another(refused, saves):
    assert "two results would be written into this file" in refused("{save}", saves, 2, SAVING)


def test_results_of_the_command_line_spare_inputs_and_each_other(folder, mlbayes):
    before = state(folder)
    script, data = folder / "model.inp", folder / "data.csv"
    for command, options in (
        ("run", ("--output", data)),
        ("run", ("--json", script)),
        ("calibrate", ("--json", data)),
    ):
        outcome = mlbayes(command, script, "--quiet", *options)
        assert outcome.status == 3 and "is an input of the run" in outcome.err
    outcome = mlbayes("run", script, "--quiet", "--output", folder / "r.txt", "--json", folder / "r.txt")
    assert outcome.status == 2 and "two results would be written into this file" in outcome.err
    assert state(folder) == before


def test_earlier_results_are_replaced(folder, mlbayes):
    (folder / "model.inp").write_text(SAVING.format(save="stacked = imps.csv"))
    for name in ("imps.csv", "report.txt"):
        (folder / name).write_text("of an earlier run")
    assert mlbayes("run", folder / "model.inp", "--quiet", "--output", folder / "report.txt").status == 0
    assert "OUTCOME MODEL" in (folder / "report.txt").read_text()
    assert (folder / "imps.csv").read_text().startswith("imp#,")


def test_devices_are_written_to_and_stay_devices(folder, mlbayes):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    outcome = mlbayes("run", folder / "model.inp", "--quiet", "--output", pipe)
    text = reader.communicate(timeout=60)[0]
    assert outcome.status == 0 and "OUTCOME MODEL ESTIMATES:" in text
    assert pipe.is_fifo()


def test_a_link_to_a_result_stays_a_link(folder, mlbayes):
    (folder / "sub").mkdir()
    (folder / "report.txt").symlink_to("sub/report.txt")
    assert mlbayes("run", folder / "model.inp", "--quiet", "--output", folder / "report.txt").status == 0
    assert (folder / "report.txt").is_symlink()
    assert "OUTCOME MODEL" in (folder / "sub" / "report.txt").read_text()


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """The cache of compiled code is full, so that it does not meet the limits of a test."""
    run_limited(tmp_path_factory.mktemp("warm"), "--warm-up")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SCRIPT + "SAVE: iterations = draws.csv;", "draws.csv: error: cannot write: File too large"),
        (SAVING.format(save="stacked = imps.csv"), "error: cannot keep imputed data in a temporary file"),
    ],
)
def test_a_disk_that_is_full(folder, warm, script, said):
    """A limit on the size of files: nothing under a final name, nothing left beside it."""
    (folder / "model.inp").write_text(script)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    before = state(folder)
    found = run_limited(folder, "run", "model.inp", "--quiet", limit=limit)
    assert found.returncode == 3, found.stderr
    assert said in found.stderr
    assert state(folder) == before


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_a_report_that_cannot_be_written(folder):
    with open("/dev/full", "w") as full:
        options = {"capture_output": False, "stdout": full, "stderr": subprocess.PIPE}
        found = run_limited(folder, "check", "model.inp", **options)
    assert found.returncode == 3
    assert found.stderr == "error: cannot write to stdout: No space left on device\n"


def test_closed_streams(folder):
    def limit():
        os.close(1)

    found = run_limited(folder, "check", "model.inp", limit=limit)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_folder_that_may_not_be_written_to(refused, monkeypatch):
    """Asked of the system before anything is computed (the tests may run with all rights)."""
    monkeypatch.setattr("mlbayes.output.targets.os.access", lambda path, mode: False)
    said = refused("{save}", "stacked = out.csv", 3, SAVING)
    assert "model.inp:8:17: error: no permission to write into this folder" in said


def test_a_folder_that_refuses_in_the_end(folder, mlbayes, monkeypatch):
    def fail(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlbayes.output.atomic.tempfile.mkstemp", fail)
    (folder / "model.inp").write_text(SAVING.format(save="stacked = out.csv"))
    outcome = mlbayes("run", folder / "model.inp", "--quiet")
    assert outcome.status == 3
    assert "out.csv: error: cannot write: Permission denied" in outcome.err
    assert not (folder / "out.csv").exists()


# ------------------------------------------------------------------ kill -9
def killed(folder: Path, seconds: float) -> None:
    """Start a run and kill it after so long."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlbayes", "run", "model.inp", "--quiet", "--output", "report.txt"],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        cwd=folder,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_killed_run_leaves_no_half_written_file(folder, warm):
    """Whatever has a final name after kill -9 is what an undisturbed run writes, to the last byte."""
    files = ("draws.csv", "imps.csv", "report.txt")
    text = SAVING.format(save="stacked = imps.csv;\nSAVE: iterations = draws.csv")
    (folder / "model.inp").write_text(text.replace("ITER: 80", "ITER: 40000"))
    started = time.monotonic()
    killed(folder, 600)
    whole = time.monotonic() - started
    expected = {name: (folder / name).read_bytes() for name in files}
    assert all(len(content) > 1000 for content in expected.values())
    rng, found = random.Random(5), []
    for k in range(24):
        for name in files:
            (folder / name).unlink(missing_ok=True)
        killed(folder, rng.uniform(0.0, whole) if k % 2 else rng.uniform(0.8 * whole, 1.05 * whole))
        found.append([name for name in files if (folder / name).exists()])
        for name in found[-1]:
            assert (folder / name).read_bytes() == expected[name]
    assert any(found) and not all(len(names) == len(files) for names in found)

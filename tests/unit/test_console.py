"""What the terminal sees: problems as they are, bars, and Ctrl-C."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mlbayes
from mlbayes.console import (
    Console,
    Interrupt,
    SilentProgress,
    TerminalProgress,
    print_problems,
    usage_text,
    wants_colour,
)
from mlbayes.problems import Problem
from mlbayes.source import Source, Span

PACKAGES = Path(mlbayes.__file__).parents[1]  # the copy that is tested, installed or not
SOURCE = Source(Path("model.inp"), "MODEL: y ~ x;\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


# ------------------------------------------------------------------ problems
def printed(stream, *problems):
    print_problems(problems, SOURCE, stream)
    return stream.getvalue()


def test_problems_in_the_order_of_the_script_and_counted():
    text = printed(io.StringIO(), Problem("second", Span(11, 12)), Problem("first", Span(7, 8), hint="try z"))
    assert text.splitlines() == [
        "model.inp:1:8: error: first",
        "    MODEL: y ~ x;",
        "           ^",
        "    hint: try z",
        "model.inp:1:12: error: second",
        "    MODEL: y ~ x;",
        "               ^",
        "2 errors in model.inp",
    ]


@pytest.mark.parametrize("name", ["y_i[level2id]", "[bold]y[/bold]", "[/]", ":smile:", "[link=file:///x]"])
def test_names_are_not_markup(name):
    stream = Terminal()
    text = printed(stream, Problem(f"no variable '{name}'"))
    assert f"no variable '{name}'" in text and "\x1b[1;31merror:" in text


def test_control_characters_never_reach_the_terminal():
    assert "\x1b]0;" not in printed(Terminal(), Problem("no variable '\x1b]0;title\x07'"))


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    stream = Terminal()
    assert not wants_colour(stream)
    assert "\x1b" not in printed(stream, Problem("first", Span(7, 8)))


def test_long_lines_are_not_folded():
    assert "word " * 60 in printed(Terminal(), Problem("word " * 60))


# ------------------------------------------------------------------ progress
def test_silence_outside_a_terminal():
    stream = io.StringIO()
    with Console(stream=stream).progress() as progress:
        progress.update(0, 10, 100, None)
    assert isinstance(progress, SilentProgress) and stream.getvalue() == ""


def test_quiet():
    stream = Terminal()
    console = Console(quiet=True, stream=stream)
    console.notice("nothing")
    assert not isinstance(console.progress(), TerminalProgress) and stream.getvalue() == ""


def test_bars_on_a_terminal():
    stream = Terminal()
    with Console(stream=stream).progress() as progress:
        for iteration in (50, 100):
            progress.update(0, iteration, 100, None)
            progress.update(1, iteration // 2, 100, 1.234)
    text = stream.getvalue()
    assert "chain 1" in text and "chain 2" in text and "1.234" in text


def test_compile_notice(monkeypatch):
    jit = pytest.importorskip("mlbayes.engine.jit")
    stream = io.StringIO()
    for cold in (True, False):
        monkeypatch.setattr(jit, "is_compiled", lambda name, cold=cold: not cold)
        Console(stream=stream).compile_notice(["run_sweeps"])
    assert stream.getvalue().startswith("compiling the engine, once") and stream.getvalue().count("\n") == 1


# ------------------------------------------------------------------ Ctrl-C
def test_the_first_interrupt_sets_the_flag():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(1)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_ends_the_program():
    code = (
        "import os, signal\n"
        "from mlbayes.console import Interrupt\n"
        "with Interrupt():\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=60)
    assert process.returncode == 130 and process.stdout == b""


def test_no_handler_outside_the_main_thread():
    failures = []

    def work():
        try:
            with Interrupt() as stop:
                stop.set()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


def test_usage_is_told_to_those_who_ask():
    told, silent = io.StringIO(), io.StringIO()
    for console in (
        Console(stream=told, usage=True),
        Console(stream=silent),
        Console(True, silent, usage=True),
    ):
        console.lap("reading")
        console.lap("sampling")
        console.lap("reading")
        console.usage()
    assert re.fullmatch(
        r"took \d+\.\d\d s \(reading \d+\.\d\d, sampling \d+\.\d\d\), \d+\.\d\d s of processor time"
        r"(, at most \d+ MB of memory)?\n",
        told.getvalue(),
    )
    assert silent.getvalue() == ""


def test_usage_in_words():
    text = usage_text({"reading": 0.25, "sampling": 1.5}, 3.125, 200.4)
    assert text == (
        "took 1.75 s (reading 0.25, sampling 1.50), 3.12 s of processor time, at most 200 MB of memory"
    )
    assert usage_text({}, 0.0, None) == "took 0.00 s (), 0.00 s of processor time"


def test_the_memory_of_a_process_is_its_own_and_not_that_of_whoever_started_it():
    large = bytes(1) * 300_000_000
    text = "from mlbayes.console import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert len(large) == 300_000_000
    assert 5 < float(done.stdout) < 200

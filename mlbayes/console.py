"""What a person at the terminal sees beside the results: problems, notices, progress; and Ctrl-C.

All of it goes to stderr.  Names such as `y[school]` are markup to rich, so texts reach it only as
`Text` objects, which it prints as they are.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, Self, TextIO

from mlbayes.problems import ExitStatus, Problem, printable, render
from mlbayes.source import Source


# ------------------------------------------------------------------ problems
def wants_colour(stream: TextIO) -> bool:
    """Colour only on a terminal that can show it, and never against NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_problems(problems: Iterable[Problem], source: Source | None, stream: TextIO | None = None) -> None:
    """Every problem in the order of the script, then their number."""
    stream = stream or sys.stderr
    ordered = sorted(problems, key=lambda problem: problem.span.start if problem.span else -1)
    for problem in ordered:
        print_styled(render(problem, source), stream)
    count = "1 error" if len(ordered) == 1 else f"{len(ordered)} errors"
    print(f"{count}{f' in {printable(source.path.name)}' if source else ''}", file=stream)


def print_styled(text: str, stream: TextIO) -> None:
    """A rendered problem, with the marks of an error in colour where that is wanted."""
    if not wants_colour(stream):
        print(text, file=stream)
        return
    from rich.console import Console as Screen
    from rich.text import Text

    styled = Text(text)
    styled.highlight_regex(r"(?m)(?<=: )error:|^error:", "bold red")
    styled.highlight_regex(r"(?m)^ +\^+$", "bold red")
    styled.highlight_regex(r"(?m)^    hint: .*$", "cyan")
    Screen(file=stream, highlight=False).print(styled, soft_wrap=True)


# ------------------------------------------------------------------ progress
class Progress(Protocol):
    """What `run_chains` reports to, from the main thread; a context manager around the run."""

    def update(self, chain: int, iteration: int, total: int, rhat: float | None) -> None:
        """Chain `chain` (from 0) has done `iteration` of `total`; `rhat` is the highest R-hat so far."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SilentProgress:
    """Says nothing: for pipes, batch jobs and tests."""

    def update(self, chain: int, iteration: int, total: int, rhat: float | None) -> None:
        """Ignore the report."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class TerminalProgress(SilentProgress):
    """A bar for each chain with its iteration, the highest R-hat so far and the time left."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console as Screen
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("chain {task.fields[chain]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("R-hat {task.fields[rhat]}"),
            TimeRemainingColumn(),
            console=Screen(file=stream),
            transient=True,
        )
        self._tasks: dict[int, Any] = {}

    def update(self, chain: int, iteration: int, total: int, rhat: float | None) -> None:
        """Move the bar of a chain; it appears with its first report."""
        if chain not in self._tasks:
            self._tasks[chain] = self._bars.add_task("", total=total, chain=chain + 1, rhat="-")
        shown = "-" if rhat is None else f"{rhat:.3f}"
        self._bars.update(self._tasks[chain], completed=iteration, total=total, rhat=shown)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def peak_memory() -> float | None:
    """The largest memory that this process has had so far in megabytes, None where the system does not tell."""
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":  # where the count of `getrusage` begins with the memory of whoever started us
        with contextlib.suppress(OSError):
            found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
            if found is not None:
                return int(found[1]) / 2**10
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def usage_text(phases: Mapping[str, float], processor: float, memory: float | None) -> str:
    """What a run used: seconds by phase and of all processors, megabytes at the most."""
    parts = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases.items())
    text = f"took {sum(phases.values()):.2f} s ({parts}), {processor:.2f} s of processor time"
    return text if memory is None else f"{text}, at most {memory:.0f} MB of memory"


class Console:
    """Where a run tells a waiting person what goes on; a quiet one tells nothing.

    `usage`: say at the end what time and memory were used, which otherwise only a terminal is told.  Reports never have
    it: they are the same on any machine.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None, usage: bool = False) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self._usage = usage
        self._phases: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, phase: str) -> None:
        """The time since the last lap belongs to a phase of the run."""
        now = time.perf_counter()
        self._phases[phase] = self._phases.get(phase, 0.0) + now - self._since
        self._since = now

    def usage(self) -> None:
        """One line about time, by phases, and memory."""
        if self._usage or self.stream.isatty():
            self.notice(usage_text(self._phases, time.process_time(), peak_memory()))

    def notice(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def compile_notice(self, kernels: Iterable[str]) -> None:
        """Say why the first run takes longer, when it will.  `kernels`: names of those that it calls."""
        from mlbayes.engine.jit import is_compiled

        if not all(is_compiled(name) for name in kernels):
            self.notice("compiling the engine, once (about a minute)")

    def progress(self) -> Progress:
        """Bars on a terminal, silence elsewhere."""
        if self.quiet or not self.stream.isatty() or os.environ.get("TERM") == "dumb":
            return SilentProgress()
        return TerminalProgress(self.stream)


# ------------------------------------------------------------------ Ctrl-C
class Interrupt(threading.Event):
    """Set by Ctrl-C; the chains look at it and end with what they have.

    Used as a context manager: the handler stands only inside the block, and only where the system allows
    one (the main thread).  A second Ctrl-C ends the program at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._previous: Any = None
        self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_set():
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the bars hide the cursor
            os._exit(ExitStatus.INTERRUPTED)
        self.set()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
            self._installed = False

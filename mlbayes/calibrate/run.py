"""The path of `mlbayes calibrate`: script -> coherent model with proper priors -> simulations -> report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mlbayes import pipeline
from mlbayes.calibrate.block_report import BlockCheck
from mlbayes.calibrate.blocks import REPEATS, TUNING, Replicate, compare, replicate, replicate_of
from mlbayes.calibrate.coherent import coherent_variant
from mlbayes.calibrate.fit import DRAWS, Simulation, simulation
from mlbayes.calibrate.ledger import Ledger, T
from mlbayes.calibrate.priors import with_proper_priors
from mlbayes.calibrate.report import Calibration, made_calibration
from mlbayes.console import Console
from mlbayes.model.model import Model
from mlbayes.plan.choose import PlannedModel
from mlbayes.problems import Problem, ProblemError
from mlbayes.source import Source

BURN = 500  # sweeps before the first draw
ALPHA = 0.01  # rate of false alarms of a verdict
TOLD_EVERY = 10  # simulations


@dataclass(frozen=True)
class CalibrationOptions:
    """What the command line says: simulations, processes, seed instead of the script's, where results are kept.

    `json`: where they are written as a whole; must be no input.
    """

    simulations: int = 200
    jobs: int = 1
    seed: int | None = None
    burn: int = BURN
    file: Path | None = None
    json: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """A model that can be calibrated, its plan, and in words what was changed for that."""

    model: Model
    planned: PlannedModel
    changes: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]


def prepare(source: Source, seed: int | None = None, json: Path | None = None) -> Prepared:
    """The coherent variant of a script's model with proper priors.

    Raises ProblemError where there is none, and where `json` may not be written.
    """
    parts, _ = pipeline.understand_parts(source, pipeline.RunOptions(seed=seed, json=json))
    if len(parts) != 1 or parts[0].group is not None:
        places = pipeline.parse(source)[0].command_spans
        message = "BYGROUP makes several models, and one is calibrated at a time"
        problem = Problem(message, places.get("bygroup"), "choose a group with FILTER")
        if not parts:
            message = "the script only simulates data: there is no MODEL to calibrate"
            problem = Problem(message, places.get("simulate"))
        raise ProblemError([problem])
    coherent = coherent_variant(parts[0].model)
    if coherent.changes:
        pipeline.plan(parts[0].model)  # a model that cannot be run has no variant to calibrate
    model, stand_ins = with_proper_priors(coherent.model)
    planned = pipeline.plan(model)  # what cannot be run is found before anything is simulated
    return Prepared(model, planned, coherent.changes, tuple((s.what, s.prior) for s in stand_ins))


def calibrate(source: Source, options: CalibrationOptions, console: Console) -> Calibration:
    """Simulate and fit as often as asked for, going on where an earlier run has stopped."""
    prepared = prepare(source, options.seed, options.json)
    model, seed = prepared.model, prepared.model.settings.seed
    path = options.file or source.path.with_suffix(".calibration.jsonl")
    settings = {"seed": seed, "burn": options.burn, "draws": DRAWS}
    ledger = Ledger(path, "calibration", model, settings, lambda line: Simulation(**line))
    console.compile_notice(pipeline.kernels([prepared.planned]))
    found = collected(_Simulations(model, options.burn), ledger, options, console, "simulations")
    return made_calibration(source.path.name, prepared.changes, prepared.stand_ins, found, seed, ALPHA)


def check_blocks(source: Source, options: CalibrationOptions, console: Console) -> BlockCheck:
    """Every sampling step alone against the joint law; with a file it goes on where an earlier run has stopped."""
    prepared = prepare(source, options.seed, options.json)
    model, seed = prepared.model, prepared.model.settings.seed
    settings = {"seed": seed, "tuning": TUNING, "repeats": REPEATS}
    ledger = Ledger(options.file, "blocks", model, settings, replicate_of)
    console.compile_notice(["run_step"])
    found = collected(_Replicates(model), ledger, options, console, "replicates")
    failures: dict[str, int] = {}
    for one in found:
        if one.failure:
            failures[one.failure] = failures.get(one.failure, 0) + 1
    return BlockCheck(
        source.path.name,
        seed,
        len(found),
        prepared.changes,
        prepared.stand_ins,
        tuple(compare(found)),
        failures,
        ALPHA,
    )


def collected(
    function: Callable[[int], T], ledger: Ledger[T], options: CalibrationOptions, console: Console, what: str
) -> list[T]:
    """The results of all numbers; those that the ledger has already are not made again."""
    if ledger.done and ledger.path is not None:
        console.notice(f"{len(ledger.done)} {what} are in {ledger.path.name}")
    for one in in_order(function, range(len(ledger.done), options.simulations), options.jobs):
        ledger.add(one)
        if len(ledger.done) % TOLD_EVERY == 0:
            console.notice(f"{len(ledger.done)} of {options.simulations} {what}")
    return ledger.done[: options.simulations]


# ------------------------------------------------------------------ processes
@dataclass(frozen=True)
class _Simulations:
    """The simulation of a number, as a function that can be sent to a process."""

    model: Model
    burn: int

    def __call__(self, number: int) -> Simulation:
        return simulation(self.model, self.model.settings.seed, number, self.burn)


@dataclass(frozen=True)
class _Replicates:
    """The replicate of a number."""

    model: Model

    def __call__(self, number: int) -> Replicate:
        return replicate(self.model, self.model.settings.seed, number)


def in_order(function: Callable[[int], T], numbers: range, jobs: int) -> Iterator[T]:
    """Results for these numbers, in order; each depends on its number alone."""
    jobs = min(jobs, len(numbers))
    if jobs <= 1:
        yield from map(function, numbers)
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start, (function,))
    try:
        yield from pool.map(_of_number, numbers)
    finally:
        pool.shutdown(cancel_futures=True)


_task: Callable[[int], Any] | None = None  # of a worker process


def _start(function: Callable[[int], Any]) -> None:
    global _task
    _task = function


def _of_number(number: int) -> Any:
    assert _task is not None
    return _task(number)

"""Chains as threads: seeds, stretches of sweeps, interruption, progress, and what is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.assemble import (
    correlation_draws,
    equation_draws,
    moderator_draws,
    parameter_draws,
    power_draws,
    predictor_draws,
    spread_draws,
    threshold_draws,
    whole_equations,
)
from mlbayes.engine.checkpoint import Checkpoint
from mlbayes.engine.joint import full_conditionals
from mlbayes.engine.memory import check_memory
from mlbayes.engine.monitor import Monitor, average, collect, monitored_draws
from mlbayes.engine.records import Records
from mlbayes.engine.spool import Snapshots, Spool
from mlbayes.engine.state import State
from mlbayes.engine.sweep import interpreter
from mlbayes.engine.work import make_work
from mlbayes.plan import plan as p
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.starts import start_state
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.results.draws import AcceptanceDraws, Draws

STRETCH = 0.15  # seconds between looks at the interrupt flag from Python
RUNAWAY = 50.0  # log variances beyond this, of either sign, are a run gone wrong
REFRESH = 0.1  # seconds between reports of progress
RHAT_EVERY = 1.0  # seconds between the R-hats shown while running
OBSERVER = 1 << 31  # is added to the number of a chain in the key of the generator that only looks at it


class Progress(Protocol):
    """What is told about a run while it goes on."""

    def update(self, chain: int, iteration: int, total: int, rhat: float | None) -> None:
        """Chain `chain` has done `iteration` of `total` sweeps."""


class Failure(Exception):
    """A step of a chain failed: chain, iteration and number of the step."""

    def __init__(self, chain: int, iteration: int, step: int) -> None:
        super().__init__(chain, iteration, step)
        self.chain, self.iteration, self.step = chain, iteration, step


class Chain:
    """One chain with its generator, state and records; `records`: where to keep them, (sweeps, recorded numbers).

    `data`: a file for its data sets, which otherwise have none with a name.
    `observer` draws what is only looked at, such as missing values that no equation needs: how often a chain is
    looked at must not change where it goes.
    """

    def __init__(
        self,
        planned: PlannedModel,
        number: int,
        flag: NDArray[np.int64],
        records: NDArray[np.float64] | None = None,
        data: Path | None = None,
    ) -> None:
        settings = planned.model.settings
        self.planned = planned
        self.number = number
        self.flag = flag
        self.burn = settings.burn
        self.total = settings.burn + settings.kept_per_chain
        stream = (settings.stream << 32) + number
        self.rng, self.observer = (
            np.random.Generator(np.random.Philox(key=[settings.seed, key]))
            for key in (stream, stream + OBSERVER)
        )
        self.store = start_state(planned, self.rng)
        self.work = make_work(planned.plan)
        self.records = np.empty((self.total, planned.layout.width)) if records is None else records
        self.monitor = Monitor(planned)
        self.done = 0
        self.length = 1  # sweeps of the next stretch
        self.snapshots = Spool(planned.model.source.path.parent, data)
        self.looks = look_points(planned, number)

    def state(self) -> dict[str, Any]:
        """All that the rest of the chain depends on, as plain data."""
        return {
            "done": self.done,
            "store": self.store,
            "records": self.records[: self.done],
            "generators": [rng.bit_generator.state for rng in (self.rng, self.observer)],
            "monitor": self.monitor.state(),
            "snapshots": self.snapshots.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state.  Raises OSError when the file of the data sets is gone."""
        self.done = state["done"]
        self.store[:] = state["store"]
        self.records[: self.done] = state["records"]
        for rng, found in zip((self.rng, self.observer), state["generators"], strict=True):
            rng.bit_generator.state = found
        self.monitor.restore(state["monitor"])
        self.snapshots.restore(state["snapshots"])

    def run(self) -> None:
        """Run to the end or until the flag is set.  Raises Failure."""
        while self.advance():
            pass

    def advance(self) -> bool:
        """Run a stretch of a few tenths of a second; True when there is more to do.  Raises Failure."""
        if self.done >= self.total or self.flag[0]:
            return False
        after = next((look for look in self.looks if look > self.done), self.total)
        count = min(self.length, after - self.done, self.total - self.done)
        started = time.perf_counter()
        out = self.records[self.done : self.done + count]
        finished, failed = interpreter(self.planned.plan)(
            self.planned.plan, self.store, self.done, count, self.burn, out, self.flag, self.rng, self.work
        )
        self.done += finished
        if failed >= 0:
            raise Failure(self.number, self.done, failed)
        _check_runaway(self.planned, self.number, self.done, out[:finished])
        seconds = (time.perf_counter() - started) / max(finished, 1)
        self.length = max(1, min(2 * self.length, int(STRETCH / max(seconds, 1e-7))))
        if finished and self.done in self.looks:
            self._look()
        return self.done < self.total and not self.flag[0]

    def _look(self) -> None:
        """Monitor the state, and keep its data when an imputation is due."""
        due = self.looks[self.done]
        state = State(self.planned, self.store, self.observer)
        if due.monitored:
            self.monitor.observe(state)
        for imputation in due.imputations:
            self.snapshots.keep(imputation, state.snapshot())


class Look:
    """What happens after a sweep: monitoring, and the numbers of the imputations to keep."""

    def __init__(self) -> None:
        self.monitored = False
        self.imputations: list[int] = []


def look_points(planned: PlannedModel, chain: int) -> dict[int, Look]:
    """After how many sweeps a chain is looked at; imputation k belongs to chain k modulo chains."""
    settings = planned.model.settings
    kept = settings.kept_per_chain
    looks: dict[int, Look] = {}
    monitored = max(1, min(kept, monitored_draws(planned.model) // settings.chains))
    for i in range(1, monitored + 1):
        looks.setdefault(settings.burn + i * kept // monitored, Look()).monitored = True
    own = list(range(chain, settings.imputations, settings.chains))
    for i, imputation in enumerate(own, 1):
        looks.setdefault(settings.burn + i * kept // len(own), Look()).imputations.append(imputation)
    return dict(sorted(looks.items()))


def run_chains(
    planned: PlannedModel,
    threads: int,
    progress: Progress,
    stop: threading.Event,
    checkpoint: Checkpoint | None = None,
) -> Draws:
    """Run every chain and gather what they kept; with a checkpoint go on from there, and keep their state in it.

    The result does not depend on the number of threads: each chain has a generator keyed by (seed, chain).
    Raises ProblemError (kind NUMERICAL) when a step fails, and before anything runs when memory will not do.
    """
    check_memory(planned)
    flag = np.zeros(1, dtype=np.int64)
    settings = planned.model.settings
    sweeps = settings.burn + settings.kept_per_chain
    records = Records((settings.chains, sweeps, planned.layout.width), planned.model.source.path.parent)
    chains = [
        Chain(planned, k, flag, records.values[k], checkpoint.data_path(k) if checkpoint else None)
        for k in range(settings.chains)
    ]
    if checkpoint is not None:
        for chain in chains:
            checkpoint.load(chain)
    workers = max(1, min(threads, len(chains)))
    waiting: SimpleQueue[Chain] = SimpleQueue()
    for chain in chains:
        waiting.put(chain)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_advance_in_turn, waiting, checkpoint) for _ in range(workers)]
        try:
            _watch(chains, records, futures, flag, progress, stop)
        finally:
            flag[0] = 1
    for future in futures:
        _raise_failure(planned, future)
    if checkpoint is not None:
        for chain in chains:
            checkpoint.save(chain)
    return gather(planned, chains, records.values)


def _advance_in_turn(waiting: SimpleQueue[Chain], checkpoint: Checkpoint | None) -> None:
    """Advance the chains that wait, a stretch each, so that all of them get on whenever the run is stopped."""
    while True:
        try:
            chain = waiting.get_nowait()
        except Empty:
            return
        if chain.advance():
            if checkpoint is not None:
                checkpoint.save_when_due(chain)
            waiting.put(chain)


def _watch(
    chains: list[Chain],
    records: Records,
    futures: list[Future[None]],
    flag: NDArray[np.int64],
    progress: Progress,
    stop: threading.Event,
) -> None:
    """Report progress until all chains have ended, one has failed, or the user wants to stop."""
    shown, rhat, checked = [-1] * len(chains), None, time.monotonic()
    while True:
        done, pending = wait(futures, timeout=REFRESH, return_when=FIRST_EXCEPTION)
        if stop.is_set() or any(future.exception() is not None for future in done):
            flag[0] = 1
        silent = getattr(progress, "silent", False)
        if not silent and time.monotonic() - checked > RHAT_EVERY:
            rhat, checked = _rhat_so_far(chains), time.monotonic()
        for chain in chains:
            if chain.done != shown[chain.number]:
                shown[chain.number] = chain.done
                progress.update(chain.number, chain.done, chain.total, rhat)
        records.release()
        if not pending:
            return


def _rhat_so_far(chains: list[Chain]) -> float | None:
    """The highest R-hat of the recorded numbers over the second half of what all chains have done."""
    from mlbayes.results.diagnostics import rhat

    done = min(chain.done for chain in chains)
    if done < 40:
        return None
    step = max(1, done // 2 // 200)
    records = np.stack([chain.records[done // 2 : done : step] for chain in chains])
    values = [rhat(np.ascontiguousarray(records[:, :, k])) for k in range(records.shape[2])]
    finite = [value for value in values if np.isfinite(value)]
    return max(finite, default=None)


def _raise_failure(planned: PlannedModel, future: Future[None]) -> None:
    """Turn the failure of a chain into a problem that names the block."""
    error = future.exception()
    if error is None:
        return
    if not isinstance(error, Failure):
        raise error
    raise ProblemError([failure_problem(planned, error.chain, error.iteration, error.step)])


def failure_problem(planned: PlannedModel, chain: int, iteration: int, step: int) -> Problem:
    """The problem of a step that failed."""
    span = None
    if step < len(planned.step_labels):
        what = f"a matrix is not positive definite in {planned.step_labels[step]}"
        span = planned.step_spans[step]
    else:
        what = "a parameter is no longer a finite number"
    message = f"{what} (chain {chain + 1}, iteration {iteration + 1})"
    hint = (
        "are two predictors nearly the same, are there fewer clusters than the covariance matrix needs, or is a"
        " variable constant? Try fewer random effects, or OPTIONS: prior1"
    )
    return Problem(message, span, hint, ProblemKind.NUMERICAL)


def gather(planned: PlannedModel, chains: list[Chain], records: NDArray[np.float64]) -> Draws:
    """What all chains kept, with their records side by side; an interrupted run keeps what every chain has."""
    model = planned.model
    settings = model.settings
    done = min(chain.done for chain in chains)
    records = records[:, :done]
    layout = planned.layout
    outcomes = planned.regressions.outcomes
    equations = [
        equation_draws(records, r, place) for r, place in zip(outcomes, layout.equations, strict=True)
    ]
    responses = planned.regressions.predictor_responses()
    predictors = [
        predictor_draws(records, parts, place)
        for parts, place in zip(responses, layout.predictors, strict=True)
    ]
    if planned.regressions.joint:
        predictors = full_conditionals(model, predictors)
    moderators = tuple(
        tuple(
            moderator_draws(records, spec, place)
            for spec, place in zip(effect.moderators, places, strict=True)
        )
        for effect, places in zip(model.conditional_effects, layout.moderators, strict=True)
    )
    monitors = [chain.monitor for chain in chains]
    if not any(monitor.draws for monitor in monitors):
        for chain in chains:
            chain.monitor.observe(State(planned, chain.store, chain.observer))
    mean, variance = average(monitors)
    return Draws(
        burn=min(settings.burn, done),
        kept=max(done - settings.burn, 0),
        chains=settings.chains,
        equations=tuple(whole_equations(planned, equations)),
        predictors=tuple(predictors),
        parameters=parameter_draws(planned, records, equations, correlation_draws(planned, records))
        | threshold_draws(planned, records)
        | power_draws(planned, records)
        | spread_draws(planned, records),
        monitors=collect(monitors),
        moderators=moderators,
        acceptance=_acceptances(planned, chains),
        complete=done == chains[0].total,
        snapshots=Snapshots(chain.snapshots for chain in chains),
        snapshot_mean=mean,
        snapshot_variance=variance,
    )


def _check_runaway(planned: PlannedModel, chain: int, done: int, records: NDArray[np.float64]) -> None:
    """Stop a chain whose modelled residual variances leave every scale.  Raises ProblemError (kind NUMERICAL)."""
    for r, place in zip(planned.regressions.outcomes, planned.layout.equations, strict=True):
        if place.spread < 0:
            continue
        ends = records[:, [place.spread, place.spread + p.QUANTILE_SHARES - 1]]
        with np.errstate(divide="ignore"):
            far = (np.abs(np.log(ends)) > RUNAWAY).any()
        if far:
            raise ProblemError([_runaway(planned, r, chain, done)])


def _runaway(planned: PlannedModel, r: OutcomeRegression, chain: int, done: int) -> Problem:
    """The problem of a log variance that has no posterior, with what it depends on."""
    equations = [v for v in planned.regressions.log_variances if v.equation.outcome == r.equation.outcome]
    names = [term.label for v in equations for term in v.equation.terms]
    message = f"the log of the residual variance of '{r.equation.title}' has run away beyond {RUNAWAY:g}"
    message += f" (chain {chain + 1}, by iteration {done})"
    if names:
        message += f"; it depends on {', '.join(names)}"
    hint = "flat priors may be improper here: give the coefficients of var() a prior, label ~ normal(0, 5)"
    return Problem(message, (equations[0] if equations else r).equation.span, hint, ProblemKind.NUMERICAL)


def _acceptances(planned: PlannedModel, chains: list[Chain]) -> tuple[AcceptanceDraws, ...]:
    result = []
    for variable, kind, target, offset in planned.acceptances:
        rates = tuple(
            float(chain.store[offset] / chain.store[offset + 1]) if chain.store[offset + 1] else 0.0
            for chain in chains
        )
        result.append(AcceptanceDraws(variable, kind, target, rates))
    return tuple(result)

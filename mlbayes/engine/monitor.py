"""What is followed in some of the kept draws only: likelihoods, summaries of the data, saved data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbayes.engine.likelihood import conditional_likelihood, marginal_likelihood
from mlbayes.engine.state import State, centred_as_shown, outcome_name
from mlbayes.model.model import Model, Role
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.regressions import CONTINUOUS
from mlbayes.results.draws import Monitors, Snapshot, UnitLikelihood

Vector = NDArray[np.float64]

DRAWS = 1000  # monitored draws over all chains, fewer for large data
CELLS = 400_000_000  # at the most so many rows times draws


def monitored_draws(model: Model) -> int:
    """How many kept draws are monitored, over all chains."""
    wanted = min(DRAWS, CELLS // max(model.hierarchy.units[0], 1))
    return max(min(wanted, model.settings.iterations), 4 * model.settings.chains)


class LikelihoodSums:
    """Running log mean exp, mean and variance of the log likelihood of every unit."""

    def __init__(self) -> None:
        self.draws = 0
        self.top = np.zeros(0)
        self.exp = np.zeros(0)
        self.mean = np.zeros(0)
        self.squares = np.zeros(0)

    def add(self, values: Vector) -> None:
        """Add the log likelihoods of one draw, shape (units,)."""
        if not self.draws:
            self.top = np.full(values.size, -np.inf)
            self.exp, self.mean, self.squares = (np.zeros(values.size) for _ in range(3))
        self.draws += 1
        top = np.maximum(self.top, values)
        self.exp = self.exp * np.exp(self.top - top) + np.exp(values - top)
        self.top = top
        delta = values - self.mean
        self.mean = self.mean + delta / self.draws
        self.squares = self.squares + delta * (values - self.mean)


def combine(parts: list[LikelihoodSums]) -> UnitLikelihood:
    """The sums of several chains as one."""
    used = [part for part in parts if part.draws]
    draws = sum(part.draws for part in used)
    top = np.max([part.top for part in used], axis=0)
    exp = np.sum([part.exp * np.exp(part.top - top) for part in used], axis=0)
    mean = np.sum([part.draws * part.mean for part in used], axis=0) / draws
    squares = np.sum([part.squares + part.draws * (part.mean - mean) ** 2 for part in used], axis=0)
    return UnitLikelihood(top + np.log(exp / draws), mean, squares / draws)


def summary_of(values: Vector) -> Vector:
    """Mean, SD (divisor n - 1), quartiles after Hazen, minimum, maximum."""
    ordered = np.sort(values)
    n = ordered.size
    quartiles = []
    for share in (0.25, 0.5, 0.75):
        place = min(max(n * share - 0.5, 0.0), n - 1.0)
        low = int(place)
        high = min(low + 1, n - 1)
        quartiles.append(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
    sd = ordered.std(ddof=1) if n > 1 else 0.0
    return np.array([ordered.mean(), sd, *quartiles, ordered[0], ordered[-1]])


@dataclass
class SnapshotSums:
    """Running mean and sum of squares of every column of the saved data."""

    draws: int = 0
    mean: dict[str, Vector] = field(default_factory=dict)
    squares: dict[str, Vector] = field(default_factory=dict)
    names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def add(self, snapshot: Snapshot) -> None:
        """Add the data of one draw."""
        self.draws += 1
        self.names = tuple(snapshot.values), tuple(snapshot.added)
        for key, column in _keyed(snapshot).items():
            mean = self.mean.get(key, np.zeros(column.size))
            delta = column - mean
            self.mean[key] = mean + delta / self.draws
            self.squares[key] = self.squares.get(key, np.zeros(column.size)) + delta * (
                column - self.mean[key]
            )


def _keyed(snapshot: Snapshot) -> dict[str, Vector]:
    """All columns under keys that tell values from added columns."""
    values = {f"v {name}": column for name, column in snapshot.values.items()}
    return values | {f"a {name}": column for name, column in snapshot.added.items()}


class Monitor:
    """Follows one chain."""

    def __init__(self, planned: PlannedModel) -> None:
        self.planned = planned
        self.model = planned.model
        self.draws = 0
        self.conditional = LikelihoodSums()
        self.marginal = LikelihoodSums()
        correlated = {name for block in self.model.covariances for name in block.members}
        random = [equation for equation in self.model.equations if equation.random]
        # random effects of correlated outcomes are not integrated out, so there is no marginal likelihood then
        # ... nor with random effects of categorical outcomes, whose integral has no closed form
        self.has_random = bool(random) and not any(
            equation.outcome in correlated or equation.distribution not in CONTINUOUS for equation in random
        )
        self.summaries: dict[str, Vector] = {}
        self.correlations: dict[tuple[int, str, str], list[float]] = {}
        keywords = {keyword for keyword, _ in self.model.settings.saves}
        self.sums = SnapshotSums() if keywords & {"avgimp", "varimp"} else None
        numbers = [r.number for r in planned.regressions.locations]
        self.pairs = list(itertools.combinations(numbers, 2))

    def state(self) -> dict[str, Any]:
        """All that was taken in, as plain data."""
        return {
            "draws": self.draws,
            "conditional": vars(self.conditional),
            "marginal": vars(self.marginal),
            "summaries": self.summaries,
            "correlations": self.correlations,
            "sums": None if self.sums is None else vars(self.sums),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what had been taken in at a state."""
        self.draws = state["draws"]
        vars(self.conditional).update(state["conditional"])
        vars(self.marginal).update(state["marginal"])
        self.summaries = state["summaries"]
        self.correlations = state["correlations"]
        if self.sums is not None:
            vars(self.sums).update(state["sums"])

    def observe(self, state: State) -> None:
        """Take in the state of a kept draw."""
        self.draws += 1
        self.conditional.add(conditional_likelihood(state))
        if self.has_random:
            self.marginal.add(marginal_likelihood(state))
        for name, variable in self.model.variables.items():
            if variable.role is Role.UNUSED:
                continue
            if variable.incomplete or self.draws == 1:
                summary = summary_of(centred_as_shown(state, name))
                old = self.summaries.get(name, np.zeros(7))
                self.summaries[name] = old + summary
        if self.sums is not None:
            self.sums.add(state.snapshot())
        self._correlate(state)

    def _correlate(self, state: State) -> None:
        """Correlations among residuals of outcomes of the same level, and among their random intercepts."""
        outcomes = self.planned.regressions.outcomes
        numbers = {k for pair in self.pairs for k in pair}
        residuals = {k: state.residual(k) for k in numbers}
        names = [outcome_name(r) for r in outcomes]
        for a, b in self.pairs:
            first, second = outcomes[a].equation, outcomes[b].equation
            if first.level == second.level:
                self._keep((first.level, names[a], names[b]), residuals[a], residuals[b])
            for group in first.random:
                for other in second.random:
                    if group.level == other.level and group.terms[0] == 0 == other.terms[0]:
                        x = state.effects(outcomes[a], group.level, group.terms)[0]
                        y = state.effects(outcomes[b], group.level, other.terms)[0]
                        self._keep((group.level, names[a], names[b]), x, y)

    def _keep(self, key: tuple[int, str, str], x: Vector, y: Vector) -> None:
        x, y = x - x.mean(), y - y.mean()
        scale = np.sqrt((x @ x) * (y @ y))
        self.correlations.setdefault(key, []).append(float(x @ y / scale) if scale > 0.0 else 0.0)


def summary_order(model: Model, names: Iterable[str]) -> list[str]:
    """Variables as the report summarises them: outcomes in order of their equations, incomplete ones, complete ones."""
    equations = [equation.outcome for equation in model.equations]

    def place(name: str) -> tuple[int, int]:
        if name in equations:
            return 0, equations.index(name)
        return (1 if model.variables[name].incomplete else 2), 0

    return sorted(names, key=place)


def collect(monitors: list[Monitor]) -> Monitors:
    """The monitors of all chains as one."""
    used = [monitor for monitor in monitors if monitor.draws]
    model = monitors[0].model
    draws = sum(monitor.draws for monitor in used)
    summaries = {}
    for name in summary_order(model, used[0].summaries if used else ()):
        counts = draws if model.variables[name].incomplete else len(used)
        summaries[name] = sum((m.summaries[name] for m in used), np.zeros(7)) / counts
    shortest = min((m.draws for m in used), default=0)
    correlations = {
        key: np.array([m.correlations[key][:shortest] for m in used])
        for key in (used[0].correlations if used else ())
    }
    marginal = combine([m.marginal for m in used]) if used and used[0].has_random else None
    return Monitors(draws, combine([m.conditional for m in used]), marginal, summaries, correlations)


def average(monitors: list[Monitor]) -> tuple[Snapshot | None, Snapshot | None]:
    """Mean and variance over monitored draws of every saved column, if they are wanted."""
    sums = [monitor.sums for monitor in monitors if monitor.sums is not None and monitor.sums.draws]
    if not sums:
        return None, None
    draws = sum(part.draws for part in sums)
    means: dict[str, Vector] = {}
    variances: dict[str, Vector] = {}
    for key in sums[0].mean:
        mean = np.sum([part.draws * part.mean[key] for part in sums], axis=0) / draws
        squares = np.sum(
            [part.squares[key] + part.draws * (part.mean[key] - mean) ** 2 for part in sums], axis=0
        )
        means[key], variances[key] = mean, squares / max(draws - 1, 1)
    return _unkeyed(means), _unkeyed(variances)


def _unkeyed(columns: dict[str, Vector]) -> Snapshot:
    values = {key[2:]: column for key, column in columns.items() if key.startswith("v ")}
    return Snapshot(values, {key[2:]: column for key, column in columns.items() if key.startswith("a ")})

"""One simulation: draw a world, fit its data with the ordinary engine, rank the truth among thinned draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlbayes.calibrate.quantities import quantities
from mlbayes.calibrate.read import Reader
from mlbayes.calibrate.simulate import observed, simulate
from mlbayes.calibrate.world import Unusable, Vector
from mlbayes.engine.sweep import interpreter
from mlbayes.engine.work import make_work
from mlbayes.model.model import Model
from mlbayes.plan.choose import make_plan
from mlbayes.plan.starts import start_state
from mlbayes.problems import ProblemError
from mlbayes.results.diagnostics import effective_size

DRAWS = 99  # thinned draws that a truth is ranked among, so that ranks have 100 values
FIRST_SPACING = 4  # sweeps between draws to begin with
LARGEST_SPACING = 1024
INDEPENDENT = 0.5  # of the draws must be the effective size of every quantity
STREAM = 1 << 62  # sets the random numbers of calibrations apart from those of runs


@dataclass(frozen=True)
class Simulation:
    """What a simulation found.

    `ranks`: of the truth among the draws; `places`: the same spread over (0, 1), ties broken at random; `z`: (truth -
    mean) / SD.  `spacing`: sweeps between draws; `size`: smallest effective size of the draws.  `redrawn`: data that
    could not be used.  `failure`: why there was no fit.
    """

    number: int
    ranks: dict[str, int]
    places: dict[str, float]
    z: dict[str, float]
    spacing: int = 0
    size: float = 0.0
    redrawn: int = 0
    failure: str = ""


def generator(seed: int, number: int, purpose: int) -> np.random.Generator:
    """Random numbers of one simulation: 0 for truth and data, 1 for the fit, 2 for ties."""
    return np.random.Generator(np.random.Philox(key=[seed, STREAM + 4 * number + purpose]))


def simulation(model: Model, seed: int, number: int, burn: int) -> Simulation:
    """The simulation of a number; the same for the same model, seed and number."""
    try:
        world, redrawn = simulate(model, generator(seed, number, 0))
    except Unusable:
        return Simulation(number, {}, {}, {}, failure="no usable data in many draws from the priors")
    truth = quantities(world)
    try:
        drawn, spacing, size = thinned(observed(world), generator(seed, number, 1), burn)
    except ProblemError as error:
        message = error.problems[0].message
        return Simulation(number, {}, {}, {}, redrawn=redrawn, failure=message)
    rng = generator(seed, number, 2)
    ranks, places, z = {}, {}, {}
    for name, value in truth.items():
        values = drawn[name]
        below, equal = int((values < value).sum()), int((values == value).sum())
        ranks[name] = below + int(rng.integers(equal + 1))
        places[name] = float((ranks[name] + rng.random()) / (DRAWS + 1))
        sd = float(values.std(ddof=1))
        z[name] = float((value - values.mean()) / sd) if sd > 0.0 else 0.0
    return Simulation(number, ranks, places, z, spacing, size, redrawn)


def thinned(model: Model, rng: np.random.Generator, burn: int) -> tuple[dict[str, Vector], int, float]:
    """Draws of all quantities that are about independent, their spacing and their smallest effective size.

    The spacing is doubled, every other draw dropped and the chain run on until they are.  Raises ProblemError.
    """
    chain = _Chain(model, rng, burn)
    chain.advance(burn)
    kept: list[dict[str, float]] = []
    spacing = FIRST_SPACING
    while True:
        while len(kept) < DRAWS:
            chain.advance(spacing)
            kept.append(chain.read())
        drawn = {name: np.array([one[name] for one in kept]) for name in kept[0]}
        size = min(_size(values) for values in drawn.values())
        if size >= INDEPENDENT * DRAWS or spacing >= LARGEST_SPACING:
            return drawn, spacing, size
        kept = kept[1::2]
        spacing *= 2


def _size(values: Vector) -> float:
    """Effective size of draws of one quantity; what does not move at all has none."""
    size = effective_size(values[None, :])
    return 0.0 if np.isnan(size) else size


class _Chain:
    """A chain of the ordinary sampler that is advanced and looked at."""

    def __init__(self, model: Model, rng: np.random.Generator, burn: int) -> None:
        settings = replace(model.settings, burn=burn, chains=1, imputations=0, saves=())
        self.planned = make_plan(replace(model, settings=settings))
        self.burn = burn
        self.rng = rng
        self.store = start_state(self.planned, rng)
        self.work = make_work(self.planned.plan)
        self.reader = Reader(self.planned)
        self.done = 0

    def advance(self, sweeps: int) -> None:
        """Run so many sweeps.  Raises ProblemError when a step fails."""
        from mlbayes.engine.chains import failure_problem

        out = np.empty((sweeps, self.planned.layout.width))
        flag = np.zeros(1, dtype=np.int64)
        finished, failed = interpreter(self.planned.plan)(
            self.planned.plan, self.store, self.done, sweeps, self.burn, out, flag, self.rng, self.work
        )
        self.done += finished
        if failed >= 0:
            raise ProblemError([failure_problem(self.planned, 0, self.done, failed)])

    def read(self) -> dict[str, float]:
        """All test quantities of the current state."""
        return quantities(self.reader.world(self.store))

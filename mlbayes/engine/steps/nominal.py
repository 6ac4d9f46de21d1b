"""Nominal variables: missing categories, and the latent responses of those with a multinomial probit model.

Predictor without an equation of its own: K - 1 latent responses, the differences to the reference, are normal with
variances 1 and covariances 1/2 around their means; the category is that of the largest among 0 (the reference) and
the responses.  So they are differences of K independent normal variables of variance 1/2 (McCulloch & Rossi 1994,
Journal of Econometrics 64, 207-240).  Outcome: multinomial logit, whose probabilities are known.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.random import interval_normal
from mlbayes.plan.plan import (
    NOMINAL_CELL_COUNT,
    NOMINAL_CELLS,
    NOMINAL_DUMMIES,
    NOMINAL_EVIDENCE,
    NOMINAL_LABELS,
    NOMINAL_MEANS,
    NOMINAL_MEMORY,
    NOMINAL_NUMBER,
    NOMINAL_PLACE,
    NOMINAL_RESPONSES,
    NOMINAL_SIZE,
    NOMINAL_UNITS,
    Plan,
)

ACCEPTED, PROPOSED, SCRATCH = range(3)  # of the step's memory
REPEATS = 4  # proposals for each missing category in a sweep
TRIES = 6  # at responses from their normal distribution before they are drawn one by one
SCANS = 2  # of draws one by one
ROOT_HALF = math.sqrt(0.5)


@kernel
def draw_nominal(plan: Plan, store: NDArray, r: int, iteration: int, burn: int, rng: Generator) -> None:
    """Draw missing categories, then (multinomial probit) every response given its category."""
    row = plan.nominals[r]
    if iteration == burn:
        store[row[NOMINAL_MEMORY] + ACCEPTED] = 0.0
        store[row[NOMINAL_MEMORY] + PROPOSED] = 0.0
    if row[NOMINAL_RESPONSES] < 0:
        draw_by_logits(plan, store, row, rng)
    else:
        propose_categories(plan, store, row, rng)
        for unit in range(row[NOMINAL_UNITS]):
            draw_unit_responses(plan, store, row, unit, rng)


@kernel
def set_category(plan: Plan, store: NDArray, row: NDArray, unit: int, place: int) -> None:
    """Put a category where the equations look for it: place, code and dummy variables."""
    store[row[NOMINAL_PLACE] + unit] = place
    store[row[NOMINAL_NUMBER] + unit] = store[row[NOMINAL_LABELS] + place]
    for k in range(row[NOMINAL_SIZE]):
        store[plan.index[row[NOMINAL_DUMMIES] + k] + unit] = 1.0 if place == k + 1 else 0.0


@kernel
def evidence(store: NDArray, row: NDArray, cell: int, place: int) -> float:
    """Log likelihood of a category of a missing cell in the equations that it enters."""
    if row[NOMINAL_EVIDENCE] < 0:
        return 0.0
    return store[row[NOMINAL_EVIDENCE] + place * row[NOMINAL_CELL_COUNT] + cell]


@kernel
def draw_by_logits(plan: Plan, store: NDArray, row: NDArray, rng: Generator) -> None:
    """Missing categories of an outcome: probability by its logits times the evidence of other equations."""
    for cell in range(row[NOMINAL_CELL_COUNT]):
        unit = plan.index[row[NOMINAL_CELLS] + cell]
        chosen = 0
        best = -math.inf
        for place in range(row[NOMINAL_SIZE] + 1):  # the largest of log probability + Gumbel noise is a draw
            score = evidence(store, row, cell, place) - math.log(rng.standard_exponential())
            if place > 0:
                score += store[plan.index[row[NOMINAL_MEANS] + place - 1] + unit]
            if score > best:
                best = score
                chosen = place
        set_category(plan, store, row, unit, chosen)


@kernel
def draw_free_responses(plan: Plan, store: NDArray, row: NDArray, unit: int, rng: Generator) -> int:
    """Responses from their normal distribution, written to the scratch; returns the place of their category."""
    scratch = row[NOMINAL_MEMORY] + SCRATCH
    reference = rng.standard_normal()
    chosen = 0
    best = 0.0
    for k in range(row[NOMINAL_SIZE]):
        noise = ROOT_HALF * (rng.standard_normal() - reference)
        store[scratch + k] = store[plan.index[row[NOMINAL_MEANS] + k] + unit] + noise
        if store[scratch + k] > best:
            best = store[scratch + k]
            chosen = k + 1
    return chosen


@kernel
def keep_responses(plan: Plan, store: NDArray, row: NDArray, unit: int) -> None:
    """Make the responses in the scratch those of a unit."""
    for k in range(row[NOMINAL_SIZE]):
        store[plan.index[row[NOMINAL_RESPONSES] + k] + unit] = store[row[NOMINAL_MEMORY] + SCRATCH + k]


@kernel
def propose_categories(plan: Plan, store: NDArray, row: NDArray, rng: Generator) -> None:
    """Missing categories of a predictor, with their responses: Metropolis-Hastings, proposals from its own model.

    Only the evidence of the equations that the category enters decides.
    """
    memory = row[NOMINAL_MEMORY]
    for cell in range(row[NOMINAL_CELL_COUNT]):
        unit = plan.index[row[NOMINAL_CELLS] + cell]
        place = int(store[row[NOMINAL_PLACE] + unit])
        for _ in range(REPEATS):
            proposal = draw_free_responses(plan, store, row, unit, rng)
            ratio = evidence(store, row, cell, proposal) - evidence(store, row, cell, place)
            store[memory + PROPOSED] += 1.0
            if math.log(rng.random()) < ratio:
                store[memory + ACCEPTED] += 1.0
                place = proposal
                keep_responses(plan, store, row, unit)
        set_category(plan, store, row, unit, place)


@kernel
def draw_unit_responses(plan: Plan, store: NDArray, row: NDArray, unit: int, rng: Generator) -> None:
    """Responses of a unit given its category.

    By rejection, or where a few tries fail, which does not depend on the current responses, one by one: given the
    others a response has variance (d + 1) / (2 d) around its mean plus the sum of the others' deviations over d, with
    d responses.
    """
    place = int(store[row[NOMINAL_PLACE] + unit])
    for _ in range(TRIES):
        if draw_free_responses(plan, store, row, unit, rng) == place:
            keep_responses(plan, store, row, unit)
            return
    size = row[NOMINAL_SIZE]
    sd = math.sqrt((size + 1.0) / (2.0 * size))
    for _ in range(SCANS):
        for k in range(size):
            mean = store[plan.index[row[NOMINAL_MEANS] + k] + unit]
            highest = 0.0
            for j in range(size):
                if j != k:
                    other = store[plan.index[row[NOMINAL_RESPONSES] + j] + unit]
                    mean += (other - store[plan.index[row[NOMINAL_MEANS] + j] + unit]) / size
                    highest = max(highest, other)
            lower = highest if place == k + 1 else -math.inf
            upper = math.inf if place == k + 1 else highest
            response = interval_normal(rng, mean, sd, lower, upper)
            store[plan.index[row[NOMINAL_RESPONSES] + k] + unit] = response

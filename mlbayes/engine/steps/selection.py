"""Selection models: a normal outcome and a probit model of whether it is missing, which has the outcome as a predictor.

With e = (y - m) / sigma and t = a + gamma y, m and a being the linear predictors without gamma y, a unit counts as

    observed:  -log sigma - e^2 / 2 + log Phi(-t)
    missing:   log Phi(q),  q = (a + gamma m) / sqrt(1 + gamma^2 sigma^2)

so that missing values and latent responses are integrated out (Heckman 1979, Econometrica 47, 153-161).  Parameters are
the coefficients of m and a, gamma, and log sigma last.  Missing values are drawn right after them: the latent response
from its truncated normal distribution of variance 1 + gamma^2 sigma^2, then y given it.
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.augmentation import log_normal_interval
from mlbayes.engine.jit import kernel
from mlbayes.engine.random import interval_normal
from mlbayes.engine.steps.collapsed import (
    ACCEPTED,
    LEARNED,
    TRIED,
    WALK,
    adapt,
    log_proposal,
    propose_independent,
    propose_walk,
)
from mlbayes.plan.plan import (
    SELECTION_CODE,
    SELECTION_COLUMNS,
    SELECTION_MEMORY,
    SELECTION_OFFSET,
    SELECTION_PRECISION,
    SELECTION_PRIOR,
    SELECTION_SIZE,
    SELECTION_SPLIT,
    SELECTION_UNITS,
    SELECTION_VALUE,
    SELECTION_VALUES,
    Plan,
    Work,
)

WALKS = 4  # random walks in a sweep, beside one proposal that does not depend on where the parameters are


@kernel
def predictors(plan: Plan, store: NDArray, row: NDArray, theta: NDArray, i: int) -> tuple[float, float]:
    """Linear predictors m and a of a unit."""
    mean = store[row[SELECTION_OFFSET] + i]
    chance = store[row[SELECTION_OFFSET] + row[SELECTION_UNITS] + i]
    for j in range(row[SELECTION_SIZE] - 1):
        term = theta[j] * store[plan.index[row[SELECTION_COLUMNS] + j] + i]
        if j < row[SELECTION_SPLIT]:
            mean += term
        else:
            chance += term
    return mean, chance


@kernel
def selection_density(plan: Plan, store: NDArray, row: NDArray, theta: NDArray) -> float:
    """Log posterior density of the parameters given all else but the missing values and responses."""
    size = row[SELECTION_SIZE]
    gamma = theta[size - 1]
    sigma = math.exp(theta[size])
    spread = math.sqrt(1.0 + gamma * gamma * sigma * sigma)
    prior = row[SELECTION_PRIOR]
    value = -2.0 * store[prior + 2 * size] * theta[size] - store[prior + 2 * size + 1] / (sigma * sigma)
    for j in range(size):
        distance = theta[j] - store[prior + size + j]
        value -= 0.5 * store[prior + j] * distance * distance
    for i in range(row[SELECTION_UNITS]):
        mean, chance = predictors(plan, store, row, theta, i)
        if store[row[SELECTION_CODE] + i] > 0.0:
            value += log_normal_interval(-(chance + gamma * mean) / spread, math.inf)
        else:
            y = store[row[SELECTION_VALUE] + i]
            e = (y - mean) / sigma
            value += log_normal_interval(-math.inf, -(chance + gamma * y)) - theta[size] - 0.5 * e * e
    return value


@kernel
def draw_selected(plan: Plan, store: NDArray, row: NDArray, theta: NDArray, rng: Generator) -> None:
    """Missing values given the parameters and that they are missing."""
    size = row[SELECTION_SIZE]
    gamma = theta[size - 1]
    variance = math.exp(2.0 * theta[size])
    spread = math.sqrt(1.0 + gamma * gamma * variance)
    sd = math.sqrt(variance) / spread
    for i in range(row[SELECTION_UNITS]):
        if store[row[SELECTION_CODE] + i] > 0.0:
            mean, chance = predictors(plan, store, row, theta, i)
            centre = chance + gamma * mean
            response = interval_normal(rng, centre, spread, 0.0, math.inf)
            shift = gamma * variance * (response - centre) / (spread * spread)
            store[row[SELECTION_VALUE] + i] = mean + shift + sd * rng.standard_normal()


@kernel
def draw_selection(
    plan: Plan, store: NDArray, s: int, iteration: int, burn: int, rng: Generator, work: Work
) -> None:
    """Move the parameters, then draw the missing values.

    Proposals are learned as those of collapsed steps are; random walks go on after burn-in, since these posteriors
    can have long bent tails.
    """
    row = plan.selections[s]
    size = row[SELECTION_SIZE]
    d = size + 1
    memory = store[row[SELECTION_MEMORY] :]
    theta, new, marks = work.vectors[1], work.vectors[2], work.vectors[3]
    for j in range(size):
        theta[j] = store[plan.index[row[SELECTION_VALUES] + j]]
    theta[size] = -0.5 * math.log(store[row[SELECTION_PRECISION]])
    for j in range(d):
        marks[j] = 0.0
    if iteration >= burn and memory[LEARNED] == 0.0:
        return  # steps that nothing was learned for are for burn-in only
    adapt(memory, d, iteration, burn, theta, work)
    current = selection_density(plan, store, row, theta)
    for k in range(WALKS + 1):
        alone = k == WALKS and memory[LEARNED] > 0.0 and not (iteration >= burn and memory[WALK] == 1.0)
        ratio = 0.0
        if alone:
            propose_independent(memory, d, new, marks, rng, work)
            ratio = log_proposal(memory, d, theta, marks, work) - log_proposal(memory, d, new, marks, work)
        else:
            propose_walk(memory, d, theta, new, marks, rng, work)
        proposed = selection_density(plan, store, row, new)
        accepted = math.log(rng.random()) < proposed - current + ratio
        if alone:
            memory[TRIED] += 1.0
            memory[ACCEPTED] += 1.0 if accepted else 0.0
        if accepted:
            current = proposed
            for j in range(d):
                theta[j] = new[j]
    for j in range(size):
        store[plan.index[row[SELECTION_VALUES] + j]] = theta[j]
    store[row[SELECTION_PRECISION]] = math.exp(-2.0 * theta[size])
    draw_selected(plan, store, row, theta, rng)

"""Metropolis steps on values that do not enter their equations linearly: one decision for each cell."""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.program import run_program
from mlbayes.engine.random import draw_count
from mlbayes.plan.plan import (
    CELL_DISPERSION,
    CELL_EQUATION_PRECISION,
    CELL_EQUATION_PROGRAM,
    CELL_EQUATION_PROGRAM_END,
    CELL_EQUATION_RESIDUAL,
    CELL_EQUATION_SET,
    CELL_FIRST,
    CELL_LAST,
    CELL_MEAN,
    CELL_PROPOSALS,
    CELL_REPEATS,
    CELL_SCALE,
    CELL_SET,
    CELL_VALUES,
    SET_STARTS,
    SET_UNITS,
    Plan,
)

TARGET = 0.44  # acceptance rate of a one-dimensional random walk
STEP = 0  # at the scale offset: step size, accepted and proposed moves, then standard deviation of each cell,
ACCEPTED = 1  # current log density of each cell, log density of its proposal
PROPOSED = 2
HEAD = 3


@kernel
def log_densities(plan: Plan, store: NDArray, row: NDArray, target: int) -> None:
    """Log density of every cell at its proposal, written to store[target:]."""
    cells = plan.sets[row[CELL_SET], SET_UNITS]
    for i in range(cells):
        store[target + i] = 0.0
    for e in range(row[CELL_FIRST], row[CELL_LAST]):
        equation = plan.cell_equations[e]
        run_program(plan, store, equation[CELL_EQUATION_PROGRAM], equation[CELL_EQUATION_PROGRAM_END])
        starts = plan.sets[equation[CELL_EQUATION_SET], SET_STARTS]
        precision = equation[CELL_EQUATION_PRECISION]
        residual = equation[CELL_EQUATION_RESIDUAL]
        for i in range(cells):
            s = 0.0
            for k in range(plan.index[starts + i], plan.index[starts + i + 1]):
                s += store[residual + k] * (store[residual + k] if precision >= 0 else 1.0)
            store[target + i] += -0.5 * store[precision] * s if precision >= 0 else s


@kernel
def draw_cells(plan: Plan, store: NDArray, c: int, iteration: int, burn: int, rng: Generator) -> None:
    """Metropolis on every cell at once.

    A random walk whose common step size is tuned in burn-in only; or, for counts with an equation of their own,
    proposals from that equation (negative binomial), so that only the other equations decide.
    """
    row = plan.cells[c]
    cells = plan.sets[row[CELL_SET], SET_UNITS]
    memory = row[CELL_SCALE]
    scales = memory + HEAD
    current = scales + cells
    proposed = current + cells
    if iteration == burn:
        store[memory + ACCEPTED] = 0.0
        store[memory + PROPOSED] = 0.0
    for i in range(cells):
        store[row[CELL_PROPOSALS] + i] = store[row[CELL_VALUES] + i]
    log_densities(plan, store, row, current)
    for _ in range(row[CELL_REPEATS]):
        step = store[memory + STEP]
        for i in range(cells):
            if row[CELL_MEAN] >= 0:
                count = draw_count(rng, store[row[CELL_MEAN] + i], store[row[CELL_DISPERSION]])
                store[row[CELL_PROPOSALS] + i] = count
            else:
                jump = step * store[scales + i] * rng.standard_normal()
                store[row[CELL_PROPOSALS] + i] = store[row[CELL_VALUES] + i] + jump
        log_densities(plan, store, row, proposed)
        accepted = 0
        for i in range(cells):
            if math.log(rng.random()) < store[proposed + i] - store[current + i]:
                store[row[CELL_VALUES] + i] = store[row[CELL_PROPOSALS] + i]
                store[current + i] = store[proposed + i]
                accepted += 1
        store[memory + ACCEPTED] += accepted
        store[memory + PROPOSED] += cells
        if iteration < burn:
            gain = 1.0 / math.sqrt(1.0 + 0.1 * iteration)
            store[memory + STEP] *= math.exp(gain * (accepted / max(cells, 1) - TARGET))

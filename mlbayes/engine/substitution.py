"""Substitution from the top of a block down: draws of the coefficients and of every tier's unknowns.

Given the coefficients b handed down to it, a tier's unknowns are u = C'^-1 (z - V b) with the factors that
the elimination kept and standard normal z (see `mlbayes.engine.elimination`).
"""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.elimination import map_factor, top_system
from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed, solve_lower, solve_upper
from mlbayes.engine.random import interval_normal
from mlbayes.engine.vectors import add_scaled, add_scaled_product, clear, copy, subtract_product, triple_dot
from mlbayes.plan.plan import (
    BLOCK_BOUNDS,
    BLOCK_COLUMNS,
    BLOCK_ENTRIES,
    BLOCK_ENTRIES_END,
    BLOCK_FIRST,
    BLOCK_LAST,
    BLOCK_UNKNOWNS,
    BLOCK_VALUES,
    BLOCK_WIDTH,
    CHUNK,
    MAP_COLUMN,
    MAP_KIND,
    MAP_OFFSET,
    MAP_SLOT,
    MAP_VECTOR,
    MIX_COLUMN,
    MIX_PRECISION,
    MIX_ROW,
    MIX_VECTOR,
    SET_GATHER,
    SET_UNITS,
    TIER_COLUMN_MAP,
    TIER_COLUMNS,
    TIER_DROPPED,
    TIER_EFFECTS,
    TIER_FACTOR,
    TIER_MAPS,
    TIER_MAPS_END,
    TIER_MIXES,
    TIER_MIXES_END,
    TIER_PARENT,
    TIER_SET,
    TIER_SLOTS,
    TIER_WIDTH,
    TOP_COLUMN,
    TOP_FACTOR,
    TOP_UNKNOWN,
    Plan,
    Work,
)


@kernel
def set_top_columns(plan: Plan, store: NDArray, block: NDArray) -> None:
    """Coefficients of the top columns from the values of the top unknowns; the constant column has -1."""
    width = block[BLOCK_WIDTH]
    columns = block[BLOCK_COLUMNS]
    for c in range(width):
        store[columns + c] = 0.0
    store[columns + width - 1] = -1.0
    for e in range(block[BLOCK_ENTRIES], block[BLOCK_ENTRIES_END]):
        value = store[block[BLOCK_VALUES] + plan.tops[e, TOP_UNKNOWN]]
        store[columns + plan.tops[e, TOP_COLUMN]] += value * store[plan.tops[e, TOP_FACTOR]]


@kernel
def draw_top(plan: Plan, store: NDArray, b: int, rng: Generator, work: Work) -> bool:
    """Draw the top unknowns given the eliminated cross products.

    With bounds, two scans of univariate truncated normal draws from the current values (which leave the
    truncated normal distribution as it is).  False when the precision is not positive definite.
    """
    block = plan.blocks[b]
    n = block[BLOCK_UNKNOWNS]
    values = block[BLOCK_VALUES]
    bounds = block[BLOCK_BOUNDS]
    if n > 0:
        p = work.dense[0]
        factor = work.dense[1]
        h = work.vectors[0]
        top_system(plan, store, block, p, h)
        if math.isnan(cholesky(p, factor, n)):
            return False
        if bounds < 0:
            solve_lower(factor, h, h, n)
            for i in range(n):
                h[i] += rng.standard_normal()
            solve_upper(factor, h, h, n)
            for i in range(n):
                store[values + i] = h[i]
        else:
            for _ in range(2):
                for i in range(n):
                    s = h[i]
                    for j in range(n):
                        if j != i:
                            s -= (p[i, j] if i > j else p[j, i]) * store[values + j]
                    store[values + i] = interval_normal(
                        rng, s / p[i, i], 1.0 / math.sqrt(p[i, i]), store[bounds + i], store[bounds + n + i]
                    )
    set_top_columns(plan, store, block)
    return True


@kernel
def inherit_columns(plan: Plan, store: NDArray, block: NDArray, tier: NDArray) -> None:
    """Coefficients of a tier's columns before its own unknowns: those of its parents, 0 for columns that end here."""
    own = plan.sets[tier[TIER_SET]]
    units = own[SET_UNITS]
    parent = tier[TIER_PARENT]
    for c in range(tier[TIER_WIDTH]):
        offset = tier[TIER_COLUMNS] + c * units
        target = store[offset : offset + units]
        if c < tier[TIER_DROPPED]:
            clear(target, units)
            continue
        above = plan.index[tier[TIER_COLUMN_MAP] + c]
        if parent < 0:
            value = store[block[BLOCK_COLUMNS] + above]
            for i in range(units):
                target[i] = value
        else:
            parents = plan.sets[plan.tiers[parent, TIER_SET], SET_UNITS]
            offset = plan.tiers[parent, TIER_COLUMNS] + above * parents
            source = store[offset : offset + parents]
            gather = own[SET_GATHER]
            for i in range(units):
                target[i] = source[plan.index[gather + i]]


@kernel
def add_effects(plan: Plan, store: NDArray, tier: NDArray) -> None:
    """Add A'u to the coefficients of a tier's columns."""
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    for e in range(tier[TIER_MAPS], tier[TIER_MAPS_END]):
        entry = plan.maps[e]
        offset = tier[TIER_COLUMNS] + entry[MAP_COLUMN] * units
        target = store[offset : offset + units]
        offset = tier[TIER_EFFECTS] + entry[MAP_SLOT] * units
        effects = store[offset : offset + units]
        if entry[MAP_KIND] == MAP_VECTOR:
            offset = entry[MAP_OFFSET]
            scale = map_factor(entry, store)
            add_scaled_product(target, effects, store[offset : offset + units], scale, units)
        else:
            add_scaled(target, effects, map_factor(entry, store), units)


@kernel
def draw_effects(plan: Plan, store: NDArray, tier: NDArray, rng: Generator, work: Work) -> None:
    """Draw a tier's unknowns given the coefficients handed down to it."""
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    slots = tier[TIER_SLOTS]
    width = tier[TIER_WIDTH]
    for start in range(0, units, CHUNK):
        count = min(CHUNK, units - start)
        for a in range(slots):
            z = work.transfer[a]
            for i in range(count):
                z[i] = rng.standard_normal()
            for j in range(tier[TIER_DROPPED], width):
                v = tier[TIER_FACTOR] + (a * width + j) * units + start
                c = tier[TIER_COLUMNS] + j * units + start
                subtract_product(z, store[v : v + count], store[c : c + count], count)
        factor = tier[TIER_FACTOR] + slots * width * units + start
        for a in range(slots - 1, -1, -1):
            z = work.transfer[a]
            for k in range(a + 1, slots):
                offset = factor + packed(k, a) * units
                subtract_product(z, store[offset : offset + count], work.transfer[k], count)
            offset = factor + packed(a, a) * units
            diagonal = store[offset : offset + count]
            for i in range(count):
                z[i] /= diagonal[i]
            offset = tier[TIER_EFFECTS] + a * units + start
            copy(store[offset : offset + count], z, count)


@kernel
def draw_down(plan: Plan, store: NDArray, b: int, rng: Generator, work: Work) -> None:
    """Draw every tier of a block from the top down, given the top."""
    block = plan.blocks[b]
    for t in range(block[BLOCK_LAST] - 1, block[BLOCK_FIRST] - 1, -1):
        tier = plan.tiers[t]
        inherit_columns(plan, store, block, tier)
        if tier[TIER_SLOTS] > 0:
            draw_effects(plan, store, tier, rng, work)
            add_effects(plan, store, tier)


@kernel
def rebuild_columns(plan: Plan, store: NDArray, b: int) -> None:
    """Coefficients of every column from the top unknowns and the effects as they are."""
    block = plan.blocks[b]
    set_top_columns(plan, store, block)
    for t in range(block[BLOCK_LAST] - 1, block[BLOCK_FIRST] - 1, -1):
        tier = plan.tiers[t]
        inherit_columns(plan, store, block, tier)
        add_effects(plan, store, tier)


@kernel
def sum_of_squares(plan: Plan, store: NDArray, b: int, precision: int) -> float:
    """Sum of squared residuals of the equations that have the precision at store offset `precision`."""
    block = plan.blocks[b]
    s = 0.0
    for t in range(block[BLOCK_FIRST], block[BLOCK_LAST]):
        tier = plan.tiers[t]
        units = plan.sets[tier[TIER_SET], SET_UNITS]
        for m in range(tier[TIER_MIXES], tier[TIER_MIXES_END]):
            mix = plan.mixes[m]
            if mix[MIX_PRECISION] != precision:
                continue
            i = tier[TIER_COLUMNS] + mix[MIX_ROW] * units
            j = tier[TIER_COLUMNS] + mix[MIX_COLUMN] * units
            v = mix[MIX_VECTOR]
            t_ij = triple_dot(store[v : v + units], store[i : i + units], store[j : j + units], units)
            s += t_ij if mix[MIX_ROW] == mix[MIX_COLUMN] else 2.0 * t_ij
    return s

"""Elimination of a block's unknowns, units upward: the first half of a joint Gaussian draw.

In column space a residual is sum_c x_c b_c with b_const = -1, where b collects what the top and every
tier add to the coefficient of column c.  Given the cross products Q of the columns (weighted by
precisions), an unknown u with map A (b += A'u) has precision R = A Q A' + prior and linear part -A Q b.
With R = C C' and V = C^-1 A Q the tier hands Q - V'V up to its parent; the top then holds the exact
marginal of its coefficients.  `mlbayes.engine.substitution` goes down again.  (Block elimination of an
arrow matrix, as in Henderson's mixed-model equations; see docs/algorithms.md.)  Inner loops run over units.
"""

import math

from numpy.typing import NDArray

from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed, solve_lower
from mlbayes.engine.vectors import (
    add_scaled,
    add_scaled_product,
    clear,
    copy,
    multiply,
    root_and_inverse,
    subtract_product,
    total,
)
from mlbayes.plan.plan import (
    BLOCK_CROSS,
    BLOCK_ENTRIES,
    BLOCK_ENTRIES_END,
    BLOCK_FIRST,
    BLOCK_LAST,
    BLOCK_PRIOR,
    BLOCK_UNKNOWNS,
    BLOCK_WIDTH,
    CHUNK,
    MAP_COLUMN,
    MAP_KIND,
    MAP_OFFSET,
    MAP_SCALAR,
    MAP_SCALE,
    MAP_SLOT,
    MAP_VECTOR,
    MIX_COLUMN,
    MIX_PRECISION,
    MIX_ROW,
    MIX_VECTOR,
    SET_GATHER,
    SET_STARTS,
    SET_UNITS,
    TIER_COLUMN_MAP,
    TIER_CROSS,
    TIER_DROPPED,
    TIER_FACTOR,
    TIER_MAPS,
    TIER_MAPS_END,
    TIER_MIXES,
    TIER_MIXES_END,
    TIER_PARENT,
    TIER_PRIOR,
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
def load_cross(plan: Plan, store: NDArray, tier: NDArray, start: int, count: int, cross: NDArray) -> None:
    """Cross products of a chunk of units: handed up from below plus the tier's own mixes."""
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    width = tier[TIER_WIDTH]
    below = tier[TIER_CROSS]
    for k in range(width * (width + 1) // 2):
        if below < 0:
            clear(cross[k], count)
        else:
            offset = below + k * units + start
            copy(cross[k], store[offset : offset + count], count)
    for m in range(tier[TIER_MIXES], tier[TIER_MIXES_END]):
        mix = plan.mixes[m]
        offset = mix[MIX_VECTOR] + start
        k = packed(mix[MIX_ROW], mix[MIX_COLUMN])
        add_scaled(cross[k], store[offset : offset + count], store[mix[MIX_PRECISION]], count)


@kernel
def map_factor(entry: NDArray, store: NDArray) -> float:
    """The scalar part of a map entry."""
    scale = store[entry[MAP_SCALE]]
    if entry[MAP_KIND] == MAP_SCALAR:
        return scale * store[entry[MAP_OFFSET]]
    return scale


@kernel
def transfer_and_precision(
    plan: Plan, store: NDArray, tier: NDArray, start: int, count: int, work: Work
) -> None:
    """Transfer = A Q (slots x columns) and factor = A Q A' + prior (packed slots) of a chunk of units."""
    slots = tier[TIER_SLOTS]
    width = tier[TIER_WIDTH]
    for k in range(slots * width):
        clear(work.transfer[k], count)
    for e in range(tier[TIER_MAPS], tier[TIER_MAPS_END]):
        entry = plan.maps[e]
        slot = entry[MAP_SLOT]
        column = entry[MAP_COLUMN]
        offset = entry[MAP_OFFSET] + start
        scale = map_factor(entry, store)
        for j in range(width):
            target = work.transfer[slot * width + j]
            source = work.cross[packed(column, j)]
            if entry[MAP_KIND] == MAP_VECTOR:
                add_scaled_product(target, source, store[offset : offset + count], scale, count)
            else:
                add_scaled(target, source, scale, count)
    for k in range(slots * (slots + 1) // 2):
        clear(work.factor[k], count)
    for e in range(tier[TIER_MAPS], tier[TIER_MAPS_END]):
        entry = plan.maps[e]
        slot = entry[MAP_SLOT]
        column = entry[MAP_COLUMN]
        offset = entry[MAP_OFFSET] + start
        scale = map_factor(entry, store)
        for other in range(slot, slots):
            target = work.factor[packed(other, slot)]
            source = work.transfer[other * width + column]
            if entry[MAP_KIND] == MAP_VECTOR:
                add_scaled_product(target, source, store[offset : offset + count], scale, count)
            else:
                add_scaled(target, source, scale, count)
    for slot in range(slots):
        prior = plan.index[tier[TIER_PRIOR] + slot]
        target = work.factor[packed(slot, slot)]
        if prior >= 0:
            add_scaled(target, store[prior + start : prior + start + count], 1.0, count)
        elif prior == -2:
            for i in range(count):
                target[i] += 1.0


@kernel
def factorise(slots: int, width: int, count: int, work: Work) -> float:
    """Cholesky factor of every unit's precision in place, transfer = C^-1 transfer; sum of log determinants.

    Returns nan when a unit's precision is not positive definite.
    """
    for j in range(slots):
        diagonal = work.factor[packed(j, j)]
        for k in range(j):
            row = work.factor[packed(j, k)]
            subtract_product(diagonal, row, row, count)
        inverse = work.lines[1 + j]
        root_and_inverse(diagonal, inverse, count)
        for i in range(j + 1, slots):
            below = work.factor[packed(i, j)]
            for k in range(j):
                subtract_product(below, work.factor[packed(i, k)], work.factor[packed(j, k)], count)
            multiply(below, inverse, count)
    product = work.lines[0]
    copy(product, work.factor[0], count)
    for j in range(1, slots):
        multiply(product, work.factor[packed(j, j)], count)
    log_determinant = 0.0
    running = 1.0
    for i in range(count):
        running *= product[i]
        if not running > 0.0:
            return math.nan
        if running > 1e150 or running < 1e-150:
            log_determinant += 2.0 * math.log(running)
            running = 1.0
    log_determinant += 2.0 * math.log(running)
    for a in range(slots):
        for j in range(width):
            line = work.transfer[a * width + j]
            for k in range(a):
                subtract_product(line, work.factor[packed(a, k)], work.transfer[k * width + j], count)
            multiply(line, work.lines[1 + a], count)
    return log_determinant


@kernel
def reduced(slots: int, width: int, i: int, j: int, count: int, work: Work) -> NDArray:
    """Q_ij - sum over slots of V_i V_j for a chunk of units."""
    source = work.cross[packed(i, j)]
    if slots == 0:
        return source
    t = work.lines[0]
    a = work.transfer[i]
    b = work.transfer[j]
    if slots == 1:
        for u in range(count):
            t[u] = source[u] - a[u] * b[u]
        return t
    c = work.transfer[width + i]
    d = work.transfer[width + j]
    for u in range(count):
        t[u] = source[u] - a[u] * b[u] - c[u] * d[u]
    for k in range(2, slots):
        subtract_product(t, work.transfer[k * width + i], work.transfer[k * width + j], count)
    return t


@kernel
def hand_up(
    plan: Plan, store: NDArray, block: NDArray, tier: NDArray, start: int, count: int, work: Work
) -> None:
    """Add the chunk's reduced cross products to those of the parent tier, or of the top."""
    slots = tier[TIER_SLOTS]
    width = tier[TIER_WIDTH]
    parent = tier[TIER_PARENT]
    column_map = tier[TIER_COLUMN_MAP]
    own = plan.sets[tier[TIER_SET]]
    parents = 0
    first = 0
    last = 0
    if parent >= 0:
        parents = plan.sets[plan.tiers[parent, TIER_SET], SET_UNITS]
        first = plan.index[own[SET_GATHER] + start]
        last = plan.index[own[SET_GATHER] + start + count - 1]
    for i in range(tier[TIER_DROPPED], width):
        for j in range(tier[TIER_DROPPED], i + 1):
            values = reduced(slots, width, i, j, count, work)
            k = packed(plan.index[column_map + i], plan.index[column_map + j])
            if parent < 0:
                store[block[BLOCK_CROSS] + k] += total(values, 0, count)
            else:
                target = plan.tiers[parent, TIER_CROSS] + k * parents
                for p in range(first, last + 1):
                    begin = max(plan.index[own[SET_STARTS] + p] - start, 0)
                    end = min(plan.index[own[SET_STARTS] + p + 1] - start, count)
                    store[target + p] += total(values, begin, end)


@kernel
def keep_factors(plan: Plan, store: NDArray, tier: NDArray, start: int, count: int, work: Work) -> None:
    """Keep V and C of a chunk for the way down."""
    slots = tier[TIER_SLOTS]
    width = tier[TIER_WIDTH]
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    offset = tier[TIER_FACTOR] + start
    for k in range(slots * width):
        copy(store[offset : offset + count], work.transfer[k], count)
        offset += units
    for k in range(slots * (slots + 1) // 2):
        copy(store[offset : offset + count], work.factor[k], count)
        offset += units


@kernel
def eliminate(plan: Plan, store: NDArray, b: int, keep: bool, work: Work) -> float:
    """Eliminate every tier of block `b`; the top's cross products are left in the store.

    Returns the sum of the log determinants of the units' precisions, nan when one is not positive definite.
    """
    block = plan.blocks[b]
    for t in range(block[BLOCK_FIRST], block[BLOCK_LAST]):
        tier = plan.tiers[t]
        if tier[TIER_CROSS] >= 0:
            units = plan.sets[tier[TIER_SET], SET_UNITS]
            size = tier[TIER_WIDTH] * (tier[TIER_WIDTH] + 1) // 2 * units
            clear(store[tier[TIER_CROSS] : tier[TIER_CROSS] + size], size)
    size = block[BLOCK_WIDTH] * (block[BLOCK_WIDTH] + 1) // 2
    clear(store[block[BLOCK_CROSS] : block[BLOCK_CROSS] + size], size)
    log_determinant = 0.0
    for t in range(block[BLOCK_FIRST], block[BLOCK_LAST]):
        tier = plan.tiers[t]
        units = plan.sets[tier[TIER_SET], SET_UNITS]
        slots = tier[TIER_SLOTS]
        for start in range(0, units, CHUNK):
            count = min(CHUNK, units - start)
            load_cross(plan, store, tier, start, count, work.cross)
            if slots > 0:
                transfer_and_precision(plan, store, tier, start, count, work)
                log_determinant += factorise(slots, tier[TIER_WIDTH], count, work)
                if math.isnan(log_determinant):
                    return math.nan
            hand_up(plan, store, block, tier, start, count, work)
            if keep and slots > 0:
                keep_factors(plan, store, tier, start, count, work)
    return log_determinant


@kernel
def top_system(plan: Plan, store: NDArray, block: NDArray, p: NDArray, h: NDArray) -> None:
    """Precision matrix (lower triangle of `p`) and linear part `h` of the top unknowns, priors included."""
    n = block[BLOCK_UNKNOWNS]
    cross = block[BLOCK_CROSS]
    constant = block[BLOCK_WIDTH] - 1
    prior = block[BLOCK_PRIOR]
    for i in range(n):
        h[i] = store[prior + i] * store[prior + n + i]
        for j in range(i):
            p[i, j] = 0.0
        p[i, i] = store[prior + i]
    for e in range(block[BLOCK_ENTRIES], block[BLOCK_ENTRIES_END]):
        i = plan.tops[e, TOP_UNKNOWN]
        a = plan.tops[e, TOP_COLUMN]
        s = store[plan.tops[e, TOP_FACTOR]]
        h[i] += s * store[cross + packed(constant, a)]
        for f in range(block[BLOCK_ENTRIES], block[BLOCK_ENTRIES_END]):
            j = plan.tops[f, TOP_UNKNOWN]
            if j <= i:
                k = packed(a, plan.tops[f, TOP_COLUMN])
                p[i, j] += s * store[plan.tops[f, TOP_FACTOR]] * store[cross + k]


@kernel
def top_quadratic(plan: Plan, store: NDArray, b: int, work: Work) -> float:
    """-2 times the log of the integral over the top up to a constant, log det P + Q_cc - h' P^-1 h; nan if it fails."""
    block = plan.blocks[b]
    n = block[BLOCK_UNKNOWNS]
    constant = block[BLOCK_WIDTH] - 1
    quadratic = store[block[BLOCK_CROSS] + packed(constant, constant)]
    if n == 0:
        return quadratic
    p = work.dense[0]
    factor = work.dense[1]
    h = work.vectors[0]
    top_system(plan, store, block, p, h)
    log_determinant = cholesky(p, factor, n)
    if math.isnan(log_determinant):
        return math.nan
    solve_lower(factor, h, h, n)
    for i in range(n):
        quadratic -= h[i] * h[i]
    return log_determinant + quadratic

"""Covariance matrices of whitened random effects: conjugate draw, interweaving, and what is reported."""

import math

from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.elimination import load_cross
from mlbayes.engine.jit import kernel
from mlbayes.engine.linalg import cholesky, packed, solve_lower, solve_upper
from mlbayes.engine.random import inverse_wishart_factor
from mlbayes.engine.substitution import rebuild_columns
from mlbayes.engine.vectors import dot, total
from mlbayes.plan.plan import (
    BLOCK_BOUNDS,
    BLOCK_ENTRIES,
    BLOCK_ENTRIES_END,
    BLOCK_FIRST,
    BLOCK_GROUPS,
    BLOCK_GROUPS_END,
    BLOCK_PRIOR,
    BLOCK_UNKNOWNS,
    BLOCK_VALUES,
    CHUNK,
    GROUP_COLUMNS,
    GROUP_DF,
    GROUP_FACTOR,
    GROUP_SIZE,
    GROUP_SLOT,
    GROUP_TIER,
    GROUP_WEIGHTS,
    SET_GATHER,
    SET_UNITS,
    TIER_EFFECTS,
    TIER_SET,
    TIER_WIDTH,
    TOP_FACTOR,
    TOP_LOWEST,
    TOP_UNKNOWN,
    Plan,
    Work,
)


@kernel
def log_prior_factor(df: float, scale: float, p: int, factor: NDArray, scratch: NDArray) -> float:
    """Log density of the packed p x p Cholesky factor L when LL' has the inverse Wishart prior IW(df, scale I).

    |d(LL')/dL| is proportional to prod l_ii^(p-i), i from 0.  Signs of the diagonal do not matter.
    """
    s = 0.0
    for i in range(p):
        s += (p - i - (df + p + 1.0)) * math.log(abs(factor[packed(i, i)]))
    if scale > 0.0:
        # tr((LL')^-1) is the squared norm of L^-1, found column by column by substitution
        for column in range(p):
            for i in range(column, p):
                value = 1.0 if i == column else 0.0
                for k in range(column, i):
                    value -= factor[packed(i, k)] * scratch[k]
                scratch[i] = value / factor[packed(i, i)]
                s -= 0.5 * scale * scratch[i] * scratch[i]
    return s


@kernel
def log_separate(store: NDArray, prior: int, p: int, factor: NDArray) -> float:
    """Log of the separate prior of LL' over the flat one: IG(a, b) on each variance, uniform on the correlations.

    The matrix of p variances and correlations has the density prod v_i^(-(p-1)/2) where those are flat.
    """
    if store[prior + 2] == 0.0:
        return 0.0
    s = 0.0
    for i in range(p):
        v = 0.0
        for k in range(i + 1):
            v += factor[packed(i, k)] ** 2
        s -= (0.5 * (p - 1) + store[prior + 3] + 1.0) * math.log(v) + store[prior + 4] / v
    return s


@kernel
def draw_conjugate(plan: Plan, store: NDArray, g: int, rng: Generator, work: Work) -> bool:
    """Draw a group's covariance matrix given its effects L u, and restandardise: u becomes L_new^-1 L u."""
    group = plan.groups[g]
    tier = plan.tiers[group[GROUP_TIER]]
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    p = group[GROUP_SIZE]
    effects = tier[TIER_EFFECTS] + group[GROUP_SLOT] * units
    moment = work.small[0]
    scale = work.small[1]
    new = work.small[2]
    for a in range(p):
        x = store[effects + a * units : effects + (a + 1) * units]
        for b in range(a + 1):
            y = store[effects + b * units : effects + (b + 1) * units]
            if group[GROUP_WEIGHTS] < 0:
                moment[a, b] = dot(x, y, 0, units)
            else:
                moment[a, b] = 0.0
                for u in range(units):
                    moment[a, b] += store[group[GROUP_WEIGHTS] + u] * x[u] * y[u]
            moment[b, a] = moment[a, b]
    factor = store[group[GROUP_FACTOR] : group[GROUP_FACTOR] + p * (p + 1) // 2]
    for a in range(p):
        for b in range(a + 1):
            s = 0.0
            for i in range(a + 1):
                for j in range(b + 1):
                    s += factor[packed(a, i)] * moment[i, j] * factor[packed(b, j)]
            scale[a, b] = s
        scale[a, a] += store[group[GROUP_DF] + 1]
    df = store[group[GROUP_DF]] + units
    if not inverse_wishart_factor(rng, df, scale, new, p, work.small[3:]):
        return False
    if store[group[GROUP_DF] + 2] != 0.0:  # the draw is a proposal then
        for i in range(p):
            for j in range(i + 1):
                work.vectors[0][packed(i, j)] = new[i, j]
        ratio = log_separate(store, group[GROUP_DF], p, work.vectors[0])
        ratio -= log_separate(store, group[GROUP_DF], p, factor)
        if not math.log(rng.random()) < ratio:
            return True
    change = work.small[0]
    for j in range(p):
        for i in range(j, p):
            s = factor[packed(i, j)]
            for k in range(j, i):
                s -= new[i, k] * change[k, j]
            change[i, j] = s / new[i, i]
    for i in range(p):
        for j in range(i + 1):
            factor[packed(i, j)] = new[i, j]
    for u in range(units):
        for a in range(p - 1, -1, -1):
            s = 0.0
            for b in range(a + 1):
                s += change[a, b] * store[effects + b * units + u]
            store[effects + a * units + u] = s
    return True


@kernel
def gather_entries(plan: Plan, store: NDArray, block: NDArray, work: Work) -> int:
    """List the unknowns of the interweaving regression in `work.entries`: unknown, base column, weights.

    The top's coefficients have no weights (-1); the element (i, j) of a group's factor multiplies the
    standardised effect j in the column of effect i.  Weights of groups above the base tier are spread over
    the base tier's units in `work.gathered`.  Returns the number of entries.
    """
    base = plan.tiers[block[BLOCK_FIRST]]
    base_set = plan.sets[base[TIER_SET]]
    units = base_set[SET_UNITS]
    count = 0
    for e in range(block[BLOCK_ENTRIES], block[BLOCK_ENTRIES_END]):
        work.entries[count, 0] = plan.tops[e, TOP_UNKNOWN]
        work.entries[count, 1] = plan.tops[e, TOP_LOWEST]
        work.entries[count, 2] = -1
        work.entries[count, 3] = plan.tops[e, TOP_FACTOR]
        count += 1
    unknown = block[BLOCK_UNKNOWNS]
    line = 0
    for g in range(block[BLOCK_GROUPS], block[BLOCK_GROUPS_END]):
        group = plan.groups[g]
        tier = plan.tiers[group[GROUP_TIER]]
        p = group[GROUP_SIZE]
        own = plan.sets[tier[TIER_SET], SET_UNITS]
        for j in range(p):
            effects = tier[TIER_EFFECTS] + (group[GROUP_SLOT] + j) * own
            target = work.gathered[line + j]
            if group[GROUP_TIER] == block[BLOCK_FIRST]:
                for u in range(units):
                    target[u] = store[effects + u]
            else:
                for u in range(units):
                    target[u] = store[effects + plan.index[base_set[SET_GATHER] + u]]
        for i in range(p):
            for j in range(i + 1):
                work.entries[count, 0] = unknown
                work.entries[count, 1] = plan.index[group[GROUP_COLUMNS] + i]
                work.entries[count, 2] = line + j
                work.entries[count, 3] = -1
                count += 1
                unknown += 1
        line += p
    return count


@kernel
def interweaving_system(plan: Plan, store: NDArray, block: NDArray, count: int, work: Work) -> None:
    """Precision (work.dense[0]) and linear part (work.vectors[0]) of the interweaving regression."""
    base = plan.tiers[block[BLOCK_FIRST]]
    units = plan.sets[base[TIER_SET], SET_UNITS]
    constant = base[TIER_WIDTH] - 1
    p = work.dense[0]
    h = work.vectors[0]
    n = work.entries[count - 1, 0] + 1
    for i in range(n):
        h[i] = 0.0
        for j in range(i + 1):
            p[i, j] = 0.0
    for i in range(block[BLOCK_UNKNOWNS]):
        prior = block[BLOCK_PRIOR]
        p[i, i] = store[prior + i]
        h[i] = store[prior + i] * store[prior + block[BLOCK_UNKNOWNS] + i]
    t = work.lines[0]
    for start in range(0, units, CHUNK):
        size = min(CHUNK, units - start)
        load_cross(plan, store, base, start, size, work.cross)
        for a in range(count):
            entry = work.entries[a]
            column = entry[1]
            s = 1.0 if entry[3] < 0 else store[entry[3]]
            weighted = entry[2] >= 0
            for b in range(-1, a + 1):
                other = column if b < 0 else work.entries[b, 1]
                q = work.cross[packed(column, constant if b < 0 else other)]
                double = b >= 0 and work.entries[b, 2] >= 0
                if weighted and double:
                    x = work.gathered[entry[2]]
                    y = work.gathered[work.entries[b, 2]]
                    for u in range(size):
                        t[u] = q[u] * x[start + u] * y[start + u]
                    value = total(t, 0, size)
                elif weighted or double:
                    x = work.gathered[entry[2] if weighted else work.entries[b, 2]]
                    for u in range(size):
                        t[u] = q[u] * x[start + u]
                    value = total(t, 0, size)
                else:
                    value = total(q, 0, size)
                if b < 0:
                    h[entry[0]] += s * value
                else:
                    r = 1.0 if work.entries[b, 3] < 0 else store[work.entries[b, 3]]
                    if entry[0] == work.entries[b, 0] and a != b:
                        value *= 2.0
                    i = max(entry[0], work.entries[b, 0])
                    p[i, min(entry[0], work.entries[b, 0])] += s * r * value


@kernel
def draw_interweaving(plan: Plan, store: NDArray, b: int, rng: Generator, work: Work) -> int:
    """Redraw the coefficients and all factors of a block in one regression given the standardised effects.

    The non-centred half of ancillarity-sufficiency interweaving (Yu & Meng 2011, JCGS 20, 531-570).  The
    regression treats the factors as flat; a Metropolis step corrects for their prior.  Returns 1 when it
    was accepted, 0 when not, -1 when the precision is not positive definite.
    """
    block = plan.blocks[b]
    count = gather_entries(plan, store, block, work)
    interweaving_system(plan, store, block, count, work)
    n = work.entries[count - 1, 0] + 1
    h = work.vectors[0]
    factor = work.dense[1]
    if math.isnan(cholesky(work.dense[0], factor, n)):
        return -1
    solve_lower(factor, h, h, n)
    for i in range(n):
        h[i] += rng.standard_normal()
    solve_upper(factor, h, h, n)
    ratio = 0.0
    at = block[BLOCK_UNKNOWNS]
    for g in range(block[BLOCK_GROUPS], block[BLOCK_GROUPS_END]):
        group = plan.groups[g]
        size = group[GROUP_SIZE] * (group[GROUP_SIZE] + 1) // 2
        old = store[group[GROUP_FACTOR] : group[GROUP_FACTOR] + size]
        df, scale, p = store[group[GROUP_DF]], store[group[GROUP_DF] + 1], group[GROUP_SIZE]
        ratio += log_prior_factor(df, scale, p, h[at : at + size], work.vectors[1])
        ratio -= log_prior_factor(df, scale, p, old, work.vectors[1])
        ratio += log_separate(store, group[GROUP_DF], p, h[at : at + size])
        ratio -= log_separate(store, group[GROUP_DF], p, old)
        at += size
    if block[BLOCK_BOUNDS] >= 0:
        for i in range(block[BLOCK_UNKNOWNS]):
            bounds = block[BLOCK_BOUNDS]
            if not store[bounds + i] <= h[i] <= store[bounds + block[BLOCK_UNKNOWNS] + i]:
                return 0
    if not math.log(rng.random()) < ratio:
        return 0
    for i in range(block[BLOCK_UNKNOWNS]):
        store[block[BLOCK_VALUES] + i] = h[i]
    at = block[BLOCK_UNKNOWNS]
    for g in range(block[BLOCK_GROUPS], block[BLOCK_GROUPS_END]):
        group = plan.groups[g]
        size = group[GROUP_SIZE] * (group[GROUP_SIZE] + 1) // 2
        for k in range(size):
            store[group[GROUP_FACTOR] + k] = h[at + k]
        at += size
        make_positive(plan, store, group, True)
    rebuild_columns(plan, store, b)
    return 1


@kernel
def make_positive(plan: Plan, store: NDArray, group: NDArray, effects: bool) -> None:
    """Flip the columns of a factor that have a negative diagonal (and with them the standardised effects)."""
    p = group[GROUP_SIZE]
    tier = plan.tiers[group[GROUP_TIER]]
    units = plan.sets[tier[TIER_SET], SET_UNITS]
    for j in range(p):
        if store[group[GROUP_FACTOR] + packed(j, j)] < 0.0:
            for i in range(j, p):
                store[group[GROUP_FACTOR] + packed(i, j)] *= -1.0
            if effects:
                offset = tier[TIER_EFFECTS] + (group[GROUP_SLOT] + j) * units
                for u in range(units):
                    store[offset + u] *= -1.0


@kernel
def report_covariance(store: NDArray, factor: int, p: int, change: int, target: int, work: Work) -> None:
    """Target (p x p, row by row) = M L L' M' with M (p x p) at `change`, or L L' when `change` is -1."""
    a = work.small[0]
    for i in range(p):
        for j in range(p):
            if change < 0:
                a[i, j] = store[factor + packed(i, j)] if j <= i else 0.0
            else:
                s = 0.0
                for k in range(j, p):
                    s += store[change + i * p + k] * store[factor + packed(k, j)]
                a[i, j] = s
    for i in range(p):
        for j in range(p):
            s = 0.0
            for k in range(p):
                s += a[i, k] * a[j, k]
            store[target + i * p + j] = s

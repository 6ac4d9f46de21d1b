"""Scratch of a chain, sized once from the tables of its plan."""

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.plan import CHUNK, Plan, Work


def make_work(plan: Plan) -> Work:
    """Allocate the scratch arrays that a plan needs."""
    widths = [1, *plan.tiers[:, p.TIER_WIDTH], *plan.blocks[:, p.BLOCK_WIDTH]]
    slots = [1, *plan.tiers[:, p.TIER_SLOTS]]
    sizes = [1, *plan.groups[:, p.GROUP_SIZE], *plan.covariances[:, p.COVARIANCE_SIZE]]
    width, most = int(max(widths)), int(max(slots))
    transfer = max([1, *(plan.tiers[:, p.TIER_SLOTS] * plan.tiers[:, p.TIER_WIDTH])])
    units = int(max([1, *plan.sets[:, p.SET_UNITS]]))
    gathered, entries = 1, 1
    for block in plan.blocks:
        groups = plan.groups[block[p.BLOCK_GROUPS] : block[p.BLOCK_GROUPS_END], p.GROUP_SIZE]
        gathered = max(gathered, int(groups.sum()))
        count = block[p.BLOCK_ENTRIES_END] - block[p.BLOCK_ENTRIES] + (groups * (groups + 1) // 2).sum()
        entries = max(entries, int(count))
    unknowns = [
        6,
        *plan.scale_items[:, p.ITEM_CATEGORIES],
        *plan.blocks[:, p.BLOCK_UNKNOWNS],
        *plan.collapsed[:, p.COLLAPSED_SIZE],
    ]
    unknowns += [*(plan.selections[:, p.SELECTION_SIZE] + 1)]
    unknowns += [*(plan.newtons[:, p.NEWTON_SIZE] + plan.newtons[:, p.NEWTON_EXTRAS])]
    largest = int(max(sizes))
    dense = max(int(max(unknowns)), entries, largest * (largest + 1) // 2)
    longest = int(max([1, *plan.series[:, p.SERIES_LONGEST]]))
    order = int(max([0, *plan.series[:, p.SERIES_ORDER]]))
    interweaves = bool((plan.steps[:, 0] == p.STEP_INTERWEAVE).any())
    return Work(
        cross=np.zeros((width * (width + 1) // 2, CHUNK)),
        transfer=np.zeros((int(transfer), CHUNK)),
        factor=np.zeros((most * (most + 1) // 2, CHUNK)),
        lines=np.zeros((most + 3, CHUNK)),
        dense=np.zeros((3, dense, dense)),
        vectors=np.zeros((8, dense + 1)),
        gathered=np.zeros((gathered, units if interweaves else 1)),
        entries=np.zeros((entries, 4), dtype=np.int64),
        small=np.zeros((6, largest, largest)),
        slots=np.zeros(longest, dtype=np.int64),
        band=np.zeros((longest, order + 1)),
        series=np.zeros((1, longest)),
    )

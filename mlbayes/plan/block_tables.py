"""A block's rows in the tables of the plan: local columns of its tiers, maps, priors and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder, UnitSet
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.plan.unknowns import EffectGroup, TopUnknown, Unknown


@dataclass
class Tier:
    """A tier while it is being made: columns in local order, cross products and slots."""

    units: UnitSet
    unknowns: list[Unknown] = field(default_factory=list)
    crosses: list[tuple[int, int, int, int]] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    dropped: int = 0
    row: int = -1
    record: list[int] = field(default_factory=list)


def tier_of(tiers: Sequence[Tier], level: int) -> Tier:
    """The tier of the clusters that an equation or unknown of a level belongs to."""
    for tier in tiers:
        if tier.units.members is None and tier.units.level in (level, TOP):
            return tier
    raise AssertionError(f"no tier at level {level}")


class BlockTables:
    """Writes the rows of one block.

    `column_of`: column and sign of every unknown; `constant`: the constant's column.  Afterwards `number` is the
    block's row, `group_rows` those of its groups, `values` the place of the top unknowns' values.
    """

    def __init__(
        self,
        builder: PlanBuilder,
        column_of: dict[Atom, tuple[int, float]],
        constant: int,
        tiers: Sequence[Tier],
        tops: Sequence[TopUnknown],
        groups: Sequence[EffectGroup],
    ) -> None:
        self.builder = builder
        self.column_of = column_of
        self.constant = constant
        self.tiers = tiers
        self.tops = tops
        self.groups = groups
        self.group_rows: list[int] = []
        self._order_columns()
        self._write_block()

    def _order_columns(self) -> None:
        """Columns of each tier: first those that end there, then those that go up, the constant last."""
        below: set[int] = set()
        top = {self.column_of[unknown.atom][0] for unknown in self.tops}
        for k, tier in enumerate(self.tiers):
            above = set(top) | {self.constant}
            for other in self.tiers[k + 1 :]:
                above |= {self.column_of[unknown.atom][0] for unknown in other.unknowns}
            local = below | {c for cross in tier.crosses for c in cross[:2]}
            local |= {self.column_of[unknown.atom][0] for unknown in tier.unknowns} | {self.constant}
            ends = sorted(local - above)
            passed = sorted(local & above)
            tier.columns = ends + passed
            tier.dropped = len(ends)
            below = set(passed)
        self.top_columns = sorted(top | below | {self.constant})

    def _write_block(self) -> None:
        """Add the rows of the tiers, the top's map, the groups and the block."""
        builder = self.builder
        number = builder.count("blocks")
        first = builder.count("tiers")
        for k, tier in enumerate(self.tiers):
            tier.row = first + k
        for k, tier in enumerate(self.tiers):
            self._write_tier(k, tier, lowest=k == 0)
        width = len(self.top_columns)
        n = len(self.tops)
        entries = builder.count("tops")
        for i, top in enumerate(self.tops):
            column, sign = self.column_of[top.atom]
            builder.add("tops", [i, self.top_columns.index(column), builder.scalar(sign)])
        prior = builder.vector([t.precision for t in self.tops] + [t.mean for t in self.tops] or [0.0])
        bounds = -1
        if any(top.bounds for top in self.tops):
            limits = [top.bounds or (-np.inf, np.inf) for top in self.tops]
            bounds = builder.vector([low for low, _ in limits] + [high for _, high in limits])
        groups = builder.count("groups")
        for group in self.groups:
            self._write_group(group)
        self.values = builder.zeros(max(n, 1))
        self.number = builder.add(
            "blocks",
            [
                first,
                first + len(self.tiers),
                width,
                n,
                entries,
                builder.count("tops"),
                builder.zeros(width * (width + 1) // 2),
                builder.zeros(width),
                self.values,
                prior,
                bounds,
                groups,
                builder.count("groups"),
            ],
        )
        assert self.number == number

    def _write_tier(self, k: int, tier: Tier, lowest: bool) -> None:
        builder = self.builder
        slots = len(tier.unknowns)
        width = len(tier.columns)
        units = tier.units.units
        maps = builder.count("maps")
        for slot, unknown in enumerate(tier.unknowns):
            if unknown.group is None:
                self._write_map(tier, slot, unknown)
        for group in self.groups:
            if group.level == tier.units.level and tier.units.members is None:
                self._write_group_maps(tier, group)
        mixes = builder.count("mixes")
        for a, b, offset, precision in tier.crosses:
            i, j = tier.columns.index(a), tier.columns.index(b)
            builder.add("mixes", [max(i, j), min(i, j), offset, precision])
        priors = [self._slot_prior(unknown) for unknown in tier.unknowns]
        above = self.tiers[k + 1].columns if k + 1 < len(self.tiers) else self.top_columns
        column_map = [above.index(c) if c in above else 0 for c in tier.columns]
        tier.record = [
            tier.units.number,
            slots,
            width,
            tier.dropped,
            maps,
            builder.count("maps"),
            mixes,
            builder.count("mixes"),
            builder.zeros((slots * width + slots * (slots + 1) // 2) * units) if slots else 0,
            -1 if lowest else builder.zeros(width * (width + 1) // 2 * units),
            builder.indices(priors or [0]),
            tier.row + 1 if k + 1 < len(self.tiers) else -1,
            builder.zeros(width * units),
            builder.zeros(max(slots, 1) * units),
            builder.indices(column_map),
        ]
        builder.add("tiers", tier.record)

    def _slot_prior(self, unknown: Unknown) -> int:
        if unknown.group is not None:
            return -2
        if unknown.mask is not None and not unknown.cells and not unknown.mask.all():
            return self.builder.vector((~unknown.mask).astype(np.float64))
        return -1

    def _write_map(self, tier: Tier, slot: int, unknown: Unknown) -> None:
        column, sign = self.column_of[unknown.atom]
        local = tier.columns.index(column)
        masked = unknown.mask is not None and not unknown.cells and not unknown.mask.all()
        if masked:
            assert unknown.mask is not None
            offset = self.builder.vector(sign * unknown.mask.astype(np.float64))
            self.builder.add("maps", [slot, local, p.MAP_VECTOR, offset])
        else:
            self.builder.add("maps", [slot, local, p.MAP_ONE if sign > 0 else p.MAP_MINUS, 0])

    def _write_group_maps(self, tier: Tier, group: EffectGroup) -> None:
        """Effect i of a group is the sum over j <= i of L_ij u_j."""
        first = next(s for s, u in enumerate(tier.unknowns) if u.atom == group.atoms[0])
        for i, atom in enumerate(group.atoms):
            column, sign = self.column_of[atom]
            assert sign == 1.0
            for j in range(i + 1):
                offset = group.factor + i * (i + 1) // 2 + j
                self.builder.add("maps", [first + j, tier.columns.index(column), p.MAP_SCALAR, offset])

    def _write_group(self, group: EffectGroup) -> None:
        tier = tier_of(self.tiers, group.level)
        slot = next(s for s, u in enumerate(tier.unknowns) if u.atom == group.atoms[0])
        # the interweaving regression looks columns up in the block's first tier
        lowest = self.tiers[0].columns
        columns = [
            lowest.index(self.column_of[a][0]) if self.column_of[a][0] in lowest else 0 for a in group.atoms
        ]
        prior = self.builder.vector([group.df, group.scale])
        self.group_rows.append(
            self.builder.add(
                "groups",
                [tier.row, slot, len(group.atoms), group.factor, self.builder.indices(columns), prior],
            )
        )

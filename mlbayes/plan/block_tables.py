"""A block's rows in the tables of the plan: local columns of its tiers, maps, priors and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.unknowns import EffectGroup, Unknown

if TYPE_CHECKING:
    from mlbayes.plan.affine import AffineBlock


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

    def add_cross(self, a: int, b: int, offset: int, precision: int, between: bool) -> None:
        """Add a cross product; one `between` two equations stands for both orders, so the diagonal has it twice."""
        self.crosses.append((a, b, offset, precision))
        if between and a == b:
            self.crosses.append((a, b, offset, precision))


def tier_of(tiers: Sequence[Tier], level: int) -> Tier:
    """The tier of the clusters that an equation or unknown of a level belongs to."""
    for tier in tiers:
        if tier.units.members is None and tier.units.level in (level, TOP):
            return tier
    raise AssertionError(f"no tier at level {level}")


class BlockTables:
    """Writes the rows of one block.

    Afterwards `number` is the block's row, `group_rows` those of its groups, `values` the place of the top
    unknowns' values.
    """

    def __init__(self, block: AffineBlock) -> None:
        self.block = block
        self.builder = block.builder
        self.tiers = block.tiers
        self.group_rows: list[int] = []
        self._scales: dict[Polynomial, int] = {}
        self._order_columns()
        self._write_block()

    def _columns_of(self, atoms: Sequence[Atom]) -> set[int]:
        return {use.column for atom in atoms for use in self.block.uses[atom]}

    def _order_columns(self) -> None:
        """Columns of each tier: first those that end there, then those that go up, the constant last."""
        below: set[int] = set()
        constant = self.block.constant
        top = self._columns_of([unknown.atom for unknown in self.block.tops])
        for k, tier in enumerate(self.tiers):
            above = set(top) | {constant}
            for other in self.tiers[k + 1 :]:
                above |= self._columns_of([unknown.atom for unknown in other.unknowns])
            local = below | {c for cross in tier.crosses for c in cross[:2]} | {constant}
            local |= self._columns_of([unknown.atom for unknown in tier.unknowns])
            ends = sorted(local - above)
            passed = sorted(local & above)
            tier.columns = ends + passed
            tier.dropped = len(ends)
            below = set(passed)
        self.top_columns = sorted(top | below | {constant})

    def _write_block(self) -> None:
        """Add the rows of the tiers, the top's map, the groups and the block."""
        builder, tops = self.builder, self.block.tops
        first = builder.count("tiers")
        for k, tier in enumerate(self.tiers):
            tier.row = first + k
        for k, tier in enumerate(self.tiers):
            self._write_tier(k, tier, lowest=k == 0)
        width, n = len(self.top_columns), len(tops)
        entries = builder.count("tops")
        for i, top in enumerate(tops):
            for use in self.block.uses[top.atom]:
                lowest = self.tiers[0].columns
                place = lowest.index(use.column) if use.column in lowest else -1
                builder.add("tops", [i, self.top_columns.index(use.column), self._scale(use.scale), place])
        prior = builder.vector([t.precision for t in tops] + [t.mean for t in tops] or [0.0])
        bounds = -1
        if any(top.bounds for top in tops):
            limits = [top.bounds or (-np.inf, np.inf) for top in tops]
            bounds = builder.vector([low for low, _ in limits] + [high for _, high in limits])
        groups = builder.count("groups")
        for group in self.block.groups:
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

    def _scale(self, scale: Polynomial) -> int:
        """Offset of a scale: a constant, a coefficient as it is, or a product computed by the program."""
        number = scale.constant()
        if number is not None:
            return self.builder.scalar(number)
        if scale not in self._scales:
            monomial, factor = next(iter(scale.terms.items()))
            symbols = self.block.symbols
            if factor == 1.0 and len(monomial) == 1:
                self._scales[scale] = symbols.offset(monomial[0])
            else:
                single = self.builder.unit_set(TOP, 1, None, None)
                self._scales[scale] = Evaluator(symbols, single).vector(scale)
        return self._scales[scale]

    def _write_tier(self, k: int, tier: Tier, lowest: bool) -> None:
        builder = self.builder
        slots, width, units = len(tier.unknowns), len(tier.columns), tier.units.units
        maps = builder.count("maps")
        for slot, unknown in enumerate(tier.unknowns):
            if not unknown.group:
                self._write_maps(tier, slot, unknown)
        for group in self.block.groups:
            if tier_of(self.tiers, group.level) is tier:
                self._write_group_maps(tier, group)
        mixes = builder.count("mixes")
        for a, b, offset, precision in tier.crosses:
            i, j = tier.columns.index(a), tier.columns.index(b)
            builder.add("mixes", [max(i, j), min(i, j), offset, precision])
        priors = [self._slot_prior(tier, unknown) for unknown in tier.unknowns]
        above = self.tiers[k + 1].columns if k + 1 < len(self.tiers) else self.top_columns
        column_map = [above.index(c) if c in above else -1 for c in tier.columns]
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

    def _mask(self, tier: Tier, unknown: Unknown) -> np.ndarray | None:
        """1 for the units of the tier for which a value is unknown, None when it is for all."""
        if unknown.mask is None:
            return None
        mask = unknown.mask if tier.units.members is None else unknown.mask[tier.units.members]
        return None if mask.all() else mask.astype(np.float64)

    def _slot_prior(self, tier: Tier, unknown: Unknown) -> int:
        """Where a value is known its slot is idle: prior precision 1."""
        if unknown.group:
            return -2
        mask = self._mask(tier, unknown)
        return -1 if mask is None else self.builder.vector(1.0 - mask)

    def _write_maps(self, tier: Tier, slot: int, unknown: Unknown) -> None:
        mask = self._mask(tier, unknown)
        offset = 0 if mask is None else self.builder.vector(mask)
        kind = p.MAP_ONE if mask is None else p.MAP_VECTOR
        for use in self.block.uses[unknown.atom]:
            self.builder.add(
                "maps", [slot, tier.columns.index(use.column), kind, offset, self._scale(use.scale)]
            )

    def _write_group_maps(self, tier: Tier, group: EffectGroup) -> None:
        """Effect i of a group is the sum over j <= i of L_ij u_j."""
        first = next(s for s, u in enumerate(tier.unknowns) if u.atom == group.atoms[0])
        for i, atom in enumerate(group.atoms):
            for use in self.block.uses[atom]:
                column, scale = tier.columns.index(use.column), self._scale(use.scale)
                for j in range(i + 1):
                    offset = group.factor + i * (i + 1) // 2 + j
                    self.builder.add("maps", [first + j, column, p.MAP_SCALAR, offset, scale])

    def _write_group(self, group: EffectGroup) -> None:
        tier = tier_of(self.tiers, group.level)
        slot = next(s for s, u in enumerate(tier.unknowns) if u.atom == group.atoms[0])
        # the interweaving regression looks columns up in the block's first tier
        lowest = self.tiers[0].columns
        first = [self.block.uses[atom][0].column for atom in group.atoms]
        columns = [lowest.index(c) if c in lowest else 0 for c in first]
        a, b = group.separate or (0.0, 0.0)
        prior = self.builder.vector([group.df, group.scale, float(group.separate is not None), a, b])
        self.group_rows.append(
            self.builder.add(
                "groups",
                [
                    tier.row,
                    slot,
                    len(group.atoms),
                    group.factor,
                    self.builder.indices(columns),
                    prior,
                    group.weights,
                ],
            )
        )

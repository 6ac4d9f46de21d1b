"""A block of unknowns that enter their equations affinely, compiled to tiers, columns and cross products.

The engine's elimination draws such a block jointly (mlbayes.engine.elimination).  Unknowns with the same
factor in every equation (a coefficient and its random effects, say) share a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.cross import CrossProducts
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.symbols import Symbols

Mask = NDArray[np.bool_]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Unknown:
    """Something that a block draws.

    `mask`: which units are unknown (None: all); for `cells` the missing values of a row-level variable, which
    get a tier of their own.  `group`: number of the covariance group of a whitened effect.
    """

    atom: Atom
    mask: Mask | None = None
    cells: bool = False
    group: int | None = None


@dataclass(frozen=True)
class TopUnknown:
    """A coefficient of the top with its normal prior (precision 0: flat) and bounds."""

    atom: Atom
    precision: float = 0.0
    mean: float = 0.0
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Residual:
    """residual ~ N(0, 1 / precision) for the active units of a level.

    `precision`: offset in the store.  `squares`: is the constant's own cross product needed (its variance is
    drawn in this block).
    """

    name: str
    polynomial: Polynomial
    level: int
    active: Mask
    precision: int
    squares: bool


@dataclass(frozen=True)
class EffectGroup:
    """Whitened effects with a covariance matrix of their own: symbols, prior (df, scale), offset of the factor."""

    atoms: tuple[Atom, ...]
    level: int
    df: float
    scale: float
    factor: int


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


class AffineBlock:
    """Compiles one block.  The order of calls: `prepare` (steps before the draw), then `publish` after it."""

    def __init__(
        self,
        symbols: Symbols,
        unknowns: Sequence[Unknown],
        tops: Sequence[TopUnknown],
        residuals: Sequence[Residual],
        groups: Sequence[EffectGroup] = (),
    ) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.unknowns = list(unknowns)
        self.tops = list(tops)
        self.residuals = list(residuals)
        self.groups = list(groups)
        self.column_of: dict[Atom, tuple[int, float]] = {}
        self.columns: list[dict[int, Polynomial]] = []
        self.top_atoms = {top.atom for top in tops}
        self.tiers: list[Tier] = []
        self.number = -1
        self.group_rows: list[int] = []
        self._find_columns()

    # ------------------------------------------------------------------ columns
    def _all_atoms(self) -> list[Atom]:
        tops = [top.atom for top in self.tops]
        return tops + [unknown.atom for unknown in self.unknowns]

    def _find_columns(self) -> None:
        """Give every unknown a column; the last one is the constant."""
        atoms = self._all_atoms()
        self.parts = [residual.polynomial.by_unknown(atoms) for residual in self.residuals]
        for atom in atoms:
            if atom in self.column_of:
                continue
            column = {e: -part[atom] for e, part in enumerate(self.parts) if atom in part}
            opposite = {e: -polynomial for e, polynomial in column.items()}
            if column in self.columns:
                self.column_of[atom] = self.columns.index(column), 1.0
            elif opposite in self.columns:
                self.column_of[atom] = self.columns.index(opposite), -1.0
            else:
                self.column_of[atom] = len(self.columns), 1.0
                self.columns.append(column)
        self.constant = len(self.columns)
        self.columns.append({e: self._constant_part(e, False) for e in range(len(self.residuals))})

    def _constant_part(self, e: int, at_cells: bool) -> Polynomial:
        """What is free of unknowns; away from the cells their variable is known, masked ones have an observed part."""
        part = self.parts[e].get(None, Polynomial())
        for unknown in self.unknowns:
            factor = self.parts[e].get(unknown.atom)
            if factor is None:
                continue
            if unknown.cells and not at_cells:
                part = part + factor * Polynomial.of(unknown.atom)
            elif unknown.mask is not None and not unknown.cells and not unknown.mask.all():
                part = part + factor * Polynomial.of(self.symbols.observed(unknown.atom.name))
        return part

    # ------------------------------------------------------------------ tiers
    def prepare(self) -> None:
        """Write the steps that bring the block's cross products up to date, and its tables."""
        first = self.builder.count("program")
        self._make_tiers()
        late: list[CrossProducts] = []
        for e, residual in enumerate(self.residuals):
            self._mix_cells(e, residual)
            late.append(self._mix_units(e, residual))
        self.builder.step_program(first)
        for products in late:
            if products.rows is not None:
                products.rows.step()
        fills = self.builder.count("fills")
        for products in late:
            for fill in products.pending:
                self.builder.add("fills", fill)
        if self.builder.count("fills") > fills:
            self.builder.step(p.STEP_FILLS, fills, self.builder.count("fills"))
        self._order_columns()
        self._write_block()

    def _make_tiers(self) -> None:
        """Tiers from the lowest level upward: cells, then clusters (a single one in a model without clusters)."""
        levels = {max(residual.level, 2) for residual in self.residuals}
        levels |= {unknown.atom.level for unknown in self.unknowns if not unknown.cells}
        hierarchy = self.symbols.model.hierarchy
        chain: list[UnitSet] = []
        for level in sorted(levels, reverse=True):
            above = chain[0] if chain else None
            if level > hierarchy.levels:
                units, own = 1, TOP
                parents = None
            else:
                units, own = hierarchy.units[level - 1], level
                parents = None if above is None else hierarchy.ancestors(level, above.level)
            chain.insert(0, self.builder.unit_set(own, units, above, parents))
        self.tiers = [Tier(units) for units in chain]
        for unknown in self.unknowns:
            if not unknown.cells:
                self._tier(unknown.atom.level).unknowns.append(unknown)
        cells = [unknown for unknown in self.unknowns if unknown.cells]
        if cells:
            assert cells[0].mask is not None
            members = np.flatnonzero(cells[0].mask)
            base = self.tiers[0].units
            parents = np.zeros(members.size, np.int64)
            if base.level != TOP:
                parents = hierarchy.ancestors(1, base.level)[members]
            units_set = self.builder.unit_set(1, members.size, base, parents, members)
            self.tiers.insert(0, Tier(units_set, cells))

    def _tier(self, level: int) -> Tier:
        """The tier of the clusters that an equation or unknown of a level belongs to."""
        for tier in self.tiers:
            if tier.units.members is None and (tier.units.level == level or tier.units.level == TOP):
                return tier
        raise AssertionError(f"no tier at level {level}")

    def _cell_rows(self) -> Mask | None:
        tier = self.tiers[0]
        if tier.units.members is None:
            return None
        rows = np.zeros(self.symbols.units(1), dtype=np.bool_)
        rows[tier.units.members] = True
        return rows

    def _mix_units(self, e: int, residual: Residual) -> CrossProducts:
        """Cross products of an equation summed within the clusters of its tier."""
        tier = self._tier(max(residual.level, 2))
        active = residual.active
        cells = self._cell_rows()
        if residual.level == 1 and cells is not None:
            active = active & ~cells
        own_cells = {self.column_of[u.atom][0] for u in self.unknowns if u.cells}
        used = [c for c, column in enumerate(self.columns) if e in column and c not in own_cells]
        products = CrossProducts(
            self.symbols, tier.units, residual.level, active, [self.columns[c][e] for c in used]
        )
        for i, a in enumerate(used):
            for j, b in enumerate(used[: i + 1]):
                if a == b == self.constant and not residual.squares:
                    continue
                cross = products.cross(i, j)
                if cross is not None:
                    tier.crosses.append((a, b, cross.offset, residual.precision))
        return products

    def _mix_cells(self, e: int, residual: Residual) -> None:
        """Cross products of an equation at each missing cell."""
        cells = self._cell_rows()
        if residual.level != 1 or cells is None:
            return
        tier = self.tiers[0]
        members = tier.units.members
        active = residual.active[members].astype(np.float64)
        if not active.any():
            return
        factor = None if active.all() else active
        evaluator = Evaluator(self.symbols, tier.units)
        used = [c for c, column in enumerate(self.columns) if e in column]
        values: list[Value] = []
        for c in used:
            polynomial = self._constant_part(e, True) if c == self.constant else self.columns[c][e]
            values.append(evaluator.evaluate(polynomial, factor))
        for i, a in enumerate(used):
            for j, b in enumerate(used[: i + 1]):
                if a == b == self.constant and not residual.squares:
                    continue
                offset = self._product(values[i], values[j], tier.units.units)
                if offset >= 0:
                    tier.crosses.append((a, b, offset, residual.precision))

    def _product(self, a: Value, b: Value, n: int) -> int:
        """Offset of the product of two values at the cells; -1 when it is zero."""
        if a.constant == 0.0 or b.constant == 0.0:
            return -1
        if not a.dynamic and not b.dynamic:
            left = a.constant if a.numbers is None else a.numbers
            right = b.constant if b.numbers is None else b.numbers
            return self.builder.vector(np.broadcast_to(np.asarray(left * right), (n,)))  # type: ignore[operator]
        if a.constant is not None or b.constant is not None:
            scalar = a.constant if a.constant is not None else b.constant
            source = b.offset if a.constant is not None else a.offset
            if scalar == 1.0:
                return source
            target = self.builder.zeros(n)
            self.builder.instruct(p.OP_SCALE, target, n, source, self.builder.scalar(float(scalar or 0.0)))
            return target
        target = self.builder.zeros(n)
        self.builder.instruct(p.OP_MULTIPLY, target, n, a.offset, b.offset)
        return target

    # ------------------------------------------------------------------ local columns
    def _order_columns(self) -> None:
        """Columns of each tier: first those that end there, then those that go up, the constant last."""
        below: set[int] = set()
        top = {self.column_of[atom][0] for atom in self.top_atoms}
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
        tier = self._tier(group.level)
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

    # ------------------------------------------------------------------ after the draw
    def effect_offset(self, atom: Atom) -> tuple[Tier, int]:
        """Tier and offset of the drawn values of an unknown."""
        for tier in self.tiers:
            for slot, unknown in enumerate(tier.unknowns):
                if unknown.atom == atom:
                    return tier, tier.record[p.TIER_EFFECTS] + slot * tier.units.units
        raise KeyError(atom)

    def publish_values(self) -> None:
        """Write instructions that put drawn cells, means and masked values where other steps look for them."""
        builder = self.builder
        for unknown in self.unknowns:
            if unknown.group is not None:
                continue
            tier, source = self.effect_offset(unknown.atom)
            target = self.symbols.offset(unknown.atom)
            n = tier.units.units
            if unknown.cells:
                assert tier.units.members is not None
                builder.instruct(p.OP_SCATTER, source, n, target, builder.indices(tier.units.members))
            elif unknown.mask is None or unknown.mask.all():
                builder.instruct(p.OP_COPY, target, n, source)
            else:
                observed = self.symbols.offset(self.symbols.observed(unknown.atom.name))
                mask = builder.vector(unknown.mask.astype(np.float64))
                builder.instruct(p.OP_COPY, target, n, observed)
                builder.instruct(p.OP_ADD_PRODUCT, target, n, source, mask)
        for i, top in enumerate(self.tops):
            builder.instruct(p.OP_COPY, self.symbols.offset(top.atom), 1, self.values + i)
        for group in self.groups:
            self._publish_effects(group)

    def _publish_effects(self, group: EffectGroup) -> None:
        """Random effects as they are, L u, from the standardised ones."""
        for i, atom in enumerate(group.atoms):
            target = self.symbols.offset(atom)
            for j, other in enumerate(group.atoms[: i + 1]):
                tier, source = self.effect_offset(other)
                scale = group.factor + i * (i + 1) // 2 + j
                code = p.OP_ADD_SCALED if j else p.OP_SCALE
                self.builder.instruct(code, target, tier.units.units, source, scale)

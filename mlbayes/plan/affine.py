"""A block of unknowns that enter their equations affinely, compiled to tiers, columns and cross products.

The engine's elimination draws such a block jointly (mlbayes.engine.elimination).  Unknowns with the same
factor in every equation (a coefficient and its random effects, say) share a column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.block_tables import BlockTables, Tier, tier_of
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.cross import CrossProducts
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import EffectGroup, Mask, Residual, TopUnknown, Unknown


class AffineBlock:
    """Compiles one block.  The order of calls: `prepare` (steps before the draw), then `publish_values` after it."""

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
        self.tiers: list[Tier] = []
        self.number = -1
        self.group_rows: list[int] = []
        self.values = -1
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
        tables = BlockTables(self.builder, self.column_of, self.constant, self.tiers, self.tops, self.groups)
        self.number, self.group_rows, self.values = tables.number, tables.group_rows, tables.values

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
                parents = None
                if above is not None and above.level != TOP:
                    parents = hierarchy.ancestors(level, above.level)
            chain.insert(0, self.builder.unit_set(own, units, above, parents))
        self.tiers = [Tier(units) for units in chain]
        for unknown in self.unknowns:
            if not unknown.cells:
                tier_of(self.tiers, unknown.atom.level).unknowns.append(unknown)
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

    def _cell_rows(self) -> Mask | None:
        tier = self.tiers[0]
        if tier.units.members is None:
            return None
        rows = np.zeros(self.symbols.units(1), dtype=np.bool_)
        rows[tier.units.members] = True
        return rows

    def _mix_units(self, e: int, residual: Residual) -> CrossProducts:
        """Cross products of an equation summed within the clusters of its tier."""
        tier = tier_of(self.tiers, max(residual.level, 2))
        active = residual.active
        cells = self._cell_rows()
        if residual.level == 1 and cells is not None:
            active = active & ~cells
        # away from the cells their variable is known: a column counts there only if something else has it too
        cell_atoms = {unknown.atom for unknown in self.unknowns if unknown.cells}
        shared = {self.column_of[atom][0] for atom in self._all_atoms() if atom not in cell_atoms}
        own_cells = {self.column_of[atom][0] for atom in cell_atoms} - shared
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

"""A block of unknowns that enter their equations affinely, compiled to tiers, columns and cross products.

The engine's elimination draws such a block jointly (mlbayes.engine.elimination).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.block_tables import BlockTables, Tier, tier_of
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.columns import Columns
from mlbayes.plan.cross import CrossProducts
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Coupling, EffectGroup, Mask, Residual, TopUnknown, Unknown


class AffineBlock:
    """Compiles one block.  The order of calls: `prepare` (steps before the draw), then `publish_values` after it."""

    def __init__(
        self,
        symbols: Symbols,
        unknowns: Sequence[Unknown],
        tops: Sequence[TopUnknown],
        residuals: Sequence[Residual],
        groups: Sequence[EffectGroup] = (),
        couplings: Sequence[Coupling] = (),
    ) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.unknowns = list(unknowns)
        self.tops = list(tops)
        self.residuals = list(residuals)
        self.groups = list(groups)
        self.couplings = list(couplings)
        self.tiers: list[Tier] = []
        self.number = -1
        self.group_rows: list[int] = []
        self.values = -1
        atoms = [top.atom for top in self.tops] + [unknown.atom for unknown in self.unknowns]
        self.parts = [residual.polynomial.by_unknown(atoms) for residual in self.residuals]
        found = Columns(atoms, self.parts)
        self.uses = found.uses
        self.constant = len(found.columns)
        self.columns = [*found.columns, dict(enumerate(map(self._constant_part, range(len(self.residuals)))))]

    def _constant_part(self, e: int, at_cells: bool = False) -> Polynomial:
        """What is free of unknowns; where their variable is known, unknowns have an observed value."""
        part = self.parts[e].get(None, Polynomial())
        for unknown in self.unknowns:
            factor = self.parts[e].get(unknown.atom)
            if factor is None:
                continue
            if unknown.cells and not at_cells and unknown.mask is not None:
                part = part + factor * Polynomial.of(unknown.atom)
            elif unknown.masked and (not unknown.cells or self._partial(unknown)):
                part = part + factor * Polynomial.of(self.symbols.observed(unknown.atom.name))
        return part

    def _cells(self) -> list[Unknown]:
        return [unknown for unknown in self.unknowns if unknown.cells]

    def _cell_rows(self) -> Mask:
        """Rows on which any of the cells is unknown."""
        rows = np.zeros(self.symbols.units(1), dtype=np.bool_)
        for unknown in self._cells():
            rows |= True if unknown.mask is None else unknown.mask
        return rows

    def _partial(self, unknown: Unknown) -> bool:
        """Is a variable of the cells known on some of their rows."""
        return unknown.mask is not None and bool((self._cell_rows() & ~unknown.mask).any())

    # ------------------------------------------------------------------ tiers
    def prepare(self) -> None:
        """Write the steps that bring the block's cross products up to date, and its tables."""
        with self.builder.program():
            self._make_tiers()
            late: list[CrossProducts] = []
            pairs = [(e, e, residual.precision) for e, residual in enumerate(self.residuals)]
            pairs += [(c.first, c.second, c.precision) for c in self.couplings]
            for e, f, precision in pairs:
                self._mix_cells(e, f, precision)
                products = self._mix_units(e, f, precision)
                if products is not None:
                    late.append(products)
            tables = BlockTables(self)
            self._sync_bounded(tables.values)
        for products in late:
            if products.rows is not None:
                products.rows.step()
        fills = self.builder.count("fills")
        for products in late:
            for fill in products.pending:
                self.builder.add("fills", fill)
        if self.builder.count("fills") > fills:
            self.builder.step(p.STEP_FILLS, fills, self.builder.count("fills"))
        self.number, self.group_rows, self.values = tables.number, tables.group_rows, tables.values

    def _sync_bounded(self, values: int) -> None:
        """Draws within bounds start from the current values, which another step may have changed."""
        if any(top.bounds for top in self.tops):
            for i, top in enumerate(self.tops):
                self.builder.instruct(p.OP_COPY, values + i, 1, self.symbols.offset(top.atom))

    def _make_tiers(self) -> None:
        """Tiers from the lowest level upward: cells, then clusters (a single one in a model without clusters)."""
        levels = {max(residual.level, 2) for residual in self.residuals}
        levels |= {unknown.atom.level for unknown in self.unknowns if not unknown.cells}
        hierarchy = self.symbols.model.hierarchy
        chain: list[UnitSet] = []
        for level in sorted(levels, reverse=True):
            above = chain[0] if chain else None
            if level > hierarchy.levels:
                if not chain:
                    chain.insert(0, self.builder.unit_set(TOP, 1, None, None))
                continue
            parents = None
            if above is not None and above.level != TOP:
                parents = hierarchy.ancestors(level, above.level)
            chain.insert(0, self.builder.unit_set(level, hierarchy.units[level - 1], above, parents))
        self.tiers = [Tier(units) for units in chain]
        for unknown in self.unknowns:
            if not unknown.cells:
                tier_of(self.tiers, unknown.atom.level).unknowns.append(unknown)
        cells = self._cells()
        if cells:
            members = np.flatnonzero(self._cell_rows())
            base = self.tiers[0].units
            parents = np.zeros(members.size, np.int64)
            if base.level != TOP:
                parents = hierarchy.ancestors(1, base.level)[members]
            units_set = self.builder.unit_set(1, members.size, base, parents, members)
            self.tiers.insert(0, Tier(units_set, cells))

    # ------------------------------------------------------------------ cross products
    def _pairs(self, e: int, f: int, left: list[int], right: list[int]) -> list[tuple[int, int]]:
        """Positions of columns whose product counts: each pair once within an equation, all between two."""
        squares = self.residuals[e].squares
        pairs = [(i, j) for i in range(len(left)) for j in range(len(right)) if e != f or j <= i]
        return [(i, j) for i, j in pairs if squares or not left[i] == right[j] == self.constant]

    def _mix_units(self, e: int, f: int, precision: int) -> CrossProducts | None:
        """Cross products of two equations (or one with itself) summed within the clusters of their tier."""
        residual = self.residuals[e]
        tier = tier_of(self.tiers, max(residual.level, 2))
        active = residual.active & self.residuals[f].active
        if residual.level == 1:
            active = active & ~self._cell_rows()
        if not active.any():
            return None
        only_cells = self._only_cells()
        left = [c for c, column in enumerate(self.columns) if e in column and c not in only_cells]
        right = [c for c, column in enumerate(self.columns) if f in column and c not in only_cells]
        polynomials = [self.columns[c][e] for c in left] + [self.columns[c][f] for c in right]
        products = CrossProducts(self.symbols, tier.units, residual.level, active, polynomials)
        for i, j in self._pairs(e, f, left, right):
            cross = products.cross(i, len(left) + j)
            if cross is not None:
                tier.add_cross(left[i], right[j], cross.offset, precision, e != f)
        return products

    def _only_cells(self) -> set[int]:
        """Columns that only cells have; away from the cells their variable is known."""
        cells = {use.column for unknown in self._cells() for use in self.uses[unknown.atom]}
        atoms = {unknown.atom for unknown in self._cells()}
        others = {use.column for atom, uses in self.uses.items() if atom not in atoms for use in uses}
        return cells - others

    def _mix_cells(self, e: int, f: int, precision: int) -> None:
        """Cross products of two equations at the rows of the cells."""
        tier = self.tiers[0]
        members = tier.units.members
        if self.residuals[e].level != 1 or members is None:
            return
        active = (self.residuals[e].active & self.residuals[f].active)[members].astype(np.float64)
        if not active.any():
            return
        evaluator = Evaluator(self.symbols, tier.units)
        left, values = self._cell_values(evaluator, e, active)
        right, others = (left, values) if e == f else self._cell_values(evaluator, f, active)
        for i, j in self._pairs(e, f, left, right):
            offset = self._product(values[i], others[j], tier.units.units)
            if offset >= 0:
                tier.add_cross(left[i], right[j], offset, precision, e != f)

    def _cell_values(self, evaluator: Evaluator, e: int, active: np.ndarray) -> tuple[list[int], list[Value]]:
        """Columns of an equation with their values at the rows of the cells."""
        factor = None if active.all() else active
        used = [c for c, column in enumerate(self.columns) if e in column]
        values = []
        for c in used:
            polynomial = self._constant_part(e, True) if c == self.constant else self.columns[c][e]
            values.append(evaluator.evaluate(polynomial, factor))
        return used, values

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
        for unknown in self.unknowns:
            if not unknown.group:
                self._publish(unknown)
        for i, top in enumerate(self.tops):
            self.builder.instruct(p.OP_COPY, self.symbols.offset(top.atom), 1, self.values + i)
        for group in self.groups:
            self._publish_effects(group)

    def _publish(self, unknown: Unknown) -> None:
        builder = self.builder
        tier, source = self.effect_offset(unknown.atom)
        target = self.symbols.offset(unknown.atom)
        members, n = tier.units.members, tier.units.units
        partial = self._partial(unknown) if unknown.cells else unknown.masked
        if partial:
            assert unknown.mask is not None
            known = self.symbols.static[self.symbols.observed(unknown.atom.name)]
            mask = unknown.mask.astype(np.float64)
            if members is not None:
                known, mask = known[members], mask[members]
            value = builder.zeros(n) if members is not None else target
            builder.instruct(p.OP_COPY, value, n, builder.vector(known))
            builder.instruct(p.OP_ADD_PRODUCT, value, n, source, builder.vector(mask))
            source = value
        if members is not None:
            builder.instruct(p.OP_SCATTER, source, n, target, builder.indices(members))
        elif not partial:
            builder.instruct(p.OP_COPY, target, n, source)

    def _publish_effects(self, group: EffectGroup) -> None:
        """Random effects as they are, L u, from the standardised ones."""
        for i, atom in enumerate(group.atoms):
            target = self.symbols.offset(atom)
            for j, other in enumerate(group.atoms[: i + 1]):
                tier, source = self.effect_offset(other)
                scale = group.factor + i * (i + 1) // 2 + j
                code = p.OP_ADD_SCALED if j else p.OP_SCALE
                self.builder.instruct(code, target, tier.units.units, source, scale)

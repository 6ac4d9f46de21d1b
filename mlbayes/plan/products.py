"""Cross products of row vectors within clusters: a part that never changes plus the rows that do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import Monomial, Polynomial
from mlbayes.plan.symbols import Symbols

Mask = NDArray[np.bool_]


class RowProducts:
    """Sums over the rows of each cluster of products of two row monomials.

    `rows`: which rows count, shape (rows,).  Rows on which a monomial changes (imputed values, latent
    responses) are recomputed in every sweep; the others are summed once.
    """

    def __init__(self, symbols: Symbols, base: UnitSet, rows: Mask, monomials: set[Monomial]) -> None:
        self.symbols = symbols
        self.base = base
        self.rows = rows
        self.changing = np.zeros_like(rows)
        for monomial in monomials:
            self.changing |= rows & self._changes(monomial)
        self._all = Evaluator(symbols, UnitSet(-1, 1, rows.size, None, -1, self._parents()))
        self._columns: dict[Monomial, int] = {}
        self._sums: dict[tuple[Monomial, Monomial], Value] = {}
        self._subset: tuple[UnitSet, Evaluator] | None = None
        self.pending: list[list[int]] = []

    def _parents(self) -> NDArray[np.int64]:
        hierarchy = self.symbols.model.hierarchy
        if hierarchy.levels > 1:
            return hierarchy.parents[0]
        return np.zeros(self.rows.size, dtype=np.int64)

    def _changes(self, monomial: Monomial) -> Mask:
        """On which rows a monomial changes while sampling."""
        changes = np.zeros_like(self.rows)
        for atom in monomial:
            if self.symbols.is_dynamic(atom):
                changes |= self.symbols.model.variables[atom.name].missing if atom.kind == "value" else True
        return changes

    def _numbers(self, monomial: Monomial) -> NDArray[np.float64]:
        """Values on all rows; on changing rows they are not used."""
        product = np.ones(self.rows.size)
        for atom in monomial:
            if self.symbols.is_dynamic(atom) and atom.kind == "value":
                values = self.symbols.model.variables[atom.name].values
                product = product * np.where(np.isnan(values), 0.0, values)
            elif not self.symbols.is_dynamic(atom):
                product = product * self._all.numbers(atom)
        return product

    def _column(self, monomial: Monomial) -> int:
        """Offset of a monomial's values on the changing rows."""
        if monomial not in self._columns:
            if self._subset is None:
                members = np.flatnonzero(self.changing)
                units = self.symbols.builder.unit_set(
                    1, members.size, self.base, self._parents()[members], members
                )
                self._subset = units, Evaluator(self.symbols, units)
            self._columns[monomial] = self._subset[1].vector(Polynomial({monomial: 1.0}))
        return self._columns[monomial]

    def sums(self, a: Monomial, b: Monomial) -> Value:
        """The sums of a * b for every cluster; instructions for changing rows go to the program, sums to `pending`."""
        key = (a, b) if a <= b else (b, a)
        if key not in self._sums:
            changes = self.rows & (self._changes(a) | self._changes(b))
            steady = self.rows & ~(self.changing if changes.any() else changes)
            product = self._numbers(a) * self._numbers(b) * steady
            numbers = np.bincount(self._parents(), product, self.base.units).astype(np.float64)
            offset = self.symbols.builder.vector(numbers)
            if changes.any():
                target = self.symbols.builder.zeros(self.base.units)
                columns = self._column(key[0]), self._column(key[1])
                assert self._subset is not None
                self.pending.append([target, self._subset[0].number, *columns, offset])
                self._sums[key] = Value(offset=target)
            else:
                self._sums[key] = Value(offset=offset, numbers=numbers)
        return self._sums[key]

    def step(self) -> None:
        """Append a step that sums the changing rows, if there are any."""
        builder = self.symbols.builder
        if self.pending:
            first = builder.count("products")
            for row in self.pending:
                builder.add("products", row)
            builder.step(p.STEP_PRODUCTS, first, builder.count("products"))
            self.pending = []

"""Cross products of row vectors within clusters: a part that never changes plus the rows that do.

Blocks that sum over the same rows share their sums: what no step has changed since another block computed it is
not computed again.  In an imputation of many variables that is nearly everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import Monomial, Polynomial
from mlbayes.plan.symbols import Symbols

Mask = NDArray[np.bool_]

TRACKED = ("value", "response", "working", "root")  # kinds of row vectors whose changes the builder knows


class ChangingRows:
    """Columns and sums over some rows as planned so far, for all blocks that sum over these rows.

    `members`: the rows.  Each column and each sum is kept with the builder's clock when it was made.
    """

    def __init__(
        self, symbols: Symbols, base: UnitSet, parents: NDArray[np.int64], members: NDArray[np.int64]
    ) -> None:
        self.symbols = symbols
        self.units = symbols.builder.unit_set(1, members.size, base, parents[members], members)
        self._columns: dict[Monomial, tuple[int, int]] = {}
        self._sums: dict[tuple[Monomial, Monomial], tuple[int, int]] = {}

    def _is_fresh(self, monomial: Monomial, made: int) -> bool:
        """Has nothing in a monomial changed since it was made."""
        symbols = self.symbols
        dynamic = [atom for atom in monomial if symbols.is_dynamic(atom)]
        return all(
            atom.kind in TRACKED and symbols.builder.written(symbols.offset(atom)) < made for atom in dynamic
        )

    def column(self, monomial: Monomial, evaluator: Evaluator) -> int:
        """Offset of a monomial's values; `evaluator`: of the block that asks."""
        known = self._columns.get(monomial)
        if known is None or not self._is_fresh(monomial, known[1]):
            offset = evaluator.vector(Polynomial({monomial: 1.0}))
            known = self._columns[monomial] = offset, self.symbols.builder.clock + 1
        return known[0]

    def known_sums(self, a: Monomial, b: Monomial) -> int:
        """Offset of the sums of a * b that another block has left, -1 if there are none or they are old."""
        known = self._sums.get((a, b))
        if known is None or not (self._is_fresh(a, known[1]) and self._is_fresh(b, known[1])):
            return -1
        return known[0]

    def keep_sums(self, a: Monomial, b: Monomial, offset: int) -> None:
        """Leave sums, computed before anything changes, to other blocks."""
        self._sums[a, b] = offset, self.symbols.builder.clock + 1


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
        self._sums: dict[tuple[Monomial, Monomial], Value] = {}
        self._subset: tuple[ChangingRows, Evaluator] | None = None
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
                changes |= self.symbols.moving_rows(atom)
        return changes

    def _numbers(self, monomial: Monomial) -> NDArray[np.float64]:
        """Values on all rows; on changing rows they are not used."""
        product = np.ones(self.rows.size)
        for atom in monomial:
            known = self.symbols.known_rows if self.symbols.is_dynamic(atom) else self._all.numbers
            product = product * known(atom)
        return product

    def _changing_rows(self) -> tuple[ChangingRows, Evaluator]:
        """The rows that change, with what blocks before this one have computed of them."""
        if self._subset is None:
            key = (self.base.level, self.rows.tobytes(), self.changing.tobytes())
            known = self.symbols.shared_rows.get(key)
            if known is None:
                members = np.flatnonzero(self.changing)
                known = ChangingRows(self.symbols, self.base, self._parents(), members)
                self.symbols.shared_rows[key] = known
            self._subset = known, Evaluator(self.symbols, known.units)
        return self._subset

    def sums(self, a: Monomial, b: Monomial) -> Value:
        """The sums of a * b for every cluster; instructions for changing rows go to the program, sums to `pending`."""
        key = (a, b) if a <= b else (b, a)
        if key not in self._sums:
            if (self.rows & (self._changes(a) | self._changes(b))).any():
                self._sums[key] = Value(offset=self._changing_sums(*key))
            else:
                numbers = self._steady_sums(*key, self.rows)
                self._sums[key] = Value(offset=self.symbols.builder.vector(numbers), numbers=numbers)
        return self._sums[key]

    def _steady_sums(self, a: Monomial, b: Monomial, rows: Mask) -> NDArray[np.float64]:
        """Sums over rows on which neither changes."""
        product = self._numbers(a) * self._numbers(b) * rows
        return np.bincount(self._parents(), product, self.base.units).astype(np.float64)

    def _changing_sums(self, a: Monomial, b: Monomial) -> int:
        """Offset of sums over all rows, brought up to date in each sweep unless another block has done so."""
        rows, evaluator = self._changing_rows()
        target = rows.known_sums(a, b)
        if target < 0:
            builder = self.symbols.builder
            columns = rows.column(a, evaluator), rows.column(b, evaluator)
            steady = builder.vector(self._steady_sums(a, b, self.rows & ~self.changing))
            target = builder.zeros(self.base.units)
            self.pending.append([target, rows.units.number, *columns, steady])
            rows.keep_sums(a, b, target)
        return target

    def step(self) -> None:
        """Append a step that sums the changing rows, if there are any."""
        builder = self.symbols.builder
        if self.pending:
            first = builder.count("products")
            for row in self.pending:
                builder.add("products", row)
            builder.step(p.STEP_PRODUCTS, first, builder.count("products"))
            self.pending = []

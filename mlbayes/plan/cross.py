"""Cross products of an equation's columns for each unit of a tier, as fills from simpler products.

A column is a polynomial.  Each of its monomials splits into a part that varies over rows and a part
that is the same within a cluster; so the cross product of two columns is a sum of products of rows (made by
`RowProducts`) times cluster vectors.  For an equation of clusters the row part is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator, Value
from mlbayes.plan.polynomial import Monomial, Polynomial
from mlbayes.plan.products import RowProducts
from mlbayes.plan.symbols import Symbols

Mask = NDArray[np.bool_]
Parts = dict[Monomial, Polynomial]


@dataclass(frozen=True)
class Cross:
    """A cross product of two columns over the units of a tier; `numbers` when it never changes."""

    offset: int
    numbers: NDArray[np.float64] | None


def split_rows(polynomial: Polynomial, level: int) -> Parts:
    """Row monomials (atoms of `level` and below the tier) with the cluster polynomial that multiplies each."""
    parts: dict[Monomial, dict[Monomial, float]] = {}
    for monomial, number in polynomial.terms.items():
        rows = tuple(atom for atom in monomial if atom.level <= level)
        rest = tuple(atom for atom in monomial if atom.level > level)
        part = parts.setdefault(rows, {})
        part[rest] = part.get(rest, 0.0) + number
    return {rows: Polynomial(part) for rows, part in parts.items()}


class CrossProducts:
    """Makes the cross products of one equation's columns over the units of a tier.

    `level`: of the equation; `tier`: the units that the sums belong to; `active`: which units of the
    equation count.  Fills are collected and written by `fills()` after the program that they need.
    """

    def __init__(
        self, symbols: Symbols, tier: UnitSet, level: int, active: Mask, columns: list[Polynomial]
    ) -> None:
        self.symbols = symbols
        self.tier = tier
        self.rows_level = 1 if level == 1 else 0
        self.evaluator = Evaluator(symbols, tier)
        self.parts = [split_rows(column, self.rows_level) for column in columns]
        self.active = active.astype(np.float64)
        self.pending: list[list[int]] = []
        self.rows: RowProducts | None = None
        if self.rows_level:
            monomials = {monomial for parts in self.parts for monomial in parts}
            self.rows = RowProducts(symbols, tier, active, monomials)
        self._weights: dict[Polynomial, Value] = {}
        self._active_offset = -1

    def _weight(self, polynomial: Polynomial) -> Value:
        if polynomial not in self._weights:
            self._weights[polynomial] = self.evaluator.evaluate(polynomial)
        return self._weights[polynomial]

    def _sums(self, a: Monomial, b: Monomial) -> Value:
        if self.rows is not None:
            return self.rows.sums(a, b)
        if self._active_offset < 0:
            self._active_offset = self.symbols.builder.vector(self.active)
        return Value(offset=self._active_offset, numbers=self.active)

    def cross(self, i: int, j: int) -> Cross | None:
        """Cross product of columns i and j, None when it is zero."""
        static = np.zeros(self.tier.units)
        changing: list[tuple[int, int, int, float]] = []
        for row_a, weight_a in self.parts[i].items():
            for row_b, weight_b in self.parts[j].items():
                sums = self._sums(row_a, row_b)
                a, b = self._weight(weight_a), self._weight(weight_b)
                factor = (1.0 if a.constant is None else a.constant) * (
                    1.0 if b.constant is None else b.constant
                )
                if sums.dynamic or a.dynamic or b.dynamic:
                    offsets = [-1 if v.constant is not None else v.offset for v in (a, b)]
                    changing.append((sums.offset, offsets[0], offsets[1], factor))
                else:
                    product = factor * (sums.numbers if sums.numbers is not None else 1.0)
                    for value in (a, b):
                        product = product * (1.0 if value.numbers is None else value.numbers)
                    static = static + product
        if not changing:
            if not static.any():
                return None
            return Cross(self.symbols.builder.vector(static), static)
        return Cross(self._fill(changing, static), None)

    def _fill(self, changing: list[tuple[int, int, int, float]], static: NDArray[np.float64]) -> int:
        builder = self.symbols.builder
        target = builder.zeros(self.tier.units)
        add = 0
        if static.any():
            self.pending.append([target, self.tier.units, builder.vector(static), -1, -1, builder.one, 0])
            add = 1
        merged: dict[tuple[int, int, int], float] = {}
        for sums, a, b, factor in changing:
            key = (sums, max(a, b), min(a, b))
            merged[key] = merged.get(key, 0.0) + factor
        for (sums, a, b), factor in merged.items():
            if factor != 0.0:
                self.pending.append([target, self.tier.units, sums, a, b, builder.scalar(factor), add])
                add = 1
        return target

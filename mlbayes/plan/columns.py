"""Columns of a block: what unknowns multiply in their equations, shared wherever it is the same.

An unknown's factor in an equation is a polynomial free of the block's other unknowns.  A loading that is common
to all of it is split off: it becomes the scale of the unknown's map, so that the column itself stays
simple and is shared, say between an intercept and every factor of an indicator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mlbayes.plan.polynomial import TOP, Atom, Monomial, Polynomial

Column = dict[int, Polynomial]  # factor in each equation, by its position


@dataclass(frozen=True)
class Use:
    """An unknown adds `scale` times itself to the coefficient of a column; `scale` has coefficients of the top only."""

    column: int
    scale: Polynomial


class Columns:
    """The columns of a block and what each unknown adds to which.

    `parts`: for each equation its residual taken apart by unknowns (a residual is minus the sum of columns
    times coefficients, plus the constant).
    """

    def __init__(self, atoms: Sequence[Atom], parts: Sequence[dict[Atom | None, Polynomial]]) -> None:
        self.columns: list[Column] = []
        self.uses: dict[Atom, list[Use]] = {}
        for atom in atoms:
            if atom not in self.uses:
                factors = {e: -part[atom] for e, part in enumerate(parts) if atom in part}
                self.uses[atom] = self._uses(factors)

    def of(self, atom: Atom) -> set[int]:
        """Columns that an unknown adds to."""
        return {use.column for use in self.uses[atom]}

    def _uses(self, factors: Column) -> list[Use]:
        plain: Column = {}
        uses: list[Use] = []
        for e, polynomial in factors.items():
            scale, rest = split_scale(polynomial)
            if scale is None:
                plain[e] = polynomial
            else:
                uses.append(Use(self._place({e: rest}), scale))
        if plain:
            opposite = {e: -polynomial for e, polynomial in plain.items()}
            if plain not in self.columns and opposite in self.columns:
                uses.append(Use(self.columns.index(opposite), Polynomial.number(-1.0)))
            else:
                uses.append(Use(self._place(plain), Polynomial.number(1.0)))
        return uses

    def _place(self, column: Column) -> int:
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)


def split_scale(polynomial: Polynomial) -> tuple[Polynomial | None, Polynomial]:
    """The coefficients common to all monomials, and the rest; None when there are none."""
    common: Counter[Atom] | None = None
    for monomial in polynomial.terms:
        found = Counter(
            atom for atom in monomial if atom.level == TOP and atom.kind in ("parameter", "function")
        )
        common = found if common is None else common & found
    if not common:
        return None, polynomial
    rest: dict[Monomial, float] = {}
    for monomial, number in polynomial.terms.items():
        left = Counter(monomial)
        left.subtract(common)
        rest[tuple(sorted(left.elements()))] = number
    scale = tuple(sorted(common.elements()))
    number = 1.0
    if len(rest) == 1:  # a sign or number goes with the scale, so that the column can be shared
        monomial, number = next(iter(rest.items()))
        rest = {monomial: 1.0}
    return Polynomial({scale: number}), Polynomial(rest)

"""Which unknowns can be drawn jointly: sets without products of two of their members.

Unknowns that are multiplied with each other somewhere (a loading and its factor, a slope and the mean that its
predictor is centred at) cannot share an affine block; they go to different ones, which alternate.  An unknown
that conflicts with no member of a block may be in several blocks: that can only help mixing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from mlbayes.plan.polynomial import Atom, Polynomial

Unit = tuple[Atom, ...]  # unknowns that stay together: a covariance group's effects, or a single unknown


class Conflicts:
    """Pairs of unknowns that some polynomial multiplies with each other."""

    def __init__(self, polynomials: Sequence[Polynomial], unknowns: Sequence[Atom]) -> None:
        self.pairs: set[frozenset[Atom]] = set()
        self.squared: set[Atom] = set()
        self.neighbours: dict[Atom, set[int]] = {atom: set() for atom in unknowns}
        for number, polynomial in enumerate(polynomials):
            for monomial in polynomial.terms:
                found = [atom for atom in monomial if atom in self.neighbours]
                for atom in found:
                    self.neighbours[atom].add(number)
                for a, b in combinations(found, 2):
                    if a == b:
                        self.squared.add(a)
                    self.pairs.add(frozenset((a, b)))

    def between(self, unit: Unit, others: Sequence[Unit]) -> bool:
        """Does any member of a unit conflict with any member of others."""
        return any(
            frozenset((a, b)) in self.pairs for a in unit for other in others for b in other if other != unit
        )

    def connected(self, unit: Unit, others: Sequence[Unit]) -> bool:
        """Do two sets of unknowns meet in an equation."""
        mine = {number for atom in unit for number in self.neighbours[atom]}
        return any(mine & self.neighbours[atom] for other in others for atom in other)


def lone(unit: Unit) -> bool:
    """Is a unit a coefficient, which is drawn with the values and effects of its equation."""
    return unit[0].kind == "parameter"


def partition(conflicts: Conflicts, units: Sequence[Unit], extend: Sequence[Unit]) -> list[list[Unit]]:
    """Sets of units without conflicts that together hold all of them.

    Each set begins with what no earlier set has, in the order given; then units of `extend` that are in other sets
    join where nothing speaks against it and an equation connects them.
    """
    left = list(units)
    sets: list[list[Unit]] = []
    while left:
        chosen: list[Unit] = []
        for unit in left:
            apart = lone(unit) and any(not lone(u) for u in left) and not conflicts.connected(unit, chosen)
            if not apart and not conflicts.between(unit, chosen):
                chosen.append(unit)
        left = [unit for unit in left if unit not in chosen]
        seeds = list(chosen)
        if sets:
            for unit in extend:
                if unit in chosen or conflicts.between(unit, chosen):
                    continue
                if conflicts.connected(unit, seeds):
                    chosen.append(unit)
        sets.append([unit for unit in units if unit in chosen])
    return sets

"""Equations that follow some symbols while a step moves these: instructions and quadratic forms for the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import TOP, Atom, Monomial, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Coupling, Logits, Residual

Parts = list[tuple[Monomial, int]]
Form = tuple[int, int, int, int]  # a row of the table `quadratics`
NO_FOLLOWERS = (0, 0, 0, 0)  # what `Followers.write` returns, where nothing follows


class Followers:
    """Writes what a step needs to see the densities of some equations change with what it moves.

    `moving`: the symbols that change within the step; `update` appends the instructions that bring them up to date, and
    returns quadratic forms of its own.
    """

    def __init__(self, symbols: Symbols, moving: set[Atom], update: Callable[[], list[Form]]) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.moving = moving
        self.update = update

    def write(
        self, residuals: Sequence[Residual], couplings: Sequence[Coupling], logits: Sequence[Logits] = ()
    ) -> list[int]:
        """First and last of the instructions to be run after a move, then of the rows of `quadratics`.

        Appends instructions that evaluate what stays, to be run before the step.
        """
        builder = self.builder
        with builder.program():
            units = [self._units(residual.level) for residual in residuals]
            parts = [self._parts(r.polynomial, u, r.active) for r, u in zip(residuals, units, strict=True)]
            chosen = [self._choice_parts(one) for one in logits]
        start = builder.count("program")
        further = self.update()
        places = [self._put_together(part, u) for part, u in zip(parts, units, strict=True)]
        choices = [self._choice(one, *prepared) for one, prepared in zip(logits, chosen, strict=True)]
        end = builder.count("program")
        first = builder.count("quadratics")
        for place, u, residual in zip(places, units, residuals, strict=True):
            builder.add("quadratics", [place, place, u.units, residual.precision])
        for c in couplings:
            row = [places[c.first], places[c.second], units[c.first].units, c.precision]
            builder.add("quadratics", row)
        for place, n in choices:  # a sum of log probabilities: that of their products with 1, precision -1
            builder.add("quadratics", [place, builder.vector([1.0] * n), n, builder.scalar(-1.0)])
        for form in further:
            builder.add("quadratics", form)
        return [start, end, first, builder.count("quadratics")]

    def _units(self, level: int) -> UnitSet:
        return self.builder.unit_set(level, self.symbols.units(level), None, None)

    def _parts(self, polynomial: Polynomial, units: UnitSet, active: NDArray[np.bool_]) -> Parts:
        """A polynomial as a sum over products of what moves, each times what does not (its place)."""
        parts: dict[Monomial, dict[Monomial, float]] = {(): {}}
        for monomial, number in polynomial.terms.items():
            moved = tuple(atom for atom in monomial if atom in self.moving)
            rest = tuple(atom for atom in monomial if atom not in self.moving)
            parts.setdefault(moved, {})[rest] = number
        evaluator = Evaluator(self.symbols, units)
        factor = None if active.all() else active.astype(np.float64)
        return [(moved, evaluator.vector(Polynomial(rest), factor)) for moved, rest in parts.items()]

    def _put_together(self, parts: Parts, units: UnitSet) -> int:
        """Instructions that evaluate a polynomial from its parts; its place."""
        builder, n = self.builder, units.units
        evaluator = Evaluator(self.symbols, units)
        (_, still), *others = parts
        if not others:
            return still
        target = builder.zeros(n)
        builder.instruct(p.OP_COPY, target, n, still)
        for moved, rest in others:
            scale = evaluator.scalar_product([a for a in moved if a.level == TOP], 1.0)
            vectors: list[Atom] = [a for a in moved if a.level != TOP]
            if vectors:
                spread = evaluator.vector(Polynomial({tuple(vectors): 1.0}))
                builder.instruct(p.OP_ADD_SCALED_PRODUCT, target, n, rest, spread, scale)
            else:
                builder.instruct(p.OP_ADD_SCALED, target, n, rest, scale)
        return target

    def _choice_parts(self, logits: Logits) -> tuple[UnitSet, int, list[Parts]]:
        """Units of a nominal outcome, offset of the places of its categories, the parts of every logit."""
        units = self._units(logits.level)
        place = Evaluator(self.symbols, units).vector(Polynomial.of(logits.place))
        everyone = np.ones(units.units, dtype=np.bool_)
        return units, place, [self._parts(one, units, everyone) for one in logits.predictors]

    def _choice(self, logits: Logits, units: UnitSet, place: int, parts: list[Parts]) -> tuple[int, int]:
        """Instructions for the log probabilities of a nominal outcome; their place and number."""
        builder, n = self.builder, units.units
        both, found = builder.zeros(n * len(parts)), builder.zeros(n)
        for k, part in enumerate(parts):
            builder.instruct(p.OP_COPY, both + k * n, n, self._put_together(part, units))
        builder.instruct(p.OP_CHOICE, found, n, place, both, len(parts) + 1)
        return found, n

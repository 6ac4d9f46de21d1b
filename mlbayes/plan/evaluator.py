"""Polynomials to instructions: each is evaluated over a set of units, what never changes only once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.polynomial import TOP, Atom, Monomial, Polynomial
from mlbayes.plan.symbols import Symbols

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """A polynomial's values over a set: a number, or a vector in the store; `numbers` when it never changes."""

    constant: float | None = None
    offset: int = -1
    numbers: Vector | None = None

    @property
    def dynamic(self) -> bool:
        """Does it change while sampling."""
        return self.constant is None and self.numbers is None


class Evaluator:
    """Writes instructions that evaluate polynomials over the units of a set.

    Symbols of higher levels are spread over the units once per evaluator, so one evaluator belongs to one
    stretch of the program.  Higher levels are reached from the units' own level through the hierarchy.
    """

    def __init__(self, symbols: Symbols, units: UnitSet) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.set = units
        self._spread: dict[Atom, int] = {}
        self._positions: dict[int, tuple[NDArray[np.int64], int]] = {}

    def positions(self, level: int) -> NDArray[np.int64]:
        """For each unit of the set its ancestor at a level (or itself)."""
        return self._position(level)[0]

    def _position(self, level: int) -> tuple[NDArray[np.int64], int]:
        if level not in self._positions:
            if level == TOP:
                ancestors = np.zeros(self.set.units, dtype=np.int64)
            else:
                ancestors = self.symbols.model.hierarchy.ancestors(self.set.level, level)
                if self.set.members is not None:
                    ancestors = ancestors[self.set.members]
            self._positions[level] = (ancestors, -1)
        return self._positions[level]

    def _gather_list(self, level: int) -> int:
        ancestors, offset = self._position(level)
        if offset < 0:
            offset = self.builder.indices(ancestors)
            self._positions[level] = (ancestors, offset)
        return offset

    def numbers(self, atom: Atom) -> Vector:
        """Values of a static symbol over the set."""
        return self.symbols.static[atom][self.positions(atom.level)]

    def spread(self, atom: Atom) -> int:
        """Offset of a changing symbol's values over the set."""
        if atom not in self._spread:
            source = self.symbols.offset(atom)
            if atom.level == self.set.level and self.set.members is None:
                self._spread[atom] = source
            else:
                target = self.builder.zeros(self.set.units)
                self.builder.instruct(
                    p.OP_GATHER, target, self.set.units, source, self._gather_list(atom.level)
                )
                self._spread[atom] = target
        return self._spread[atom]

    def evaluate(self, polynomial: Polynomial, factor: Vector | None = None) -> Value:
        """The values of a polynomial over the set, times a static vector `factor` when one is given."""
        constant = polynomial.constant()
        if constant is not None:
            if factor is None or constant == 0.0:
                return Value(constant=constant)
            return self._static(constant * factor)
        static = np.zeros(self.set.units)
        changing: list[tuple[Monomial, float]] = []
        for monomial, number in polynomial.terms.items():
            if any(self.symbols.is_dynamic(atom) for atom in monomial):
                changing.append((monomial, number))
            else:
                static = static + self._static_product(monomial, number)
        if factor is not None:
            static = static * factor
        if not changing:
            return self._static(static)
        direct = self._direct(changing, static, factor)
        if direct >= 0:
            return Value(offset=direct)
        target = self.builder.zeros(self.set.units)
        n = self.set.units
        if static.any():
            self.builder.instruct(p.OP_COPY, target, n, self.builder.vector(static))
        else:
            self.builder.instruct(p.OP_FILL, target, n, self.builder.zero)
        for monomial, number in changing:
            self._accumulate(target, monomial, number, factor)
        return Value(offset=target)

    def vector(self, polynomial: Polynomial, factor: Vector | None = None) -> int:
        """Offset of a polynomial's values as a vector over the set, whatever they are."""
        value = self.evaluate(polynomial, factor)
        if value.constant is not None:
            return self.builder.vector(np.full(self.set.units, value.constant))
        return value.offset

    def _static(self, numbers: Vector) -> Value:
        return Value(offset=self.builder.vector(numbers), numbers=numbers)

    def _static_product(self, monomial: Monomial, number: float) -> Vector:
        product = np.full(self.set.units, number)
        for atom in monomial:
            product = product * self.numbers(atom)
        return product

    def _direct(self, changing: list[tuple[Monomial, float]], static: Vector, factor: Vector | None) -> int:
        """Offset of the values when the polynomial is a single changing vector as it stands, else -1."""
        if len(changing) != 1 or static.any() or factor is not None:
            return -1
        monomial, number = changing[0]
        if number != 1.0 or len(monomial) != 1 or monomial[0].level == TOP:
            return -1
        return self.spread(monomial[0])

    def _accumulate(self, target: int, monomial: Monomial, number: float, factor: Vector | None) -> None:
        """Target += number * monomial (* factor)."""
        n = self.set.units
        scalars = [a for a in monomial if a.level == TOP and self.symbols.is_dynamic(a)]
        vectors = [self.spread(a) for a in monomial if a.level != TOP and self.symbols.is_dynamic(a)]
        fixed = [a for a in monomial if not self.symbols.is_dynamic(a)]
        if fixed or factor is not None:
            known = self._static_product(tuple(fixed), 1.0)
            known = known if factor is None else known * factor
            if not (known == 1.0).all():
                vectors.append(self.builder.vector(known))
        scale = self.scalar_product(scalars, number)
        while len(vectors) > 2:
            product = self.builder.zeros(n)
            self.builder.instruct(p.OP_MULTIPLY, product, n, vectors.pop(), vectors.pop())
            vectors.append(product)
        if not vectors:
            self.builder.instruct(p.OP_ADD_SCALAR, target, n, scale)
        elif len(vectors) == 1:
            self.builder.instruct(p.OP_ADD_SCALED, target, n, vectors[0], scale)
        else:
            self.builder.instruct(p.OP_ADD_SCALED_PRODUCT, target, n, vectors[0], vectors[1], scale)

    def scalar_product(self, scalars: list[Atom], number: float) -> int:
        """Offset of the product of a number and symbols of the top."""
        scale = self.builder.scalar(number)
        for atom in scalars:
            product = self.builder.zeros(1)
            self.builder.instruct(p.OP_MULTIPLY, product, 1, scale, self.symbols.offset(atom))
            scale = product
        return scale

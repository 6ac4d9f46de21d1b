"""Polynomials in the symbols of a model: the planner's algebra.

A residual is a polynomial in data, unknowns and coefficients.  Taking it apart by unknowns shows what is
affine in what, and so what can be drawn jointly and exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

TOP = 9  # the level of what has one value only: coefficients, grand means


@dataclass(frozen=True, order=True)
class Atom:
    """A symbol with one value for each unit of its level.

    `kind`: value, observed (the value, 0 where missing), code (dummy variable), place (of a category), response,
    mean, grand, term (coefficient with
    its random effects), parameter, function (of parameters), effect, slope, derived, centred (stands for a
    centred predictor).
    """

    kind: str
    name: str
    level: int
    index: int = 0


Monomial = tuple[Atom, ...]


class Polynomial:
    """A sum of monomials with numbers in front; immutable."""

    __slots__ = ("terms", "_key")

    def __init__(self, terms: dict[Monomial, float] | None = None) -> None:
        self.terms = {m: c for m, c in (terms or {}).items() if c != 0.0}
        self._key = frozenset(self.terms.items())

    @staticmethod
    def of(atom: Atom) -> Polynomial:
        """The polynomial that is one atom."""
        return Polynomial({(atom,): 1.0})

    @staticmethod
    def number(value: float) -> Polynomial:
        """A constant."""
        return Polynomial({(): value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for m, c in other.terms.items():
            terms[m] = terms.get(m, 0.0) + c
        return Polynomial(terms)

    def __neg__(self) -> Polynomial:
        return Polynomial({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + (-other)

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[Monomial, float] = {}
        for m, c in self.terms.items():
            for n, d in other.terms.items():
                product = tuple(sorted(m + n))
                terms[product] = terms.get(product, 0.0) + c * d
        return Polynomial(terms)

    def atoms(self) -> set[Atom]:
        """Every atom that occurs."""
        return {atom for monomial in self.terms for atom in monomial}

    def constant(self) -> float | None:
        """The value of a polynomial without atoms, None for any other."""
        if any(self.terms):
            return None
        return self.terms.get((), 0.0)

    def substitute(self, change: Callable[[Atom], Polynomial | None]) -> Polynomial:
        """Replace every atom for which `change` gives a polynomial."""
        result = Polynomial()
        for monomial, number in self.terms.items():
            product = Polynomial.number(number)
            for atom in monomial:
                replacement = change(atom)  # which may be the polynomial 0
                product = product * (Polynomial.of(atom) if replacement is None else replacement)
            result = result + product
        return result

    def is_affine_in(self, unknowns: Iterable[Atom]) -> bool:
        """Does every monomial hold at most one of the unknowns, once."""
        chosen = set(unknowns)
        return all(sum(atom in chosen for atom in monomial) <= 1 for monomial in self.terms)

    def by_unknown(self, unknowns: Iterable[Atom]) -> dict[Atom | None, Polynomial]:
        """The factor of each unknown, and under None what is free of them (the polynomial must be affine)."""
        chosen = set(unknowns)
        parts: dict[Atom | None, dict[Monomial, float]] = {}
        for monomial, number in self.terms.items():
            found = next((atom for atom in monomial if atom in chosen), None)
            rest = list(monomial)
            if found is not None:
                rest.remove(found)
            part = parts.setdefault(found, {})
            part[tuple(rest)] = part.get(tuple(rest), 0.0) + number
        return {unknown: Polynomial(part) for unknown, part in parts.items()}

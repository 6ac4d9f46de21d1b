"""Residuals that depend on cells: the units of an equation below given cells, with the cells as parents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan.builder import UnitSet
from mlbayes.plan.polynomial import TOP, Atom, Monomial, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Logits, Residual


def cell_set(symbols: Symbols, name: str) -> UnitSet:
    """The units of a variable whose value is missing."""
    variable = symbols.model.variables[name]
    members = np.flatnonzero(variable.missing)
    return symbols.builder.unit_set(variable.level, members.size, None, None, members)


def dependents(
    symbols: Symbols, cells: UnitSet, residual: Residual | Logits
) -> tuple[UnitSet, NDArray[np.float64]]:
    """Units of an equation that lie below cells (parents: the cells), and 1 for those whose residual counts."""
    assert cells.members is not None
    if cells.level == TOP:
        parents = np.zeros(symbols.units(residual.level), dtype=np.int64)
    else:
        place = np.full(symbols.units(cells.level), -1, dtype=np.int64)
        place[cells.members] = np.arange(cells.units)
        parents = place[symbols.model.hierarchy.ancestors(residual.level, cells.level)]
    members = np.flatnonzero(parents >= 0)
    units = symbols.builder.unit_set(residual.level, members.size, cells, parents[members], members)
    return units, residual.active[members].astype(np.float64)


def powers(polynomial: Polynomial, atom: Atom) -> list[Polynomial]:
    """Coefficients of atom^0, atom^1, ... of a polynomial."""
    parts: dict[int, dict[Monomial, float]] = {}
    for monomial, number in polynomial.terms.items():
        degree = monomial.count(atom)
        rest = tuple(other for other in monomial if other != atom)
        part = parts.setdefault(degree, {})
        part[rest] = part.get(rest, 0.0) + number
    return [Polynomial(parts.get(degree, {})) for degree in range(max(parts, default=0) + 1)]

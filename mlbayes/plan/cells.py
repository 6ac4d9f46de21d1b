"""The Metropolis step on missing values that enter their equations other than linearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.dependents import cell_set, dependents, powers
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Residual

REPEATS = 3  # proposals for each value in a sweep


class CellStep:
    """Writes the step for the missing values of one variable, given the equations they enter."""

    def __init__(self, symbols: Symbols, name: str, residuals: Sequence[Residual]) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.name = name
        self.value = symbols.value(name)
        self.residuals = [r for r in residuals if self.value in r.polynomial.atoms()]

    def write(self) -> int:
        """Append instructions and step; returns the store offset of the step's memory (see engine.steps.cells)."""
        builder = self.builder
        cells = cell_set(self.symbols, self.name)
        assert cells.members is not None
        n = cells.units
        values, proposals = builder.zeros(n), builder.zeros(n)
        first = builder.count("program")
        members = builder.indices(cells.members)
        builder.instruct(p.OP_GATHER, values, n, self.symbols.offset(self.value), members)
        prepared = [self._coefficients(cells, residual) for residual in self.residuals]
        builder.step_program(first)
        rows = [
            self._proposal_program(units, coefficients, proposals, cells, residual.precision)
            for (units, coefficients), residual in zip(prepared, self.residuals, strict=True)
        ]
        start = builder.count("cell_equations")
        for row in rows:
            builder.add("cell_equations", row)
        spread = float(np.nanstd(self.symbols.model.variables[self.name].values)) or 1.0
        memory = builder.vector([1.0, 0.0, 0.0, *[spread] * n, *[0.0] * (2 * n)])
        step = [cells.number, values, proposals, start, builder.count("cell_equations"), memory, REPEATS]
        builder.step(p.STEP_CELLS, builder.add("cells", step))
        first = builder.count("program")
        builder.instruct(p.OP_SCATTER, values, n, self.symbols.offset(self.value), members)
        builder.step_program(first)
        return memory

    def _coefficients(self, cells: UnitSet, residual: Residual) -> tuple[UnitSet, list[int]]:
        """Residuals below the cells as polynomials in the cell: offsets of the coefficient of each power."""
        units, active = dependents(self.symbols, cells, residual)
        evaluator = Evaluator(self.symbols, units)
        factor = None if active.all() else active
        return units, [evaluator.vector(part, factor) for part in powers(residual.polynomial, self.value)]

    def _proposal_program(
        self, units: UnitSet, coefficients: list[int], proposals: int, cells: UnitSet, precision: int
    ) -> list[int]:
        """Instructions that write the residuals at the proposals (Horner's rule), run by the step itself."""
        builder = self.builder
        first = builder.count("program")
        n = units.units
        residual = builder.zeros(n)
        source = proposals
        if units.level != cells.level:
            source = builder.zeros(n)
            builder.instruct(p.OP_GATHER, source, n, proposals, units.gather)
        builder.instruct(p.OP_COPY, residual, n, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            builder.instruct(p.OP_MULTIPLY, residual, n, residual, source)
            builder.instruct(p.OP_ADD, residual, n, coefficient)
        return [first, builder.count("program"), residual, units.number, precision]

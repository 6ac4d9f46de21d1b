"""The step that draws the latent responses of a binary predictor and its missing categories."""

from __future__ import annotations

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.dependents import cell_set, dependents
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Polynomial
from mlbayes.plan.regressions import Regressions
from mlbayes.plan.unknowns import Residual


class ResponseStep:
    """Writes the step for one predictor: means, evidence of the outcome equations, draws."""

    def __init__(self, regressions: Regressions, name: str) -> None:
        self.regressions = regressions
        self.symbols = regressions.symbols
        self.builder = regressions.builder
        self.name = name
        self.variable = regressions.model.variables[name]

    def write(self) -> None:
        """Append the instructions and the step."""
        part = next(part for part in self.regressions.predictors if part.variable == self.name)
        builder = self.builder
        first = builder.count("program")
        everyone = builder.unit_set(part.level, part.units, None, None)
        mean = Polynomial.of(part.response) - part.residual()
        means = Evaluator(self.symbols, everyone).vector(mean)
        cells: UnitSet | None = None
        evidence = -1
        if self.variable.incomplete:
            cells = cell_set(self.symbols, self.name)
            evidence = self._evidence(cells, first)
        else:
            builder.step_program(first)
        value = self.symbols.value(self.name)
        labels = builder.vector([float(code) for code in self.variable.codes])
        codes = np.where(self.variable.missing, 0.0, self.variable.values == self.variable.codes[1])
        members = cells.members if cells is not None and cells.members is not None else np.zeros(0, np.int64)
        row = builder.add(
            "responses",
            [
                part.units,
                self.symbols.offset(part.response),
                means,
                builder.vector(codes),
                builder.indices(members) if members.size else 0,
                members.size,
                evidence,
                self.symbols.offset(value) if members.size else builder.zeros(part.units),
                labels,
            ],
        )
        builder.step(p.STEP_RESPONSES, row)

    def _evidence(self, cells: UnitSet, first: int) -> int:
        """Log likelihood of the outcome equations at the second code minus that at the first, for each cell."""
        symbols, builder = self.symbols, self.builder
        value = symbols.value(self.name)
        sums: list[tuple[int, int, int]] = []
        products: list[list[int]] = []
        for r in self.regressions.outcomes:
            composite = r.composite()
            if value not in composite.atoms():
                continue
            residual = Residual(r.equation.title, composite, r.equation.level, r.active, r.precision, False)
            units, active = dependents(symbols, cells, residual)
            evaluator = Evaluator(symbols, units)
            targets = []
            for code in self.variable.codes:
                label = Polynomial.number(float(code))
                at_code = composite.substitute(lambda atom, label=label: label if atom == value else None)  # type: ignore[misc]
                column = evaluator.vector(at_code, None if active.all() else active)
                targets.append(builder.zeros(cells.units))
                products.append([targets[-1], units.number, column, column, -1])
            sums.append((targets[0], targets[1], r.precision))
        builder.step_program(first)
        if not sums:
            return -1
        start = builder.count("products")
        for row in products:
            builder.add("products", row)
        builder.step(p.STEP_PRODUCTS, start, builder.count("products"))
        first = builder.count("program")
        evidence = builder.zeros(cells.units)
        builder.instruct(p.OP_FILL, evidence, cells.units, builder.zero)
        for low, high, precision in sums:
            half, minus = builder.zeros(1), builder.zeros(1)
            builder.instruct(p.OP_SCALE, half, 1, precision, builder.scalar(0.5))
            builder.instruct(p.OP_SCALE, minus, 1, precision, builder.scalar(-0.5))
            builder.instruct(p.OP_ADD_SCALED, evidence, cells.units, low, half)
            builder.instruct(p.OP_ADD_SCALED, evidence, cells.units, high, minus)
        builder.step_program(first)
        return evidence

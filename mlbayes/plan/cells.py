"""The Metropolis step on missing values that enter their equations other than linearly."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.dependents import cell_set, dependents, powers
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.transformations import Transformation
from mlbayes.plan.unknowns import Logits, Residual

REPEATS = 3  # proposals for each value in a sweep


class CellStep:
    """Writes the step for the missing values of one variable, given the equations they enter.

    `counts`: offsets of the logarithms of the means of all units and of the dispersion, for counts that are proposed
    from their own equation; `residuals` and `logits` are the other equations then.
    `transformed`: symbol and transformation of an outcome that is transformed in an equation of its own.  The step
    then moves the transformed values; proposals without an inverse are nan and so never accepted.
    """

    def __init__(
        self,
        symbols: Symbols,
        name: str,
        residuals: Sequence[Residual],
        logits: Sequence[Logits] = (),
        counts: tuple[int, int] | None = None,
        transformed: tuple[Atom, Transformation] | None = None,
    ) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.name = name
        self.value = symbols.value(name)
        self.transformed = transformed
        self.moved = self.value if transformed is None else transformed[0]
        drawn = {self.value, self.moved}
        self.residuals = [r for r in residuals if r.polynomial.atoms() & drawn]
        self.logits = list(logits)
        self.counts = counts
        self.power = -1  # place of the power of the transformation, once for each cell

    def write(self) -> int:
        """Append instructions and step; returns the store offset of the step's memory (see engine.steps.cells)."""
        builder = self.builder
        cells = cell_set(self.symbols, self.name)
        assert cells.members is not None
        n = cells.units
        transformation = None if self.transformed is None else self.transformed[1]
        values, proposals = builder.zeros(n), builder.zeros(n)
        first = builder.count("program")
        members = builder.indices(cells.members)
        builder.instruct(p.OP_GATHER, values, n, self.symbols.offset(self.moved), members)
        if transformation is not None and transformation.power is not None:
            self.power = Evaluator(self.symbols, cells).vector(Polynomial.of(transformation.power))
        mean, dispersion = -1, -1
        if self.counts is not None:
            means, dispersion = self.counts
            mean = builder.zeros(n)
            builder.instruct(p.OP_GATHER, mean, n, means, members)
        prepared = [self._coefficients(cells, residual) for residual in self.residuals]
        chosen = [self._logit_coefficients(cells, logits) for logits in self.logits]
        builder.step_program(first)
        rows = [
            self._proposal_program(units, coefficients, proposals, cells, residual)
            for (units, coefficients), residual in zip(prepared, self.residuals, strict=True)
        ]
        rows += [
            self._choice_program(units, place, coefficients, proposals, cells)
            for units, place, coefficients in chosen
        ]
        start = builder.count("cell_equations")
        for row in rows:
            builder.add("cell_equations", row)
        variable = self.symbols.model.variables[self.name]
        seen = variable.values[~variable.missing]  # nothing of a latent variable
        seen = seen if transformation is None else transformation.forward(seen)
        spread = float(seen.std() if seen.size else 0.0) or 1.0
        memory = builder.vector([1.0, 0.0, 0.0, *[spread] * n, *[0.0] * (2 * n)])
        last = builder.count("cell_equations")
        step = [cells.number, values, proposals, start, last, memory, REPEATS, mean, dispersion]
        builder.step(p.STEP_CELLS, builder.add("cells", step))
        first = builder.count("program")
        builder.instruct(p.OP_SCATTER, values, n, self.symbols.offset(self.moved), members)
        if transformation is not None:
            source = self._inverse(values, n)
            builder.instruct(p.OP_SCATTER, source, n, self.symbols.offset(self.value), members)
        builder.step_program(first)
        return memory

    def _inverse(self, moved: int, n: int) -> int:
        """Instructions that turn what the step moves into values of the variable; their place."""
        if self.transformed is None:
            return moved
        target = self.builder.zeros(n)
        self.builder.instruct(p.OP_COPY, target, n, moved)
        self.transformed[1].instruct_inverse(self.builder, target, n, self.power)
        return target

    def _coefficients(self, cells: UnitSet, residual: Residual) -> tuple[UnitSet, list[int]]:
        """Residuals below the cells as polynomials in the cell: offsets of the coefficient of each power."""
        units, active = dependents(self.symbols, cells, residual)
        evaluator = Evaluator(self.symbols, units)
        factor = None if active.all() else active
        atom = self.moved if self.moved in residual.polynomial.atoms() else self.value
        return units, [evaluator.vector(part, factor) for part in powers(residual.polynomial, atom)]

    def _logit_coefficients(self, cells: UnitSet, logits: Logits) -> tuple[UnitSet, int, list[list[int]]]:
        """The same for every logit of a nominal outcome, and the offset of the places of its categories."""
        units, _ = dependents(self.symbols, cells, logits)
        evaluator = Evaluator(self.symbols, units)
        place = evaluator.vector(Polynomial.of(logits.place))
        parts = [powers(predictor, self.value) for predictor in logits.predictors]
        return units, place, [[evaluator.vector(part) for part in parts_of_one] for parts_of_one in parts]

    def _proposal_program(
        self, units: UnitSet, coefficients: list[int], proposals: int, cells: UnitSet, own: Residual
    ) -> list[int]:
        """Instructions that write the residuals at the proposals, run by the step itself."""
        builder = self.builder
        first = builder.count("program")
        residual = builder.zeros(units.units)
        if self.moved not in own.polynomial.atoms():
            proposals = self._inverse(proposals, cells.units)
        self._evaluate(residual, units, coefficients, self._source(units, proposals, cells))
        return [first, builder.count("program"), residual, units.number, own.precision]

    def _choice_program(
        self, units: UnitSet, place: int, coefficients: list[list[int]], proposals: int, cells: UnitSet
    ) -> list[int]:
        """Instructions that write the log probabilities of a nominal outcome at the proposals."""
        builder = self.builder
        first = builder.count("program")
        n = units.units
        source = self._source(units, self._inverse(proposals, cells.units), cells)
        logits, found = builder.zeros(n * len(coefficients)), builder.zeros(n)
        for k, one in enumerate(coefficients):
            self._evaluate(logits + k * n, units, one, source)
        builder.instruct(p.OP_CHOICE, found, n, place, logits, len(coefficients) + 1)
        return [first, builder.count("program"), found, units.number, -1]

    def _source(self, units: UnitSet, proposals: int, cells: UnitSet) -> int:
        """Offset of the proposals spread over the units of an equation."""
        if units.level == cells.level:
            return proposals
        source = self.builder.zeros(units.units)
        self.builder.instruct(p.OP_GATHER, source, units.units, proposals, units.gather)
        return source

    def _evaluate(self, target: int, units: UnitSet, coefficients: list[int], source: int) -> None:
        """A polynomial in the proposals by Horner's rule."""
        n = units.units
        self.builder.instruct(p.OP_COPY, target, n, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            self.builder.instruct(p.OP_MULTIPLY, target, n, target, source)
            self.builder.instruct(p.OP_ADD, target, n, coefficient)

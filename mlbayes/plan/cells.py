"""The Metropolis step on missing values and cluster means that enter their equations other than linearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.model import Kind
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder, UnitSet
from mlbayes.plan.dependents import cell_set, dependents, powers
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.expected_codes import ExpectedCode
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.transformations import Transformation
from mlbayes.plan.unknowns import Logits, Residual

Coefficients = list[list[int]]

REPEATS = 3  # proposals for each value in a sweep


@dataclass(frozen=True)
class Moved:
    """What a step moves: `atom`, for some units of its level; `spread` tells how far, shape (units,).

    `shown`: a symbol whose value is a function of it, and `show` writes instructions that replace n values of the
    one by those of the other (arguments: builder, their place, n, place of n powers); `power`: symbol of the power.
    A proposal without such a value is nan and so never accepted.
    """

    atom: Atom
    cells: UnitSet
    spread: NDArray[np.float64]
    shown: Atom | None = None
    show: Callable[[PlanBuilder, int, int, int], None] | None = None
    power: Atom | None = None


def missing_values(symbols: Symbols, name: str) -> Moved:
    """The missing values of a variable."""
    variable = symbols.model.variables[name]
    cells = cell_set(symbols, name)
    return Moved(symbols.value(name), cells, _spread(variable.values[~variable.missing], cells.units))


def transformed_values(symbols: Symbols, name: str, atom: Atom, transformation: Transformation) -> Moved:
    """The missing values of an outcome that is transformed in an equation of its own, on the transformed scale."""
    variable = symbols.model.variables[name]
    cells = cell_set(symbols, name)
    spread = _spread(transformation.forward(variable.values[~variable.missing]), cells.units)
    value = symbols.value(name)
    return Moved(atom, cells, spread, value, transformation.instruct_inverse, transformation.power)


def cluster_means(symbols: Symbols, atom: Atom, centre: ExpectedCode | None) -> Moved:
    """The latent cluster means of a predictor, or its grand mean; `centre`: the expected code there."""
    units = symbols.units(atom.level)
    cells = symbols.builder.unit_set(atom.level, units, None, None, np.arange(units))
    rows = np.zeros(symbols.units(1), dtype=np.int64)
    if atom.level != TOP:
        rows = symbols.model.hierarchy.ancestors(1, atom.level)
    variable = symbols.model.variables[atom.name]
    categorical = variable.kind in (Kind.ORDINAL, Kind.NOMINAL)
    sd = 1.0 if categorical else float(np.nanstd(variable.values)) or 1.0
    spread = sd / np.sqrt(np.bincount(rows, minlength=units))
    if centre is None:
        return Moved(atom, cells, spread)
    return Moved(atom, cells, spread, centre.atom, centre.replace)


def _spread(seen: NDArray[np.float64], units: int) -> NDArray[np.float64]:
    """The standard deviation of observed values, of which a latent variable has none, for each cell."""
    return np.full(units, float(seen.std() if seen.size else 0.0) or 1.0)


class CellStep:
    """Writes the Metropolis step for what is moved, given the equations that it enters.

    `counts`: offsets of the logarithms of the means of all units and of the dispersion, for counts that are proposed
    from their own equation; `residuals` and `logits` are the other equations then.
    """

    def __init__(
        self,
        symbols: Symbols,
        moved: Moved,
        residuals: Sequence[Residual],
        logits: Sequence[Logits] = (),
        counts: tuple[int, int] | None = None,
    ) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.moved = moved
        drawn = {moved.atom, moved.shown}
        self.residuals = [r for r in residuals if r.polynomial.atoms() & drawn]
        self.logits = list(logits)
        self.counts = counts
        self.power = -1  # place of the power of the transformation, once for each cell

    def write(self) -> int:
        """Append instructions and step; returns the store offset of the step's memory (see engine.steps.cells)."""
        builder, moved, cells = self.builder, self.moved, self.moved.cells
        assert cells.members is not None
        n = cells.units
        values, proposals = builder.zeros(n), builder.zeros(n)
        with builder.program():
            members = builder.indices(cells.members)
            builder.instruct(p.OP_GATHER, values, n, self.symbols.offset(moved.atom), members)
            if moved.power is not None:
                self.power = Evaluator(self.symbols, cells).vector(Polynomial.of(moved.power))
            mean, dispersion = -1, -1
            if self.counts is not None:
                means, dispersion = self.counts
                mean = builder.zeros(n)
                builder.instruct(p.OP_GATHER, mean, n, means, members)
            prepared = [self._residual_coefficients(residual) for residual in self.residuals]
            chosen = [self._logit_coefficients(logits) for logits in self.logits]
        rows = [
            self._proposal_program(units, coefficients, proposals, residual)
            for (units, coefficients), residual in zip(prepared, self.residuals, strict=True)
        ]
        rows += [
            self._choice_program(units, place, coefficients, proposals)
            for units, place, coefficients in chosen
        ]
        start = builder.count("cell_equations")
        for row in rows:
            builder.add("cell_equations", row)
        memory = builder.vector([1.0, 0.0, 0.0, *moved.spread, *[0.0] * (2 * n)])
        last = builder.count("cell_equations")
        step = [cells.number, values, proposals, start, last, memory, REPEATS, mean, dispersion]
        builder.step(p.STEP_CELLS, builder.add("cells", step))
        with builder.program():
            builder.instruct(p.OP_SCATTER, values, n, self.symbols.offset(moved.atom), members)
            if moved.shown is not None:
                builder.instruct(
                    p.OP_SCATTER, self._shown(values), n, self.symbols.offset(moved.shown), members
                )
        return memory

    def _shown(self, moved: int) -> int:
        """Instructions that turn what the step moves into what other equations have; their place."""
        if self.moved.show is None:
            return moved
        n = self.moved.cells.units
        target = self.builder.zeros(n)
        self.builder.instruct(p.OP_COPY, target, n, moved)
        self.moved.show(self.builder, target, n, self.power)
        return target

    def _coefficients(
        self, evaluator: Evaluator, polynomial: Polynomial, factor: NDArray[np.float64] | None = None
    ) -> Coefficients:
        """A polynomial in what the step moves and what it shows: offsets of the coefficients.

        The first list is by powers of what is shown, each of its lists by powers of what is moved.
        """
        shown = [polynomial] if self.moved.shown is None else powers(polynomial, self.moved.shown)
        return [[evaluator.vector(part, factor) for part in powers(one, self.moved.atom)] for one in shown]

    def _residual_coefficients(self, residual: Residual) -> tuple[UnitSet, Coefficients]:
        """A residual over the units below the cells."""
        units, active = dependents(self.symbols, self.moved.cells, residual)
        factor = None if active.all() else active
        return units, self._coefficients(Evaluator(self.symbols, units), residual.polynomial, factor)

    def _logit_coefficients(self, logits: Logits) -> tuple[UnitSet, int, list[Coefficients]]:
        """Every logit of a nominal outcome, and the offset of the places of its categories."""
        units, _ = dependents(self.symbols, self.moved.cells, logits)
        evaluator = Evaluator(self.symbols, units)
        place = evaluator.vector(Polynomial.of(logits.place))
        return units, place, [self._coefficients(evaluator, predictor) for predictor in logits.predictors]

    def _proposal_program(
        self, units: UnitSet, coefficients: Coefficients, proposals: int, own: Residual
    ) -> list[int]:
        """Instructions that write the residuals at the proposals, run by the step itself."""
        builder = self.builder
        first = builder.count("program")
        residual = builder.zeros(units.units)
        sources = self._sources(units, proposals, [coefficients])
        self._evaluate(residual, units, coefficients, sources)
        return [first, builder.count("program"), residual, units.number, own.precision]

    def _choice_program(
        self, units: UnitSet, place: int, coefficients: list[Coefficients], proposals: int
    ) -> list[int]:
        """Instructions that write the log probabilities of a nominal outcome at the proposals."""
        builder = self.builder
        first = builder.count("program")
        n = units.units
        sources = self._sources(units, proposals, coefficients)
        logits, found = builder.zeros(n * len(coefficients)), builder.zeros(n)
        for k, one in enumerate(coefficients):
            self._evaluate(logits + k * n, units, one, sources)
        builder.instruct(p.OP_CHOICE, found, n, place, logits, len(coefficients) + 1)
        return [first, builder.count("program"), found, units.number, -1]

    def _sources(self, units: UnitSet, proposals: int, used: Sequence[Coefficients]) -> tuple[int, int]:
        """Offsets of what the proposals show and of the proposals, over the units of an equation; -1 if not used."""
        shown = any(len(coefficients) > 1 for coefficients in used)
        moved = any(len(part) > 1 for coefficients in used for part in coefficients)
        return (
            self._spread_out(units, self._shown(proposals)) if shown else -1,
            self._spread_out(units, proposals) if moved else -1,
        )

    def _spread_out(self, units: UnitSet, source: int) -> int:
        """Offset of numbers of the cells spread over the units of an equation."""
        if units.level == self.moved.cells.level:
            return source
        target = self.builder.zeros(units.units)
        self.builder.instruct(p.OP_GATHER, target, units.units, source, units.gather)
        return target

    def _evaluate(
        self, target: int, units: UnitSet, coefficients: Coefficients, sources: tuple[int, int]
    ) -> None:
        """A polynomial in what is shown, whose coefficients are polynomials in what is moved."""
        shown, moved = sources
        places = [self._horner(units, part, moved) for part in coefficients]
        self.builder.instruct(p.OP_COPY, target, units.units, self._horner(units, places, shown))

    def _horner(self, units: UnitSet, coefficients: Sequence[int], source: int) -> int:
        """Offset of a polynomial's value by Horner's rule."""
        if len(coefficients) == 1:
            return coefficients[0]
        n = units.units
        target = self.builder.zeros(n)
        self.builder.instruct(p.OP_COPY, target, n, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            self.builder.instruct(p.OP_MULTIPLY, target, n, target, source)
            self.builder.instruct(p.OP_ADD, target, n, coefficient)
        return target

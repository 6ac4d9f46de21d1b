"""Missing categories: what the other equations say about them, a log likelihood for each category of each cell."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.model.model import Variable
from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.categories import category_labels
from mlbayes.plan.choice import Choice, outcome_logits, outcome_residuals
from mlbayes.plan.dependents import cell_set, dependents
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.modulators import instruct_root, unscaled
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression
from mlbayes.plan.symbols import placed, unsupported
from mlbayes.plan.unknowns import Coupling, Logits, Residual


def category_evidence(choice: Choice, name: str) -> tuple[UnitSet, int]:
    """Missing cells of a categorical variable, and the log likelihood of each category in the equations it enters.

    Writes the steps that compute it.  The second result is the store offset of a number for each category (in the
    order of `category_labels`) and cell, cells next to each other; -1 when no equation holds the variable.
    """
    return Evidence(choice, name).write()


def symbols_of(variable: Variable) -> list[Atom]:
    """The symbols of a categorical variable in the equations that it enters: its code and its dummy variables."""
    found = [Atom("value", variable.name, variable.level)]
    return found + [Atom("code", variable.name, variable.level, code) for code in variable.codes]


class Evidence:
    """Writes the steps for one variable."""

    def __init__(self, choice: Choice, name: str) -> None:
        self.choice = choice
        self.symbols = choice.symbols
        self.builder = choice.builder
        self.variable = choice.model.variables[name]
        self.labels = category_labels(self.variable)
        self.cells = cell_set(self.symbols, name)

    def write(self) -> tuple[UnitSet, int]:
        """See `category_evidence`."""
        atoms = symbols_of(self.variable)
        modulated = self._modulated(atoms)
        without = {self.choice.regressions.modelled_by(r).number for r in modulated}
        residuals, pairs = outcome_residuals(self.choice, atoms, without)
        logits = outcome_logits(self.choice, atoms)
        if not residuals and not logits and not modulated:
            return self.cells, -1
        builder, n = self.builder, self.cells.units * len(self.labels)
        evidence = builder.zeros(n)
        with builder.program():
            builder.instruct(p.OP_FILL, evidence, n, builder.zero)
        if residuals:
            self._add_residuals(evidence, residuals, pairs)
        for r in modulated:
            self._add_modulated(evidence, r)
        for one in logits:
            self._add_logits(evidence, one)
        return self.cells, evidence

    def _modulated(self, atoms: Sequence[Atom]) -> list[OutcomeRegression]:
        """The log variances that the variable enters."""
        found = [r for r in self.choice.regressions.log_variances if r.predictor(False).atoms() & set(atoms)]
        for r in found:
            if self.choice.regressions.modelled_by(r).covariance:
                title, name = r.equation.title, self.variable.name
                message = f"the incomplete {self.variable.kind.value} '{name}' in '{title}' cannot be run yet"
                with placed(r.equation.span):
                    raise unsupported(f"{message} with correlated residuals (~~)")
        return found

    def _at(self, polynomial: Polynomial, label: float) -> Polynomial:
        """A polynomial in which the variable has a category."""

        def change(atom: Atom) -> Polynomial | None:
            if atom.name != self.variable.name or atom.kind not in ("value", "code"):
                return None
            return Polynomial.number(label if atom.kind == "value" else float(atom.index == label))

        return polynomial.substitute(change)

    def _add_residuals(self, evidence: int, residuals: Sequence[Residual], pairs: Sequence[Coupling]) -> None:
        """Quadratic forms of normal residuals at each category."""
        builder, cells = self.builder, self.cells
        with builder.program():
            units: list[UnitSet] = []
            vectors: list[list[int]] = []
            shared: dict[int, UnitSet] = {}
            for residual in residuals:
                found, active = dependents(self.symbols, cells, residual)
                units.append(shared.setdefault(residual.level, found))
                evaluator = Evaluator(self.symbols, units[-1])
                factor = None if active.all() else active
                at = [self._at(residual.polynomial, label) for label in self.labels]
                vectors.append([evaluator.vector(polynomial, factor) for polynomial in at])
        terms = [(e, e, residual.precision, -0.5) for e, residual in enumerate(residuals)]
        terms += [(c.first, c.second, c.precision, -1.0) for c in pairs]
        start = builder.count("products")
        targets: list[list[int]] = []
        for e, f, _, _ in terms:
            row = [builder.zeros(cells.units) for _ in self.labels]
            for c, target in enumerate(row):
                builder.add("products", [target, units[e].number, vectors[e][c], vectors[f][c], -1])
            targets.append(row)
        builder.step(p.STEP_PRODUCTS, start, builder.count("products"))
        with builder.program():
            for (_, _, precision, times), row in zip(terms, targets, strict=True):
                scale = builder.zeros(1)
                builder.instruct(p.OP_SCALE, scale, 1, precision, builder.scalar(times))
                for c, target in enumerate(row):
                    place = evidence + c * cells.units
                    builder.instruct(p.OP_ADD_SCALED, place, cells.units, target, scale)

    def _add_modulated(self, evidence: int, r: OutcomeRegression) -> None:
        """Log densities of an outcome at each category, which its log variance depends on: -(v + e^2 exp(-v)) / 2."""
        builder, cells = self.builder, self.cells
        y = self.choice.regressions.modelled_by(r)
        residual = Residual(y.equation.title, unscaled(y), y.equation.level, y.active, y.precision, False)
        with builder.program():
            units, active = dependents(self.symbols, cells, residual)
            evaluator, n = Evaluator(self.symbols, units), units.units
            ones, half = builder.vector(active), builder.scalar(-0.5)
            vectors = []
            for label in self.labels:
                log_variance, scaled = builder.zeros(n), builder.zeros(n)
                source = evaluator.vector(self._at(r.predictor(False), label))
                builder.instruct(p.OP_COPY, log_variance, n, source)
                instruct_root(builder, scaled, n, log_variance)
                deviation = evaluator.vector(self._at(residual.polynomial, label), active)
                builder.instruct(p.OP_MULTIPLY, scaled, n, scaled, deviation)
                vectors += [(scaled, scaled), (log_variance, ones)]
        start = builder.count("products")
        sums = [builder.zeros(cells.units) for _ in vectors]
        for target, (one, other) in zip(sums, vectors, strict=True):
            builder.add("products", [target, units.number, one, other, -1])
        builder.step(p.STEP_PRODUCTS, start, builder.count("products"))
        with builder.program():
            for k, source in enumerate(sums):
                place = evidence + k // 2 * cells.units
                builder.instruct(p.OP_ADD_SCALED, place, cells.units, source, half)

    def _add_logits(self, evidence: int, logits: Logits) -> None:
        """Log probabilities of a nominal outcome at each category."""
        builder, cells = self.builder, self.cells
        with builder.program():
            units, _ = dependents(self.symbols, cells, logits)
            n, size = units.units, len(logits.predictors)
            evaluator = Evaluator(self.symbols, units)
            place = evaluator.vector(Polynomial.of(logits.place))
            found = []
            for label in self.labels:
                both, target = builder.zeros(n * size), builder.zeros(n)
                for k, predictor in enumerate(logits.predictors):
                    source = evaluator.vector(self._at(predictor, label))
                    builder.instruct(p.OP_COPY, both + k * n, n, source)
                builder.instruct(p.OP_CHOICE, target, n, place, both, size + 1)
                found.append(target)
        ones = builder.vector([1.0] * n)
        start = builder.count("products")
        sums = [builder.zeros(cells.units) for _ in found]
        for target, source in zip(sums, found, strict=True):
            builder.add("products", [target, units.number, source, ones, -1])
        builder.step(p.STEP_PRODUCTS, start, builder.count("products"))
        with builder.program():
            for c, source in enumerate(sums):
                builder.instruct(p.OP_ADD, evidence + c * cells.units, cells.units, source)

"""Unknowns on which a log variance depends, each drawn alone: Gaussian by all but the residuals of that variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.model.model import Kind
from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.choice import Choice, PlannedStep, outcome_residuals, refuse_in_logits
from mlbayes.plan.conditional import conditional
from mlbayes.plan.dependents import cell_set, dependents
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression
from mlbayes.plan.symbols import Symbols, placed, unsupported
from mlbayes.plan.unknowns import Coupling, Residual


def other_predictors(choice: Choice, name: str) -> list[Residual]:
    """Models of other predictors, which count in a coherent joint model but not in the default one."""
    if not choice.regressions.joint:
        return []
    others = [part for part in choice.regressions.predictors if part.variable != name]
    return [predictor_residual(choice.symbols, part, False) for part in others]


def predictor_residual(symbols: Symbols, part: PredictorRegression, squares: bool) -> Residual:
    """One level of a predictor model as a residual."""
    active = np.ones(part.units, dtype=np.bool_)
    return Residual(
        part.name, part.residual(), part.level, active, part.precision, squares and not part.fixed
    )


def plan_predictor_modulators(choice: Choice, name: str, parts: Sequence[PredictorRegression]) -> None:
    """Missing values, cluster means and grand mean of a predictor, as far as a log variance depends on them."""
    symbols = choice.symbols
    equations = {r.equation.outcome for r in choice.regressions.locations}
    atoms = [symbols.value(name), *(part.response for part in parts if part.response.kind == "mean")]
    for atom in [*atoms, symbols.grand(name)]:
        if atom not in choice.modulators or (atom.kind == "value" and name in equations):
            continue
        own = [predictor_residual(symbols, part, False) for part in parts] + other_predictors(choice, name)
        Modulator(choice, atom).write([r for r in own if atom in r.polynomial.atoms()], [])


def publish_root(choice: Choice, r: OutcomeRegression) -> None:
    """Bring the roots of an outcome's precisions up to date with the equation `r` of its log variance."""
    symbols, builder = choice.symbols, choice.builder
    root = choice.regressions.modelled_by(r).root
    assert root is not None
    units = builder.unit_set(root.level, symbols.units(root.level), None, None)
    first = builder.count("program")
    source, target = Evaluator(symbols, units).vector(r.predictor(False)), symbols.offset(root)
    builder.instruct(p.OP_SCALE, target, units.units, source, builder.scalar(-0.5))
    builder.instruct(p.OP_EXP, target, units.units, target)
    builder.step_program(first)


def deviation(r: OutcomeRegression) -> Polynomial:
    """What is normal around the linear predictor less that, on the scale of the outcome."""
    return Polynomial.of(r.left) - r.predictor(True)


class Modulator:
    """Writes the step of one symbol."""

    def __init__(self, choice: Choice, atom: Atom) -> None:
        self.choice = choice
        self.symbols = choice.symbols
        self.builder = choice.builder
        self.atom = atom
        self.modulated = [r for r in choice.regressions.log_variances if atom in r.predictor(False).atoms()]
        self.locations = [choice.regressions.modelled_by(r) for r in self.modulated]

    def write(
        self, own: Sequence[Residual], pairs: Sequence[Coupling], unfinished: OutcomeRegression | None = None
    ) -> None:
        """Append all steps.

        `own`: residuals that the symbol is in besides those of outcomes, `pairs`: their couplings; `unfinished`: the
        equation of a log variance that is about to change further.
        """
        with placed(self.modulated[0].equation.span):
            without = {r.number for r in self.locations}
            outcomes, coupled = outcome_residuals(self.choice, [self.atom], without, len(own))
            residuals = [*own, *outcomes]
            self._check(residuals)
        precisions = [(e, e, residual.precision) for e, residual in enumerate(residuals)]
        precisions += [(c.first, c.second, c.precision) for c in (*pairs, *coupled)]
        units = self._units()
        precision, linear = conditional(self.symbols, units, self.atom, residuals, precisions)
        builder, n = self.builder, units.units
        first = builder.count("program")
        values, target = builder.zeros(n), self.symbols.offset(self.atom)
        members = builder.indices(units.members if units.members is not None else np.arange(n))
        builder.instruct(p.OP_GATHER, values, n, target, members)
        rows = [self._row(units, r, y) for r, y in zip(self.modulated, self.locations, strict=True)]
        builder.step_program(first)
        start = builder.count("modulated")
        for row in rows:
            builder.add("modulated", row)
        memory = builder.zeros(2)
        step = [n, values, precision, linear, start, builder.count("modulated"), memory]
        builder.step(p.STEP_MODULATOR, builder.add("modulators", step))
        first = builder.count("program")
        builder.instruct(p.OP_SCATTER, values, n, target, members)
        builder.step_program(first)
        for r in self.modulated:
            if r is not unfinished:
                publish_root(self.choice, r)
        self._words(memory)

    def _check(self, residuals: Sequence[Residual]) -> None:
        """It must be a single number of each unit that enters everything linearly."""
        name, titles = self.atom.name, " and ".join(r.equation.title for r in self.modulated)
        variable = self.choice.model.variables.get(name)
        if self.atom.kind not in ("value", "mean", "grand", "effect"):
            raise unsupported(
                f"the {self.atom.kind} of '{name}' in the equation of '{titles}' cannot be run yet"
            )
        if variable is not None and variable.kind is not Kind.CONTINUOUS:
            raise unsupported(
                f"the incomplete {variable.kind.value} '{name}' in '{titles}' cannot be run yet"
            )
        refuse_in_logits(self.choice, [self.atom], f"'{name}', on which '{titles}' depends,")
        if self.atom.kind == "value" and name in self.symbols.lag_orders:
            raise unsupported(f"missing values of '{name}', which has lags, in '{titles}' cannot be run yet")
        polynomials = [residual.polynomial for residual in residuals]
        polynomials += [r.predictor(False) for r in self.modulated] + [deviation(y) for y in self.locations]
        if not all(polynomial.is_affine_in([self.atom]) for polynomial in polynomials):
            raise unsupported(f"a power of '{name}', on which '{titles}' depends, cannot be run yet")

    def _units(self) -> UnitSet:
        """The units that have it: where a value is missing, else all."""
        if self.atom.kind == "value":
            return cell_set(self.symbols, self.atom.name)
        n = self.symbols.units(self.atom.level)
        return self.builder.unit_set(self.atom.level, n, None, None, np.arange(n))

    def _row(self, units: UnitSet, r: OutcomeRegression, y: OutcomeRegression) -> list[int]:
        """Residuals and log variances of an outcome as functions of the symbol; writes their instructions."""
        builder = self.builder
        residual = Residual(y.equation.title, deviation(y), y.equation.level, y.active, y.precision, False)
        rows, active = dependents(self.symbols, units, residual)
        factor = None if active.all() else active
        evaluator, n = Evaluator(self.symbols, rows), rows.units
        location = residual.polynomial.by_unknown([self.atom])
        log_variance = r.predictor(False).by_unknown([self.atom])
        constant = evaluator.vector(location.get(None, Polynomial()))
        linear = evaluator.vector(location.get(self.atom, Polynomial()))
        precision = builder.zeros(n)
        source = evaluator.vector(log_variance.get(None, Polynomial()))
        builder.instruct(p.OP_SCALE, precision, n, source, builder.scalar(-1.0))
        builder.instruct(p.OP_EXP, precision, n, precision)
        if factor is not None:
            builder.instruct(p.OP_MULTIPLY, precision, n, precision, builder.vector(factor))
        slope = evaluator.vector(log_variance[self.atom], factor)
        return [rows.number, constant, linear, precision, slope]

    def _words(self, memory: int) -> None:
        kinds = {
            "mean": f"latent cluster means of {self.atom.name}",
            "grand": f"grand mean of {self.atom.name}",
            "effect": f"random effects of {self.modulated[0].equation.title}",
        }
        what = kinds.get(self.atom.kind, f"missing or latent values of {self.atom.name}")
        kind = "random effect" if self.atom.kind == "effect" else "imputation"
        name = self.modulated[0].equation.title if self.atom.kind == "effect" else self.atom.name
        self.choice.acceptances.append((name, kind, 1.0, memory))
        self.choice.steps.append(
            PlannedStep(
                what if self.atom.level == TOP else f"{what}, one decision for each",
                "Metropolis: a t distribution around the mode of each, found by Newton steps",
                "the residual variance of "
                + " and ".join(r.equation.title for r in self.locations)
                + " depends on them, which no Gaussian draw can take into account",
            )
        )

"""Unknowns on which a log variance depends, each drawn alone: Gaussian by all but the residuals of that variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.model.model import Kind
from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder, UnitSet
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
    """Missing values, cluster means and grand mean of a predictor, as far as a log variance depends on them.

    Missing categories are drawn with what the log variance says about each of them (`category_evidence`).
    """
    symbols = choice.symbols
    categorical = choice.model.variables[name].kind in (Kind.ORDINAL, Kind.NOMINAL)
    equations = {r.equation.outcome for r in choice.regressions.locations}
    atoms = [symbols.value(name), *(part.response for part in parts if part.response.kind == "mean")]
    for atom in [*atoms, symbols.grand(name)]:
        elsewhere = atom.kind == "value" and (categorical or name in equations)
        if atom not in choice.modulators or elsewhere:
            continue
        own = [predictor_residual(symbols, part, False) for part in parts] + other_predictors(choice, name)
        Modulator(choice, atom).write([r for r in own if atom in r.polynomial.atoms()], [])


def publish_root(choice: Choice, r: OutcomeRegression) -> None:
    """Bring the roots of an outcome's precisions up to date with the equation `r` of its log variance."""
    symbols, builder = choice.symbols, choice.builder
    root = choice.regressions.modelled_by(r).root
    assert root is not None
    units = builder.unit_set(root.level, symbols.units(root.level), None, None)
    with builder.program():
        source, target = Evaluator(symbols, units).vector(r.predictor(False)), symbols.offset(root)
        instruct_root(builder, target, units.units, source)


def instruct_root(builder: PlanBuilder, target: int, n: int, log_variance: int) -> None:
    """Instructions for the roots exp(-v / 2) of the precisions of n log variances v."""
    builder.instruct(p.OP_SCALE, target, n, log_variance, builder.scalar(-0.5))
    builder.instruct(p.OP_EXP, target, n, target)


def publish_roots(choice: Choice, atoms: Sequence[Atom]) -> None:
    """Bring the roots of precisions up to date that depend on any of some symbols."""
    for r in choice.regressions.log_variances:
        if r.predictor(False).atoms() & set(atoms):
            publish_root(choice, r)


def deviation(r: OutcomeRegression) -> Polynomial:
    """What is normal around the linear predictor less that, on the scale of the outcome."""
    return Polynomial.of(r.left) - r.predictor(True)


def unscaled(y: OutcomeRegression) -> Polynomial:
    """The residual of an outcome on its own scale where its log variance is modelled."""
    return deviation(y) if y.heterogeneous and y.population < 0 else y.composite()


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
        together = self._together()
        with placed(self.modulated[0].equation.span):
            without = {y.number for y in together}
            outcomes, coupled = outcome_residuals(self.choice, [self.atom], without, len(own))
            residuals = [*own, *outcomes]
            self._check(residuals, together)
        precisions = [(e, e, residual.precision) for e, residual in enumerate(residuals)]
        precisions += [(c.first, c.second, c.precision) for c in (*pairs, *coupled)]
        units = self._units()
        precision, linear = conditional(self.symbols, units, self.atom, residuals, precisions)
        builder, n = self.builder, units.units
        with builder.program():
            values, target = builder.zeros(n), self.symbols.offset(self.atom)
            members = builder.indices(units.members if units.members is not None else np.arange(n))
            builder.instruct(p.OP_GATHER, values, n, target, members)
            roots: dict[int, int] = {}
            rows = [self._row(units, y, roots) for y in together]
            numbers = {y.number: builder.add("modulated", row) for y, row in zip(together, rows, strict=True)}
            start = numbers[together[0].number]
            last = start + sum(self._is_in(y) for y in together)
            first_pair = builder.count("modulated_pairs")
            for one, two, element in self._pairs(together):
                n_rows = builder.tables["sets"][rows[0][p.MODULATED_SET]][p.SET_UNITS]
                product = builder.zeros(n_rows)
                builder.instruct(p.OP_MULTIPLY, product, n_rows, roots[one], roots[two])
                builder.instruct(p.OP_SCALE, product, n_rows, product, element)
                builder.add("modulated_pairs", [numbers[one], numbers[two], product])
        memory = builder.zeros(2)
        last_pair = builder.count("modulated_pairs")
        step = [n, values, precision, linear, start, last, first_pair, last_pair, memory]
        builder.step(p.STEP_MODULATOR, builder.add("modulators", step))
        with builder.program():
            builder.instruct(p.OP_SCATTER, values, n, target, members)
        for r in self.modulated:
            if r is not unfinished:
                publish_root(self.choice, r)
        self._words(memory)

    def _together(self) -> list[OutcomeRegression]:
        """Outcomes whose log variance depends on it and those that covary with them; first those that it is in."""
        matrices = {y.covariance for y in self.locations if y.covariance}
        others = [y for y in self.choice.regressions.locations if y.covariance in matrices]
        together = [*self.locations, *(y for y in others if y not in self.locations)]
        return sorted(together, key=lambda y: not self._is_in(y))

    def _log_variance(self, y: OutcomeRegression) -> Polynomial:
        """The log variance of an outcome as a polynomial, 0 where it is not modelled."""
        regressions = self.choice.regressions
        modelled = y.heterogeneous and y.population < 0
        of = [r for r in regressions.log_variances if modelled and regressions.modelled_by(r) is y]
        return of[0].predictor(False) if of else Polynomial()

    def _is_in(self, y: OutcomeRegression) -> bool:
        """Does the residual of an outcome, or its log variance, depend on the symbol."""
        return self.atom in y.composite().atoms() | self._log_variance(y).atoms()

    def _pairs(self, together: Sequence[OutcomeRegression]) -> list[tuple[int, int, int]]:
        """Numbers of outcomes that covary, one of them with the symbol, and the element of their precision matrix."""
        depends = {y.number for y in together if self._is_in(y)}
        numbers = {y.number for y in together}
        return [
            (c.members[i], c.members[j], c.precision + i * (i + 1) // 2 + j)
            for c in self.choice.regressions.covariances
            if numbers & set(c.members)
            for i in range(len(c.members))
            for j in range(i)
            if depends & {c.members[i], c.members[j]}
        ]

    def _check(self, residuals: Sequence[Residual], together: Sequence[OutcomeRegression]) -> None:
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
        polynomials += [r.predictor(False) for r in self.modulated] + [unscaled(y) for y in together]
        if not all(polynomial.is_affine_in([self.atom]) for polynomial in polynomials):
            raise unsupported(f"a power of '{name}', on which '{titles}' depends, cannot be run yet")

    def _units(self) -> UnitSet:
        """The units that have it: where a value is missing, else all."""
        if self.atom.kind == "value":
            return cell_set(self.symbols, self.atom.name)
        n = self.symbols.units(self.atom.level)
        return self.builder.unit_set(self.atom.level, n, None, None, np.arange(n))

    def _row(self, units: UnitSet, y: OutcomeRegression, roots: dict[int, int]) -> list[int]:
        """The residual and log variance of an outcome as functions of the symbol; writes their instructions.

        `roots` takes in the place of exp(-c / 2), c the log variance without the symbol, under the outcome's number.
        """
        builder = self.builder
        residual = Residual(y.equation.title, unscaled(y), y.equation.level, y.active, y.precision, False)
        rows, active = dependents(self.symbols, units, residual)
        factor = None if active.all() else active
        evaluator, n = Evaluator(self.symbols, rows), rows.units
        location = residual.polynomial.by_unknown([self.atom])
        log_variance = self._log_variance(y).by_unknown([self.atom])
        constant = evaluator.vector(location.get(None, Polynomial()))
        linear = evaluator.vector(location.get(self.atom, Polynomial()))
        root, precision = builder.zeros(n), builder.zeros(n)
        source = evaluator.vector(log_variance.get(None, Polynomial()))
        instruct_root(builder, root, n, source)
        if factor is not None:
            builder.instruct(p.OP_MULTIPLY, root, n, root, builder.vector(factor))
        builder.instruct(p.OP_MULTIPLY, precision, n, root, root)
        if y.covariance:
            builder.instruct(p.OP_SCALE, precision, n, precision, y.precision)
        slope = evaluator.vector(log_variance.get(self.atom, Polynomial()), factor)
        roots[y.number] = root
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

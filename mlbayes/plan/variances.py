"""Residual variances that differ between units: log-linear (`var(y) ~ ...`) or drawn from a population (hev).

The residual of such an outcome is root * (value - linear predictor) with variance 1, so all blocks draw what they
always draw.  Here is what else must be drawn: random log variances, coefficients, variances of clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbayes.model.model import Kind
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.choice import Choice, PlannedStep
from mlbayes.plan.coefficients import free_coefficients, parameters_of
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.modulators import Modulator, deviation, publish_root
from mlbayes.plan.newton import NewtonStep, factor_columns, publish_effects, standardised
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import inverse_gamma_arguments
from mlbayes.plan.random_effects import effect_groups, set_fixed_factor, write_terms
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import Coupling, EffectGroup, Residual, TopUnknown


def plan_cluster_variances(choice: Choice, r: OutcomeRegression) -> None:
    """The residual variances of clusters, from an inverse gamma population (OPTIONS: hev)."""
    symbols, builder = choice.symbols, choice.builder
    assert r.root is not None
    clusters = symbols.units(r.root.level)
    parents = choice.model.hierarchy.ancestors(r.equation.level, r.root.level)
    above = builder.unit_set(r.root.level, clusters, None, None)
    rows = builder.unit_set(r.equation.level, parents.size, above, parents)
    with builder.program():
        factor = None if r.active.all() else r.active.astype(np.float64)
        residual = Evaluator(symbols, rows).vector(deviation(r), factor)
    squares = builder.zeros(clusters)
    start = builder.add("products", [squares, rows.number, residual, residual, -1])
    builder.step(p.STEP_PRODUCTS, start, start + 1)
    counts = builder.vector(np.bincount(parents, r.active, clusters).astype(np.float64))
    row = [clusters, squares, counts, symbols.offset(r.root), r.population]
    builder.step(p.STEP_CLUSTER_VARIANCES, builder.add("cluster_variances", row))
    choice.steps.append(
        PlannedStep(
            f"residual variances of {r.equation.title} within clusters, their centre and index of heterogeneity",
            "slice sampling of centre and index with the variances integrated out, then inverse gamma draws",
            "given the residuals the variances of clusters are independent of all else",
        )
    )


def plan_log_variance(choice: Choice, r: OutcomeRegression) -> None:
    """Everything that an equation of a log variance adds, after the blocks of its outcome."""
    if choice.symbols.is_dynamic(_root(choice, r)):
        LogVariance(choice, r).write()


def _root(choice: Choice, r: OutcomeRegression) -> Atom:
    root = choice.regressions.modelled_by(r).root
    assert root is not None
    return root


@dataclass
class MovedLatent:
    """A latent log variance whose mean and standard deviation the Newton step moves, given standardised values.

    `equation`: its own; `slope`: what it is multiplied with in the log variance; `coefficients`: of its mean;
    `spread`: place of its standard deviation, -1 if that stays; `previous`: the same before the step.
    """

    equation: OutcomeRegression
    slope: Polynomial
    coefficients: list[TopUnknown]
    units: UnitSet
    spread: int = -1
    previous: int = -1

    @property
    def atom(self) -> Atom:
        """Its symbol."""
        return self.equation.outcome


class LogVariance:
    """Writes the steps of one equation of a log variance."""

    def __init__(self, choice: Choice, r: OutcomeRegression) -> None:
        self.choice = choice
        self.symbols = choice.symbols
        self.builder = choice.builder
        self.regression = r
        self.location = choice.regressions.modelled_by(r)
        self.predictor = r.predictor(False)
        self.groups = effect_groups(choice, r)
        self._refuse_others()
        self.coefficients = self._coefficients()

    def write(self) -> None:
        """Append all steps."""
        for k, random in enumerate(self.regression.equation.random):
            set_fixed_factor(self.choice, self.regression, k, random.variance)
        for group, precision in [(group, self._effects(group)) for group in self.groups]:
            self._finish_effects(group, precision)
        for atom in sorted(self.predictor.atoms() & self.choice.modulators):
            if self._is_category(atom):
                continue  # drawn with the category's own model
            if atom.kind == "value" and self._has_equation(atom) and atom not in self.choice.drawn:
                self.choice.drawn.add(atom)
                Modulator(self.choice, atom).write([], [], self.regression)
            elif atom.kind == "effect" and atom.name != str(self.regression.number):
                raise unsupported(
                    f"a random effect of another equation in '{self.regression.equation.title}' cannot be run yet",
                    "use a latent variable as the coefficient",
                )
        self._newton()
        publish_root(self.choice, self.regression)
        write_terms(self.choice, [self.regression])

    def _refuse_others(self) -> None:
        """Latent responses, unknown dummy variables and lags have no step that takes a log variance into account."""
        title = self.regression.equation.title
        for atom in sorted(self.predictor.atoms() & self.choice.modulators):
            if atom.kind not in ("value", "mean", "grand", "effect") and not self._is_category(atom):
                what = {"share": "expected code", "response": "latent response"}.get(atom.kind, atom.kind)
                raise unsupported(
                    f"the {what} of '{atom.name}' in the equation of '{title}' cannot be run yet"
                )

    def _is_category(self, atom: Atom) -> bool:
        """Is it the code, or a dummy variable, of a categorical variable."""
        variable = self.choice.model.variables.get(atom.name)
        categorical = variable is not None and variable.kind in (Kind.ORDINAL, Kind.NOMINAL)
        return categorical and atom.kind in ("value", "code")

    def _has_equation(self, atom: Atom) -> bool:
        return any(r.equation.outcome == atom.name for r in self.choice.regressions.locations)

    def _coefficients(self) -> list[TopUnknown]:
        """The free coefficients, which must enter this equation alone, linearly and without bounds."""
        r = self.regression
        free = free_coefficients(self.choice, r, self.predictor)
        known = {top.atom for top in free}
        functions = [a for a in self.predictor.atoms() if a.kind == "function"]
        for atom in [*parameters_of(r), *functions]:
            if atom not in known:
                raise unsupported(
                    f"'{atom.name}' in '{r.equation.title}' cannot be run yet: it is in another equation too, has"
                    " bounds, or is not a plain coefficient",
                    "use normal(mean, variance) as the prior of a coefficient of its own",
                )
        return free

    # ------------------------------------------------------------------ random effects
    def _effects(self, group: EffectGroup) -> int:
        """The random effects of a level one by one; returns the place of the inverse of their covariance matrix."""
        if group.separate is not None:
            raise unsupported(
                f"OPTIONS: use_phantom with several random effects of '{self.regression.equation.title}' cannot be"
                " run yet"
            )
        m = len(group.atoms)
        precision = self.builder.zeros(m * (m + 1) // 2)
        self._invert(group, precision)
        residuals, pairs = self._effect_residuals(group, precision)
        for atom in group.atoms:
            Modulator(self.choice, atom).write(residuals, pairs, self.regression)
        return precision

    def _effect_residuals(self, group: EffectGroup, precision: int) -> tuple[list[Residual], list[Coupling]]:
        title = f"the random effects of {self.regression.equation.title}"
        everyone = np.ones(self.symbols.units(group.level), dtype=np.bool_)
        residuals = [
            Residual(title, Polynomial.of(atom), group.level, everyone, precision + k * (k + 3) // 2, True)
            for k, atom in enumerate(group.atoms)
        ]
        pairs = [
            Coupling(i, j, precision + i * (i + 1) // 2 + j) for i in range(len(residuals)) for j in range(i)
        ]
        return residuals, pairs

    def _invert(self, group: EffectGroup, target: int) -> None:
        """Instructions for the packed inverse of LL' from L: M = L^-1 by substitution, then M'M."""
        builder, m = self.builder, len(group.atoms)
        with builder.program():
            inverse = [[builder.zeros(1) for _ in range(i + 1)] for i in range(m)]
            for i in range(m):
                builder.instruct(p.OP_RECIPROCAL, inverse[i][i], 1, group.factor + i * (i + 3) // 2)
                for j in range(i):
                    total = inverse[i][j]
                    builder.instruct(p.OP_FILL, total, 1, builder.zero)
                    for k in range(j, i):
                        element = group.factor + i * (i + 1) // 2 + k
                        builder.instruct(p.OP_ADD_PRODUCT, total, 1, element, inverse[k][j])
                    builder.instruct(p.OP_MULTIPLY, total, 1, total, inverse[i][i])
                    builder.instruct(p.OP_SCALE, total, 1, total, builder.scalar(-1.0))
            for i in range(m):
                for j in range(i + 1):
                    element = target + i * (i + 1) // 2 + j
                    builder.instruct(p.OP_FILL, element, 1, builder.zero)
                    for k in range(i, m):
                        builder.instruct(p.OP_ADD_PRODUCT, element, 1, inverse[k][i], inverse[k][j])

    def _finish_effects(self, group: EffectGroup, precision: int) -> None:
        """Their covariance matrix given the effects, unless it is fixed; then the effects standardised."""
        builder, m = self.builder, len(group.atoms)
        n = self.symbols.units(group.level)
        if self._is_free(group):
            residuals, pairs = self._effect_residuals(group, precision)
            block = AffineBlock(self.symbols, [], [], residuals, couplings=pairs)
            block.prepare()
            self.choice.blocks.append(block)
            builder.step(p.STEP_DRAW, block.number)
            prior = builder.vector([group.df, group.scale])
            row = [m, precision, group.factor, prior, n, -1, 0]
            builder.step(p.STEP_WISHART, block.number, builder.add("covariances", row))
        with builder.program():
            for i, atom in enumerate(group.atoms):
                target = self.symbols.offset(standardised(atom))
                builder.instruct(p.OP_COPY, target, n, self.symbols.offset(atom))
                scale = builder.zeros(1)
                for j, other in enumerate(group.atoms[:i]):
                    element = group.factor + i * (i + 1) // 2 + j
                    minus = builder.zeros(1)
                    builder.instruct(p.OP_SCALE, minus, 1, element, builder.scalar(-1.0))
                    source = self.symbols.offset(standardised(other))
                    builder.instruct(p.OP_ADD_SCALED, target, n, source, minus)
                builder.instruct(p.OP_RECIPROCAL, scale, 1, group.factor + i * (i + 3) // 2)
                builder.instruct(p.OP_SCALE, target, n, target, scale)

    def _is_free(self, group: EffectGroup) -> bool:
        own = next(g for g in self.regression.equation.random if g.level == group.level)
        return own.variance is None or self.choice.model.parameters[own.variance].fixed is None

    # ------------------------------------------------------------------ coefficients
    def _newton(self) -> None:
        """Coefficients, standard deviations of random effects, means and standard deviations of latent variables."""
        groups = [group for group in self.groups if self._is_free(group)]
        latents = self._moved_latents()
        if not self.coefficients and not groups and not latents:
            return
        builder, symbols = self.builder, self.symbols
        level = self.regression.equation.level
        everyone = builder.unit_set(level, symbols.units(level), None, None)
        n = everyone.units
        first = builder.count("program")
        for latent in latents:
            self._standardise(latent)
        evaluator = Evaluator(symbols, everyone)
        step = NewtonStep(symbols, n)
        split = self.predictor.by_unknown([top.atom for top in self.coefficients])
        for top in self.coefficients:
            step.coefficient(evaluator.vector(split[top.atom]), top)
        for group in groups:
            columns = factor_columns(group, self.regression.terms)
            step.factor(group, [evaluator.vector(column) for column in columns])
        for latent in latents:
            self._add_latent(latent, step, evaluator)
        predictor = builder.zeros(n)
        builder.instruct(p.OP_COPY, predictor, n, evaluator.vector(self.predictor))
        squares, cross = self._squares(evaluator)
        memory = step.write(p.NEWTON_VARIANCE, first, squares, predictor, sd=cross)
        with builder.program():
            for group in groups:
                publish_effects(symbols, group)
            for latent in latents:
                self._publish_latent(latent)
        self._words(memory, bool(groups), latents)

    def _squares(self, evaluator: Evaluator) -> tuple[int, int]:
        """Offsets of squared residuals, -1 for units without one, and of products with residuals that covary, if any.

        With P the inverse of the correlation matrix the log density of a residual e of log variance v is
        -(v + P_ee e^2 exp(-v)) / 2 - e exp(-v / 2) times the sum of P_ef r_f over the other residuals r_f.
        """
        builder, n, y = self.builder, evaluator.set.units, self.location
        squares, source = builder.zeros(n), evaluator.vector(deviation(y))
        builder.instruct(p.OP_MULTIPLY, squares, n, source, source)
        cross = -1
        if y.covariance:
            builder.instruct(p.OP_SCALE, squares, n, squares, y.precision)
            cross = builder.zeros(n)
            builder.instruct(p.OP_FILL, cross, n, builder.zero)
            regressions = self.choice.regressions
            for other, element in regressions.covarying_with(y):
                residual = evaluator.vector(other.composite())
                builder.instruct(p.OP_ADD_SCALED, cross, n, residual, element)
            builder.instruct(p.OP_MULTIPLY, cross, n, cross, source)
        active = y.active
        if not active.all():
            builder.instruct(p.OP_MULTIPLY, squares, n, squares, builder.vector(active.astype(np.float64)))
            builder.instruct(p.OP_SUBTRACT, squares, n, builder.vector((~active).astype(np.float64)))
        return squares, cross

    def _words(self, memory: int, effects: bool, latents: list[MovedLatent]) -> None:
        title = self.regression.equation.title
        moved = ["coefficients"] if self.coefficients else []
        moved += ["(co)variances of random effects"] if effects else []
        for latent in latents:
            parts = ["mean"] if latent.coefficients else []
            parts += ["standard deviation"] if latent.spread >= 0 else []
            moved.append(f"{' and '.join(parts)} of {latent.atom.name}")
        self.choice.acceptances.append((title, "parameter", 1.0, memory))
        how = "independence Metropolis around one Newton step from a point learned in burn-in"
        if effects or latents:
            how += ", given standardised random log variances (interweaving)"
        self.choice.steps.append(
            PlannedStep(
                f"{title}: {', '.join(moved)}", how, "squared residuals follow a log-linear gamma regression"
            )
        )

    # ------------------------------------------------------------------ latent log variances
    def _moved_latents(self) -> list[MovedLatent]:
        """Latent variables of this equation that no other one has, so that they can move with their mean and spread."""
        found = []
        modulators = self.choice.modulators
        for r in self.choice.regressions.locations:
            atom = r.outcome
            if atom not in modulators or atom not in self.predictor.atoms():
                continue
            others = [o.expanded() for o in self.choice.regressions.locations if o is not r]
            others += [
                o.predictor(False) for o in self.choice.regressions.log_variances if o is not self.regression
            ]
            slope = self.predictor.by_unknown([atom])[atom]
            unknown = any(a.kind in ("parameter", "function") or a in modulators for a in slope.atoms())
            latent = bool(self.choice.model.variables[atom.name].missing.all())
            if not latent or unknown or any(atom in other.atoms() for other in others):
                continue
            coefficients = free_coefficients(self.choice, r, r.predictor(False))
            units = self.builder.unit_set(atom.level, self.symbols.units(atom.level), None, None)
            moved = MovedLatent(r, slope, coefficients, units)
            if self._spread_is_free(r):
                moved.spread, moved.previous = self.builder.zeros(1), self.builder.zeros(1)
            if coefficients or moved.spread >= 0:
                found.append(moved)
        return found

    def _matrix(self, r: OutcomeRegression) -> ResidualCovariance | None:
        return next((c for c in self.choice.regressions.covariances if c.name == r.covariance), None)

    def _spread_is_free(self, r: OutcomeRegression) -> bool:
        """Is a latent variable's residual variance estimated, and equal to no other."""
        parameter = self.choice.model.parameters.get(r.equation.residual or "")
        if parameter is None or parameter.fixed is not None:
            return False
        names = [other.equation.residual for other in self.choice.regressions.locations]
        return names.count(parameter.name) == 1

    def _standardise(self, latent: MovedLatent) -> None:
        """Instructions for the standardised values and the standard deviation before the step."""
        builder, symbols, r = self.builder, self.symbols, latent.equation
        n = latent.units.units
        target = symbols.offset(standardised(latent.atom))
        source = Evaluator(symbols, latent.units).vector(Polynomial.of(latent.atom) - r.predictor(False))
        if latent.spread < 0:
            builder.instruct(p.OP_COPY, target, n, source)
            return
        matrix = self._matrix(r)
        old = latent.previous
        if matrix is None:
            builder.instruct(p.OP_RECIPROCAL, old, 1, r.precision)
        else:
            row = matrix.members.index(r.number)
            element = matrix.factor + row * (row + 1) // 2
            builder.instruct(p.OP_FILL, old, 1, builder.zero)
            for j in range(row + 1):
                builder.instruct(p.OP_ADD_PRODUCT, old, 1, element + j, element + j)
        builder.instruct(p.OP_SQUARE_ROOT, old, 1, old)
        builder.instruct(p.OP_COPY, latent.spread, 1, old)
        inverse = builder.zeros(1)
        builder.instruct(p.OP_RECIPROCAL, inverse, 1, old)
        builder.instruct(p.OP_SCALE, target, n, source, inverse)

    def _add_latent(self, latent: MovedLatent, step: NewtonStep, evaluator: Evaluator) -> None:
        """Columns of the coefficients of its mean and of its standard deviation."""
        split = latent.equation.predictor(False).by_unknown([top.atom for top in latent.coefficients])
        for top in latent.coefficients:
            step.coefficient(evaluator.vector(latent.slope * split[top.atom]), top)
        if latent.spread >= 0:
            column = evaluator.vector(latent.slope * Polynomial.of(standardised(latent.atom)))
            step.elements(latent.spread, 1, self._spread_prior(latent), [column])

    def _spread_prior(self, latent: MovedLatent) -> int:
        """Place of df and scale of the inverse Wishart prior that its variance has, correlations held fixed.

        A matrix D R D with the prior IW(df, scale I) and one element of D as the only unknown: with d the diagonal
        element of the inverse times the variance, which does not change, the variance is IW(df, scale d).
        """
        builder, r = self.builder, latent.equation
        matrix = self._matrix(r)
        if matrix is None or matrix.parts >= 0:
            a, b = inverse_gamma_arguments(self.choice.model.parameters[r.equation.residual or ""].prior)
            return builder.vector([2.0 * a, 2.0 * b])
        prior = builder.vector([matrix.df, 0.0])
        if matrix.scale > 0.0:
            row = matrix.members.index(r.number)
            builder.instruct(p.OP_MULTIPLY, prior + 1, 1, latent.previous, latent.previous)
            element = matrix.precision + row * (row + 3) // 2
            builder.instruct(p.OP_MULTIPLY, prior + 1, 1, prior + 1, element)
            builder.instruct(p.OP_SCALE, prior + 1, 1, prior + 1, builder.scalar(matrix.scale))
        return prior

    def _publish_latent(self, latent: MovedLatent) -> None:
        """Instructions for the latent values, and for the (co)variances that follow from the standard deviation."""
        builder, symbols, r = self.builder, self.symbols, latent.equation
        n, target = latent.units.units, symbols.offset(latent.atom)
        mean = Evaluator(symbols, latent.units).vector(r.predictor(False))
        builder.instruct(p.OP_COPY, target, n, mean)
        scale = builder.one if latent.spread < 0 else latent.spread
        builder.instruct(p.OP_ADD_SCALED, target, n, symbols.offset(standardised(latent.atom)), scale)
        if latent.spread < 0:
            return
        ratio, inverse = builder.zeros(1), builder.zeros(1)
        builder.instruct(p.OP_COPY, ratio, 1, latent.spread)
        builder.instruct(p.OP_DIVIDE, ratio, 1, latent.previous)
        builder.instruct(p.OP_RECIPROCAL, inverse, 1, ratio)
        matrix = self._matrix(r)
        if matrix is None:
            builder.instruct(p.OP_MULTIPLY, r.precision, 1, r.precision, inverse)
            builder.instruct(p.OP_MULTIPLY, r.precision, 1, r.precision, inverse)
            return
        row, m = matrix.members.index(r.number), len(matrix.members)
        for j in range(m):
            low, high = min(row, j), max(row, j)
            element = matrix.precision + high * (high + 1) // 2 + low
            builder.instruct(p.OP_MULTIPLY, element, 1, element, inverse)
            if j <= row:
                element = matrix.factor + row * (row + 1) // 2 + j
                builder.instruct(p.OP_MULTIPLY, element, 1, element, ratio)
        diagonal = matrix.precision + row * (row + 3) // 2
        builder.instruct(p.OP_MULTIPLY, diagonal, 1, diagonal, inverse)
        if matrix.parts >= 0:
            builder.instruct(p.OP_MULTIPLY, matrix.parts + row, 1, matrix.parts + row, ratio)

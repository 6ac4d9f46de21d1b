"""What every draw keeps, and where: the part of the store that is copied out after each sweep."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mlbayes.model.expressions import Centring, Form, Reference
from mlbayes.model.model import At, Kind, Model, ModeratorSpec, Role
from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.category_shares import publish_category_shares
from mlbayes.plan.cross import CrossProducts
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.expected_codes import expected_code
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.symbols import Symbols, unsupported

SHARES = {At.QUANTILE: (0.84, 0.5, 0.16), At.QUARTILE: (0.75, 0.5, 0.25)}
QUARTILES = (0.25, 0.5, 0.75)  # of residual variances that differ between units


@dataclass(frozen=True)
class EquationLayout:
    """Places of an equation's numbers in a record; `covariances` row by row, effects in reversed order of terms.

    `variance`: residual variance (its mean where it differs between units), or the dispersion of a count; `spread`:
    quartiles of a residual variance that differs between units, -1 if it does not; `population`: centre and
    heterogeneity index of the residual variances of clusters, -1 without such; `cuts`: thresholds of an ordinal
    outcome from the second on, `cut_count` of them.
    """

    coefficients: int
    variance: int
    sd: int
    explained: int
    covariances: tuple[int, ...]
    parts: tuple[int, ...]
    cuts: int
    cut_count: int
    spread: int
    population: int


@dataclass(frozen=True)
class PredictorLayout:
    """Places of a predictor response's numbers: grand mean, slopes and precision of each part, thresholds as above."""

    grand_mean: int
    slopes: tuple[int, ...]
    precisions: tuple[int, ...]
    cuts: int
    cut_count: int


@dataclass
class Layout:
    """Where each recorded number stands within a record of `width` numbers.

    `residual_covariances`: place of each residual covariance matrix, row by row; `average_covariances`: for each the
    places of means over units of covariances that differ between them, by the positions of the two members.
    `parameters`: place of each free parameter that is no coefficient of a term.
    `moderators`[effect][moderator]: place of (mean, standard deviation), of the quantiles, or of what a categorical
    moderator is centred at; -1 where its points are not recorded.
    """

    width: int = 0
    equations: list[EquationLayout] = field(default_factory=list)
    predictors: list[PredictorLayout] = field(default_factory=list)
    moderators: list[list[int]] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    residual_covariances: list[int] = field(default_factory=list)
    average_covariances: list[dict[tuple[int, int], int]] = field(default_factory=list)


class Recorder:
    """Writes the last steps of a sweep: everything that is reported, on the scale of the report."""

    def __init__(self, model: Model, symbols: Symbols, regressions: Regressions) -> None:
        self.model = model
        self.symbols = symbols
        self.builder = symbols.builder
        self.regressions = regressions
        self.layout = Layout()

    def write(self) -> Layout:
        """Append the steps; returns the layout."""
        self._reserve()
        start = self.builder.zeros(max(self.layout.width, 1))
        self.builder.record = (start, start + self.layout.width)
        self.start = start
        self._shares()
        for c, target in zip(self.regressions.covariances, self.layout.residual_covariances, strict=True):
            self.builder.step(p.STEP_COVARIANCE, c.factor, len(c.members), -1, start + target)
        with self.builder.program():
            for r, place in zip(self.regressions.outcomes, self.layout.equations, strict=True):
                self._coefficients(r, place)
            for name, target in self.layout.parameters.items():
                source = self.symbols.offset(Atom("parameter", name, TOP))
                self.builder.instruct(p.OP_COPY, self.start + target, 1, source)
            self._predictors()
        for r, place in zip(self.regressions.outcomes, self.layout.equations, strict=True):
            if r.heterogeneous:
                self._spread(r, place)
            self._covariances(r, place)
            self._explain(r, place)
        for c, averages in zip(self.regressions.covariances, self.layout.average_covariances, strict=True):
            self._averages(c, averages)
        self._moderators()
        return self.layout

    # ------------------------------------------------------------------ places
    def _take(self, n: int) -> int:
        place = self.layout.width
        self.layout.width += n
        return place

    def _cut_count(self, name: str, cuts: int) -> int:
        """Thresholds to record: all but the first, which is 0."""
        return len(self.model.variables[name].codes) - 2 if cuts >= 0 else 0

    def _reserve(self) -> None:
        for r in self.regressions.outcomes:
            k = len(r.terms)
            groups = r.equation.random
            self.layout.equations.append(
                EquationLayout(
                    self._take(k),
                    self._take(1),
                    sd := self._take(k + 1 + 2 * len(groups)),
                    sd + k,
                    tuple(self._take(len(group.terms) ** 2) for group in groups),
                    tuple(sd + k + 1 + 2 * i for i in range(len(groups))),
                    self._take(cuts := self._cut_count(r.equation.outcome, r.cuts)),
                    cuts,
                    self._take(p.QUANTILE_SHARES) if r.heterogeneous else -1,
                    self._take(2) if r.population >= 0 else -1,
                )
            )
        for parts in self.regressions.predictor_responses():
            self.layout.predictors.append(
                PredictorLayout(
                    self._take(1),
                    tuple(self._take(len(part.slopes)) for part in parts),
                    tuple(self._take(1) for _ in parts),
                    self._take(cuts := self._cut_count(parts[0].variable, parts[0].cuts)),
                    cuts,
                )
            )
        coefficients = {term.coefficient for e in self.model.equations for term in e.terms}
        within = {a for f in self.symbols.functions.values() for a in f.parameters}
        within |= {
            a for r in self.regressions.outcomes for a in r.expanded().atoms() if a.kind == "parameter"
        }
        for atom in sorted(within):
            if atom.name not in coefficients:
                self.layout.parameters[atom.name] = self._take(1)
        for c in self.regressions.covariances:
            self.layout.residual_covariances.append(self._take(len(c.members) ** 2))
            differ = [self.regressions.outcomes[number].heterogeneous for number in c.members]
            pairs = [(i, j) for i in range(len(differ)) for j in range(i) if differ[i] or differ[j]]
            self.layout.average_covariances.append({pair: self._take(1) for pair in pairs})
        for effect in self.model.conditional_effects:
            widths = [self._moderator_width(moderator) for moderator in effect.moderators]
            self.layout.moderators.append([self._take(width) if width else -1 for width in widths])

    def _moderator_width(self, moderator: ModeratorSpec) -> int:
        """How many numbers its points need: none for values, parameters, and codes that are not centred."""
        if moderator.at in SHARES:
            return p.QUANTILE_SHARES
        return {At.SD: 2, At.CODES: int(is_centred(moderator))}.get(moderator.at, 0)

    # ------------------------------------------------------------------ parameters
    def _shares(self) -> None:
        """What a centred categorical predictor is centred at: an ordinal one at its mean code, from the shares of its
        categories, a nominal one at those.

        A category's share is Phi((tau - grand mean) / SD of the latent responses) between its thresholds; with two
        categories 0 and 1 the mean code is the probability of 1.
        """
        for part in self.regressions.predictors:
            if part.cuts < 0:
                continue
            moments = self.builder.zeros(2)
            self.builder.step(p.STEP_MOMENTS, moments, self.symbols.offset(part.response), part.units)
            with self.builder.program():
                code = expected_code(self.symbols, part, TOP)
                grand = self.symbols.offset(code.mean)
                code.instruct(self.builder, self.symbols.offset(code.atom), 1, grand, moments + 1)
        for name, variable in self.model.variables.items():
            parts = [part for part in self.regressions.predictors if part.variable == name and part.fixed]
            if parts and variable.kind is Kind.NOMINAL and variable.centring is Centring.GRAND:
                with self.builder.program():
                    publish_category_shares(self.symbols, parts)

    def _single(self) -> UnitSet:
        return self.builder.unit_set(TOP, 1, None, None)

    def _coefficients(self, r: OutcomeRegression, place: EquationLayout) -> None:
        evaluator = Evaluator(self.symbols, self._single())
        for s, coefficient in enumerate(r.coefficients):
            total = coefficient
            for (target, t), change in r.recentring.change.items():
                if target == s:
                    total = total + change * r.coefficients[t]
            source = evaluator.vector(total)
            self.builder.instruct(p.OP_COPY, self.start + place.coefficients + s, 1, source)
        if place.cut_count:
            self.builder.instruct(p.OP_COPY, self.start + place.cuts, place.cut_count, r.cuts + 1)
        if r.dispersion >= 0:
            self.builder.instruct(p.OP_COPY, self.start + place.variance, 1, r.dispersion)
            return
        if not r.covariance:
            self.builder.instruct(p.OP_RECIPROCAL, self.start + place.variance, 1, r.precision)
            return
        for c, matrix in zip(self.regressions.covariances, self.layout.residual_covariances, strict=True):
            if c.name == r.covariance:
                diagonal = c.members.index(r.number) * (len(c.members) + 1)
                source = self.start + matrix + diagonal
                self.builder.instruct(p.OP_COPY, self.start + place.variance, 1, source)

    def _spread(self, r: OutcomeRegression, place: EquationLayout) -> None:
        """Mean and quartiles of a residual variance that differs between units."""
        assert r.root is not None
        builder, n = self.builder, self.symbols.units(r.root.level)
        variances, moments = builder.zeros(n), builder.zeros(2)
        root = self.symbols.offset(r.root)
        with builder.program():
            builder.instruct(p.OP_MULTIPLY, variances, n, root, root)
            builder.instruct(p.OP_RECIPROCAL, variances, n, variances)
        shares = builder.vector(np.array(QUARTILES))
        builder.step(p.STEP_QUANTILES, self.start + place.spread, variances, n, shares)
        builder.step(p.STEP_MOMENTS, moments, variances, n)
        with builder.program():
            builder.instruct(p.OP_COPY, self.start + place.variance, 1, moments)
            if place.population >= 0:
                builder.instruct(p.OP_COPY, self.start + place.population, 2, r.population)

    def _averages(self, c: ResidualCovariance, places: dict[tuple[int, int], int]) -> None:
        """Means of covariances that differ between units: a scaled residual's covariance over both roots."""
        builder = self.builder
        matrix = self.start + self.layout.residual_covariances[self.regressions.covariances.index(c)]
        for (i, j), place in places.items():
            roots = [self.regressions.outcomes[c.members[k]].root for k in (i, j)]
            scaled = [root for root in roots if root is not None]
            units = builder.unit_set(scaled[0].level, self.symbols.units(scaled[0].level), None, None)
            values, moments = builder.zeros(units.units), builder.zeros(2)
            with builder.program():
                product = Polynomial.number(1.0)
                for root in scaled:
                    product = product * Polynomial.of(root)
                source = Evaluator(self.symbols, units).vector(product)
                builder.instruct(p.OP_RECIPROCAL, values, units.units, source)
            builder.step(p.STEP_MOMENTS, moments, values, units.units)
            with builder.program():
                builder.instruct(
                    p.OP_MULTIPLY, self.start + place, 1, moments, matrix + i * len(c.members) + j
                )

    def _predictors(self) -> None:
        responses = self.regressions.predictor_responses()
        for parts, place in zip(responses, self.layout.predictors, strict=True):
            if place.cut_count:
                source = parts[0].cuts + 1
                self.builder.instruct(p.OP_COPY, self.start + place.cuts, place.cut_count, source)
            grand = self.symbols.offset(parts[-1].intercept)
            self.builder.instruct(p.OP_COPY, self.start + place.grand_mean, 1, grand)
            for part, slopes, precision in zip(parts, place.slopes, place.precisions, strict=True):
                for i, slope in enumerate(part.slopes):
                    source = self.symbols.offset(slope)
                    self.builder.instruct(p.OP_COPY, self.start + slopes + i, 1, source)
                self.builder.instruct(p.OP_COPY, self.start + precision, 1, part.precision)

    # ------------------------------------------------------------------ random effects, explained variance
    def _covariances(self, r: OutcomeRegression, place: EquationLayout) -> None:
        for group, factor, target in zip(r.equation.random, r.factors, place.covariances, strict=True):
            terms = list(reversed(group.terms))
            n = len(terms)
            change = -1
            if any(s in terms and t in terms for s, t in r.recentring.change):
                change = self.builder.vector(np.eye(n))
                with self.builder.program():
                    evaluator = Evaluator(self.symbols, self._single())
                    for (s, t), polynomial in r.recentring.change.items():
                        if s in terms and t in terms:
                            entry = change + terms.index(s) * n + terms.index(t)
                            self.builder.instruct(p.OP_COPY, entry, 1, evaluator.vector(polynomial))
            self.builder.step(p.STEP_COVARIANCE, factor, n, change, self.start + target)

    def _explain(self, r: OutcomeRegression, place: EquationLayout) -> None:
        """Sums over all units of products of terms, then the decomposition of the outcome's variance."""
        builder = self.builder
        level = r.equation.level
        hierarchy = self.model.hierarchy
        own = max(level, 2)
        if own > hierarchy.levels:
            tier = self._single()
        else:
            tier = builder.unit_set(own, hierarchy.units[own - 1], None, None)
        columns = [Polynomial.number(1.0)]
        columns += [self.symbols.polynomial(term.expression) for term in r.equation.terms]
        active = np.ones(self.symbols.units(level), dtype=np.bool_)
        with builder.program():
            products = CrossProducts(self.symbols, tier, level, active, columns)
            size = len(columns) * (len(columns) + 1) // 2
            totals = builder.zeros(size)
            sums: list[tuple[int, int]] = []
            for i in range(len(columns)):
                for j in range(i + 1):
                    cross = products.cross(i, j)
                    target = totals + i * (i + 1) // 2 + j
                    if cross is not None and cross.numbers is not None:
                        builder.preset(target, float(cross.numbers.sum()))
                    elif cross is not None:
                        sums.append((target, cross.offset))
        if products.rows is not None:
            products.rows.step()
        fills = builder.count("fills")
        for fill in products.pending:
            builder.add("fills", fill)
        if builder.count("fills") > fills:
            builder.step(p.STEP_FILLS, fills, builder.count("fills"))
        with builder.program():
            for target, source in sums:
                builder.instruct(p.OP_SUM, target, tier.units, source)
        groups: list[int] = [len(r.equation.random)]
        for group, covariance in zip(r.equation.random, place.covariances, strict=True):
            groups += [len(group.terms), self.start + covariance, *reversed(group.terms)]
        coefficients = self.start + place.coefficients
        if latent_intercept(self.model, r):
            coefficients = builder.zeros(len(r.terms))
            with builder.program():
                source = self.start + place.coefficients + 1
                builder.instruct(p.OP_COPY, coefficients + 1, len(r.terms) - 1, source)
        row = [
            len(r.terms),
            totals,
            coefficients,
            self.start + place.sd,
            self.symbols.units(level),
            builder.indices(groups),
        ]
        builder.step(p.STEP_EXPLAIN, builder.add("explains", row))

    # ------------------------------------------------------------------ moderators
    def _moderators(self) -> None:
        """Mean and standard deviation, or quantiles, of each continuous moderator over the units of its level."""
        for effect, places in zip(self.model.conditional_effects, self.layout.moderators, strict=True):
            for moderator, place in zip(effect.moderators, places, strict=True):
                if place < 0:
                    continue
                if moderator.at is At.CODES:
                    self._centre(moderator, place)
                    continue
                level = moderator.reference.level
                units = self.builder.unit_set(level, self.symbols.units(level), None, None)
                with self.builder.program():
                    vector = Evaluator(self.symbols, units).vector(
                        self.symbols.polynomial(moderator.reference)
                    )
                if moderator.at is At.SD:
                    self.builder.step(p.STEP_MOMENTS, self.start + place, vector, units.units)
                else:
                    shares = self.builder.vector(np.array(SHARES[moderator.at]))
                    self.builder.step(p.STEP_QUANTILES, self.start + place, vector, units.units, shares)

    def _centre(self, moderator: ModeratorSpec, place: int) -> None:
        """What a centred categorical moderator is centred at: its points are codes less that."""
        name = moderator.reference.variable
        if moderator.reference.centring is Centring.GROUP:
            raise unsupported(f"conditional effects at codes of '{name}', which is centred at group means")
        if name in self.symbols.modelled:
            source = self.symbols.offset(self.symbols.centre(name, moderator.reference.argument))
        elif moderator.reference.form is Form.DUMMY:
            proportion = self.model.observed_proportion(name, moderator.reference.argument)
            source = self.builder.scalar(proportion)
        else:
            source = self.builder.scalar(self.model.observed_mean(name))
        with self.builder.program():
            self.builder.instruct(p.OP_COPY, self.start + place, 1, source)


def latent_intercept(model: Model, r: OutcomeRegression) -> bool:
    """Is the first term a latent variable in the place of the intercept, whose variance is not explained variance."""
    if not r.equation.terms:
        return False
    first = r.equation.terms[0]
    latent = isinstance(first.expression, Reference) and (
        model.variables[first.expression.variable].role is Role.LATENT
    )
    return latent and all(term.label != "Intercept" for term in r.equation.terms)


def is_centred(moderator: ModeratorSpec) -> bool:
    """Is a moderator centred, so that its points are around 0."""
    return moderator.reference.centring is not Centring.NONE

"""A chain's state seen through the symbols of the model: numpy arrays by meaning, between sweeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbayes.engine.families import (
    category_probabilities,
    count_means,
    draw_counts,
    draw_places,
    draw_within,
    log_count_probability,
    log_probability,
)
from mlbayes.model.expressions import Centring
from mlbayes.model.model import Distribution, Kind, Role
from mlbayes.plan.categories import category_labels
from mlbayes.plan.choose import PlannedModel
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.results.draws import Snapshot

Vector = NDArray[np.float64]


class State:
    """The state of a chain after a sweep; outcomes that no equation needs are imputed here."""

    def __init__(self, planned: PlannedModel, store: Vector, rng: Generator) -> None:
        self.planned = planned
        self.model = planned.model
        self.store = store
        self._lefts: dict[Atom, Vector] = {}
        self.fitted = [self._fitted(r) for r in planned.regressions.outcomes]
        self.sources: list[list[OutcomeRegression]] = [[] for _ in planned.model.equations]
        for r in planned.regressions.outcomes:
            self.sources[r.planned.source].append(r)
        for source in range(len(self.sources)):
            self._impute(source, rng)
        if "savelatent" in self.model.settings.options:
            for source in range(len(self.sources)):
                self._impute_responses(source, rng)

    def vector(self, atom: Atom) -> Vector:
        """Values of a symbol over the units of its level."""
        if atom in self._lefts:
            return self._lefts[atom]
        if atom in self.planned.symbols.static:
            return self.planned.symbols.static[atom]
        offset = self.planned.symbols.place[atom]
        return self.store[offset : offset + self.planned.symbols.units(atom.level)]

    def spread(self, atom: Atom, level: int) -> Vector | float:
        """Values of a symbol over the units of a lower level (a number for those of the top)."""
        values = self.vector(atom)
        if atom.level == TOP:
            return float(values[0])
        return values if atom.level == level else values[self.model.hierarchy.ancestors(level, atom.level)]

    def evaluate(self, polynomial: Polynomial, level: int) -> Vector:
        """Values of a polynomial over the units of a level."""
        total = np.zeros(self.planned.symbols.units(level))
        for monomial, number in polynomial.terms.items():
            scale, product = number, None
            for atom in monomial:
                values = self.spread(atom, level)
                if isinstance(values, float):
                    scale *= values
                else:
                    product = values if product is None else product * values
            if product is None:
                total += scale
            else:
                total += product if scale == 1.0 else scale * product
        return total

    def _fitted(self, r: OutcomeRegression) -> Vector:
        """Linear predictor with random effects, shape (units of the outcome's level,)."""
        return self.evaluate(r.fitted, r.equation.level)

    def variance(self, r: OutcomeRegression) -> Vector:
        """Residual variance of each unit of an equation of a normal outcome."""
        return np.broadcast_to(self.variances(r), (self.planned.symbols.units(r.equation.level),))

    def variances(self, r: OutcomeRegression) -> Vector:
        """The same as one number, shape (1,), where all units have the same one."""
        if r.covariance:
            c = next(c for c in self.planned.regressions.covariances if c.name == r.covariance)
            variance = np.diag(self.residual_covariance(c))[c.members.index(r.number)]
        else:
            variance = 1.0 / self.store[r.precision]
        return np.atleast_1d(variance / np.square(self._root(r)))

    def root(self, r: OutcomeRegression) -> Vector:
        """What each unit's residual is multiplied with before its variance is the same for all."""
        return np.broadcast_to(self._root(r), (self.planned.symbols.units(r.equation.level),))

    def _root(self, r: OutcomeRegression) -> Vector:
        """The same as one number, shape (1,), where it is 1 for all units."""
        return np.ones(1) if r.root is None else np.asarray(self.spread(r.root, r.equation.level))

    def residual_covariance(self, c: ResidualCovariance) -> Vector:
        """A residual covariance matrix of several equations."""
        factor = self.factor(c.factor, len(c.members))
        return factor @ factor.T

    def factor(self, offset: int, n: int) -> Vector:
        """A Cholesky factor (n x n) from its packed form at a place in the store."""
        matrix = np.zeros((n, n))
        matrix[np.tril_indices(n)] = self.store[offset : offset + n * (n + 1) // 2]
        return matrix

    def _impute(self, source: int, rng: Generator) -> None:
        """Missing values of an outcome that no other equation needs."""
        r = self.sources[source][0]
        cells = np.flatnonzero(~r.active)
        if r.transformation is not None:
            self._lefts[r.left] = self.vector(r.left).copy()
        if not cells.size or r.of_variance:
            return
        fitted = self.fitted[r.number][cells]
        if r.transformation is not None:
            drawn = draw_within(fitted, np.sqrt(self.variance(r)[cells]), r.transformation.range, rng)
            self._lefts[r.left][cells] = drawn
            self.vector(r.outcome)[cells] = r.transformation.inverse(drawn, self.power(r))
        elif r.normal:
            noise = np.sqrt(self.variance(r)[cells]) * rng.standard_normal(cells.size)
            self.vector(r.outcome)[cells] = fitted + noise
        elif r.dispersion >= 0:
            self.vector(r.outcome)[cells] = draw_counts(fitted, self.dispersion(r), rng)
        else:
            labels = np.array(category_labels(self.model.variables[r.equation.outcome]))
            places = draw_places(self.probabilities(source)[cells], rng)
            self.vector(r.outcome)[cells] = labels[places]

    def _impute_responses(self, source: int, rng: Generator) -> None:
        """Latent responses of imputed categories, each between the thresholds of its category."""
        r = self.sources[source][0]
        cells = np.flatnonzero(~r.active)
        if r.left.kind != "response" or not cells.size:
            return
        labels = category_labels(self.model.variables[r.equation.outcome])
        bounds = [-np.inf, *self.store[r.cuts : r.cuts + len(labels) - 1], np.inf]
        responses = self._lefts[r.left] = self.vector(r.left).copy()
        for place, label in enumerate(labels):
            chosen = cells[self.vector(r.outcome)[cells] == label]
            between = (bounds[place], bounds[place + 1])
            responses[chosen] = draw_within(self.fitted[r.number][chosen], 1.0, between, rng)

    def value(self, name: str) -> Vector:
        """Values of a variable over the units of its level, missing ones as drawn."""
        return self.vector(self.planned.symbols.value(name))

    def power(self, r: OutcomeRegression) -> float:
        """Power of the transformation of an outcome; 1 where it has none."""
        if r.transformation is None or r.transformation.power is None:
            return 1.0
        return float(self.vector(r.transformation.power)[0])

    def log_slope(self, r: OutcomeRegression) -> Vector | float:
        """Log derivative of the transformation of an outcome at each unit's value, 0 without one."""
        if r.transformation is None:
            return 0.0
        return r.transformation.log_slope(self.vector(r.outcome), self.power(r))

    def dispersion(self, r: OutcomeRegression) -> float:
        """Dispersion of a count outcome."""
        return float(self.store[r.dispersion])

    def probabilities(self, source: int) -> Vector:
        """Probability of each category of a categorical outcome, shape (units, categories)."""
        parts = self.sources[source]
        r = parts[0]
        codes = len(self.model.variables[r.equation.outcome].codes)
        cuts = self.store[r.cuts : r.cuts + codes - 1]
        fitted = [self.fitted[part.number] for part in parts]
        return category_probabilities(r.equation.distribution, fitted, cuts)

    def log_likelihood(self, source: int) -> Vector:
        """Log probability of each unit's category or count given its linear predictor, shape (units,)."""
        r = self.sources[source][0]
        values = self.value(r.equation.outcome)
        if r.dispersion >= 0:
            return log_count_probability(values, self.fitted[r.number], self.dispersion(r))
        labels = np.array(category_labels(self.model.variables[r.equation.outcome]))
        places = np.abs(values[:, None] - labels).argmin(axis=1)
        return log_probability(self.probabilities(source), places)

    def deviation(self, k: int) -> Vector:
        """What is normal (value, its transform or response) less its linear predictor, of planned equation k."""
        return self.vector(self.planned.regressions.outcomes[k].left) - self.fitted[k]

    def residual(self, k: int) -> Vector:
        """Residuals of planned equation k: of a categorical outcome, indicator or code less its expectation."""
        r = self.planned.regressions.outcomes[k]
        if r.continuous:
            return self.deviation(k)
        values = self.vector(r.outcome)
        if r.dispersion >= 0:
            return values - count_means(self.fitted[k])
        probabilities = self.probabilities(r.planned.source)
        labels = category_labels(self.model.variables[r.equation.outcome])
        if r.planned.category is not None:
            place = labels.index(float(r.planned.category))
            return (values == r.planned.category) - probabilities[:, place]
        return values - probabilities @ np.array(labels)

    def effects(self, r: OutcomeRegression, level: int, terms: tuple[int, ...]) -> list[Vector]:
        """Random effects on the scale of the report, in the order of `terms`."""
        effects = [self.vector(r.effect(level, t)).copy() for t in terms]
        raw = [effect.copy() for effect in effects]
        for (s, t), change in r.recentring.change.items():
            if s in terms and t in terms:
                factor = sum(
                    number * float(np.prod([self.vector(atom)[0] for atom in monomial]))
                    for monomial, number in change.terms.items()
                )
                effects[terms.index(s)] += factor * raw[terms.index(t)]
        return effects

    # ------------------------------------------------------------------ saved data
    def snapshot(self) -> Snapshot:
        """The completed data with what OPTIONS adds to them.

        Rows may lack a value that is known for their cluster; only variables of rows are whole when they are complete.
        """
        hierarchy = self.model.hierarchy
        values = {
            name: self.value(name)[hierarchy.ancestors(1, variable.level)]
            for name, variable in self.model.variables.items()
            if variable.role not in (Role.LATENT, Role.UNUSED) and (variable.incomplete or variable.level > 1)
        }
        options = self.model.settings.options
        added: dict[str, Vector] = {}
        if "savelatent" in options:
            added |= self._latents() | self._random_effects() | self._responses() | self._means()
        if "saveresidual" in options:
            added |= self._by_equation("residual", self.residual)
        if "savepredicted" in options:
            added |= self._by_equation("predicted", self.fitted.__getitem__) | self._probabilities()
        return Snapshot(values, added)

    def _by_equation(self, suffix: str, column: Callable[[int], Vector]) -> dict[str, Vector]:
        """A column for each equation of an outcome by its number, named after the outcome (and category)."""
        added = {}
        for r in self.planned.regressions.locations:
            rows = self.model.hierarchy.ancestors(1, r.equation.level)
            added[f"{outcome_name(r)}.{suffix}"] = column(r.number)[rows]
        return added

    def _probabilities(self) -> dict[str, Vector]:
        """Probabilities of the categories of categorical outcomes: of all, or of the second where there are two."""
        added = {}
        for source, equation in enumerate(self.model.equations):
            variable = self.model.variables[equation.outcome]
            if variable.kind not in (Kind.ORDINAL, Kind.NOMINAL):
                continue
            rows = self.model.hierarchy.ancestors(1, equation.level)
            probabilities = self.probabilities(source)[rows]
            labels = category_labels(variable)
            for place in range(1 if len(labels) == 2 else 0, len(labels)):
                category = "" if len(labels) == 2 else f".{labels[place]:g}"
                added[f"{equation.outcome}{category}.probability"] = probabilities[:, place]
        return added

    def _latents(self) -> dict[str, Vector]:
        return {
            f"{name}.latent": self.value(name)[self.model.hierarchy.ancestors(1, variable.level)]
            for name, variable in self.model.variables.items()
            if variable.role is Role.LATENT and any(e.outcome == name for e in self.model.equations)
        }

    def _random_effects(self) -> dict[str, Vector]:
        added = {}
        hierarchy = self.model.hierarchy
        for r in self.planned.regressions.outcomes:
            for group in r.equation.random:
                rows = hierarchy.ancestors(1, group.level)
                cluster = hierarchy.identifiers[group.level - 2]
                for t, effect in zip(group.terms, self.effects(r, group.level, group.terms), strict=True):
                    label = r.equation.terms[t].label
                    slope = "" if label == "Intercept" else f"${label}"
                    name = r.equation.title if r.of_variance else outcome_name(r)
                    added[f"{name}{slope}[{cluster}]"] = effect[rows]
        return added

    def _responses(self) -> dict[str, Vector]:
        added = {}
        for r in self.planned.regressions.outcomes:
            if r.left.kind == "response":
                rows = self.model.hierarchy.ancestors(1, r.equation.level)
                added[f"{r.equation.outcome}.latent"] = self.vector(r.left)[rows]
            elif r.equation.distribution is Distribution.YEO_JOHNSON:
                rows = self.model.hierarchy.ancestors(1, r.equation.level)
                added[f"{r.equation.outcome}.yjt"] = self.vector(r.left)[rows]
        for predictor in self.model.predictor_models:
            variable = self.model.variables[predictor.variable]
            if variable.kind in (Kind.ORDINAL, Kind.NOMINAL):
                for part in self.planned.regressions.predictors:
                    if part.variable == variable.name and part.fixed:
                        response = self.vector(part.response)
                        rows = self.model.hierarchy.ancestors(1, variable.level)
                        added[f"{part.name}.latent"] = response[rows]
        return added

    def _means(self) -> dict[str, Vector]:
        added = {}
        hierarchy = self.model.hierarchy
        for part in self.planned.regressions.predictors:
            if part.response.kind == "mean":
                name = f"{part.name}.mean[{hierarchy.identifiers[part.level - 2]}]"
                added[name] = self.vector(part.response)[hierarchy.ancestors(1, part.level)]
        return added


def outcome_name(r: OutcomeRegression) -> str:
    """The outcome of a planned equation, with its category if it is one of several logits."""
    category = r.planned.category
    return r.equation.outcome if category is None else f"{r.equation.outcome}.{category}"


def centred_as_shown(state: State, name: str) -> Vector:
    """Values of a variable for the data summaries: fixed predictors that are centred are shown centred."""
    variable = state.model.variables[name]
    values = state.value(name)
    numeric = variable.kind is not Kind.NOMINAL
    if variable.role is Role.FIXED and variable.centring is Centring.GRAND and numeric:
        return values - state.model.observed_mean(name)
    return values

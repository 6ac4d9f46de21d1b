"""Every equation of a model brought into normal form: residuals that are normal around 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlbayes.model.expressions import references
from mlbayes.model.heterogeneity import has_log_variance, is_heterogeneous, varies_between_clusters
from mlbayes.model.model import Distribution, Equation, Model, Role
from mlbayes.plan.categories import starting_cuts
from mlbayes.plan.centring import recentring
from mlbayes.plan.equations import PlannedEquation
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom
from mlbayes.plan.predictor_regressions import predictor_regressions
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression
from mlbayes.plan.residual_covariances import residual_covariance
from mlbayes.plan.symbols import Symbols, placed, unsupported
from mlbayes.plan.transformations import Transformation, transformation_of
from mlbayes.plan.weights import row_weights

LATENT_RESPONSE = (Distribution.PROBIT, Distribution.LOGIT)  # outcomes that are a cut latent response


class Regressions:
    """Every equation of a model in the planner's form."""

    def __init__(self, model: Model, symbols: Symbols) -> None:
        self.model = model
        self.symbols = symbols
        self.builder = symbols.builder
        self.precisions: dict[str, int] = {}
        self.joint = "joint" in model.settings.options
        self.used = {
            reference.variable
            for equation in model.equations
            for term in equation.terms
            for reference in references(term.expression)
        }
        self.covarying = {name for block in model.covariances for name in block.members}
        self.outcomes: list[OutcomeRegression] = []
        for number, planned in enumerate(symbols.equations):
            with placed(planned.equation.span):
                self.outcomes.append(self._outcome(number, planned))
        self.log_variances = [r for r in self.outcomes if r.of_variance]
        self.locations = [r for r in self.outcomes if not r.of_variance]
        for r in self.log_variances:
            self._fix_known_variances(r)
        self.covariances = [
            residual_covariance(symbols, block, self.locations) for block in model.covariances
        ]
        self.predictors = predictor_regressions(symbols)

    def _outcome(self, number: int, planned: PlannedEquation) -> OutcomeRegression:
        equation = planned.equation
        variable = self.model.variables[equation.outcome]
        self.symbols.value(equation.outcome)
        active = ~variable.missing | self.is_drawn(equation.outcome)
        change = recentring(self.model, self.symbols, equation)
        terms = [self.symbols.polynomial(term.expression, change.mode) for term in equation.terms]
        coefficients = [self.symbols.coefficient(term.coefficient) for term in equation.terms]
        transformation = transformation_of(equation, variable.values)
        if transformation is None:
            left, root = self._working(number, equation)
        else:
            left = self._transformed(number, equation, transformation)
            fixed = transformation.power is None
            root = self._working(number, equation)[1] if fixed else None  # sampling weights
        regression = OutcomeRegression(
            number,
            planned,
            left,
            root,
            terms,
            coefficients,
            change,
            self._residual_precision(equation),
            active,
            transformation=transformation,
        )
        if equation.distribution in LATENT_RESPONSE:
            regression.cuts = self.builder.vector(starting_cuts(variable))
        if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
            regression.dispersion = self.builder.vector([1.0])
        regression.heterogeneous = is_heterogeneous(self.model, equation)
        if varies_between_clusters(self.model, equation):
            regression.population = self.builder.vector([1.0, 0.2, 0.0, 0.0, *self.model.further.population])
        regression.factors = [
            self.builder.zeros(len(group.terms) * (len(group.terms) + 1) // 2) for group in equation.random
        ]
        return regression

    def _working(self, number: int, equation: Equation) -> tuple[Atom, Atom | None]:
        """What is normal around the linear predictor, and the root of its precision where that varies."""
        root = Atom("root", str(number), equation.level)
        variable = self.model.variables[equation.outcome]
        match equation.distribution:
            case Distribution.NORMAL if self.model.weights and equation.level == 1:
                weights = self.symbols.fixed_symbol(root, np.sqrt(row_weights(self.model)))
                return self.symbols.value(equation.outcome), weights
            case Distribution.NORMAL:
                value = self.symbols.value(equation.outcome)
                if varies_between_clusters(self.model, equation):
                    return value, replace(root, level=2)
                return value, root if has_log_variance(self.model, equation) else None
            case Distribution.LOG_VARIANCE:
                return Atom("log variance", str(number), equation.level), None
            case Distribution.PROBIT:
                return self.symbols.response(equation.outcome), None
            case Distribution.LOGIT if len(variable.codes) > 2:
                return self.symbols.response(equation.outcome), root
            case Distribution.LOGIT | Distribution.MULTINOMIAL | Distribution.NEGATIVE_BINOMIAL:
                return Atom("working", str(number), equation.level), root
        raise unsupported(
            f"the model of '{equation.title}' ({equation.distribution.value}) cannot be run yet"
        )

    def _transformed(self, number: int, equation: Equation, transformation: Transformation) -> Atom:
        """The symbol of a transformed outcome: a function of the power, or data where that is fixed."""
        if transformation.power is not None:
            z = self.symbols.polynomial(equation.left)
            return self.symbols.function("yjt", (z, self.symbols.coefficient(transformation.power.name)))
        values = self.model.variables[equation.outcome].values
        missing = np.isnan(values)
        atom = Atom("transformed", str(number), equation.level)
        known = np.zeros(values.size)
        known[~missing] = transformation.forward(values[~missing])
        if self.is_drawn(equation.outcome):
            self.symbols.place[atom] = self.builder.vector(known)
        else:
            self.symbols.fixed_symbol(atom, known)
        return atom

    def modelled_by(self, r: OutcomeRegression) -> OutcomeRegression:
        """The equation whose residual variance an equation of a log variance is about."""
        return next(
            other
            for other in self.locations
            if other.equation.outcome == r.equation.outcome and other.heterogeneous
        )

    def covarying_with(self, r: OutcomeRegression) -> list[tuple[OutcomeRegression, int]]:
        """Equations whose residuals covary with one's, and the places of the elements of the precision matrix."""
        found = []
        for c in self.covariances:
            if c.name == r.covariance:
                i = c.members.index(r.number)
                for j, number in enumerate(c.members):
                    low, high = min(i, j), max(i, j)
                    if i != j:
                        found.append((self.outcomes[number], c.precision + high * (high + 1) // 2 + low))
        return found

    def _fix_known_variances(self, r: OutcomeRegression) -> None:
        """Put the roots of variances that never change in their place (meta-analysis)."""
        predictor, level = r.predictor(False), r.equation.level
        root = self.modelled_by(r).root
        assert root is not None
        if all(not self.symbols.is_dynamic(atom) for atom in predictor.atoms()):
            units = self.builder.unit_set(level, self.symbols.units(level), None, None)
            value = Evaluator(self.symbols, units).evaluate(predictor)
            logs = value.constant if value.numbers is None else value.numbers
            numbers = np.exp(-0.5 * np.broadcast_to(np.asarray(logs, dtype=np.float64), (units.units,)))
            self.symbols.fixed_symbol(root, numbers)

    def is_drawn(self, name: str) -> bool:
        """Does the sampler need the missing values of an outcome: is it latent, a predictor or correlated."""
        variable = self.model.variables[name]
        return variable.incomplete and (
            variable.role is Role.LATENT or name in self.used or name in self.covarying
        )

    def _residual_precision(self, equation: Equation) -> int:
        if equation.residual is None or varies_between_clusters(self.model, equation):
            return self.builder.vector([1.0])
        if equation.residual not in self.precisions:
            fixed = self.model.parameters[equation.residual].fixed
            if fixed is not None and not fixed > 0.0:
                raise unsupported(
                    f"the residual variance of '{equation.title}' is fixed at {fixed}, not above 0"
                )
            self.precisions[equation.residual] = self.builder.vector([1.0 if fixed is None else 1.0 / fixed])
        return self.precisions[equation.residual]

    def predictor_responses(self) -> list[list[PredictorRegression]]:
        """The parts of each response of the predictor models; a nominal predictor has several responses."""
        names = dict.fromkeys(part.name for part in self.predictors)
        return [[part for part in self.predictors if part.name == name] for name in names]

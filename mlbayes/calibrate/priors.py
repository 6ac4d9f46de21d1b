"""Proper priors in the place of improper ones, on the scale of the data.

A stand-in takes its place in the model graph, so simulation and fit have the same one.  Coefficients: normal around
0, on the scale sd(outcome) / sd(term); variances: inverse gamma; covariance matrices: inverse Wishart; distances of
thresholds: gamma.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlbayes.calibrate.world import Vector, World, chain_predictors, clusters, has_parts
from mlbayes.model.expressions import (
    Constant,
    Expression,
    Form,
    ParameterReference,
    Reference,
    factors,
    references,
)
from mlbayes.model.heterogeneity import varies_between_clusters
from mlbayes.model.model import (
    CovarianceBlock,
    Distribution,
    Equation,
    EquationTerm,
    Family,
    FurtherPriors,
    Kind,
    Model,
    Parameter,
    PredictorModel,
    PredictorPriors,
    Prior,
    RandomEffects,
    Role,
    Variable,
)

FREEDOM = 4.0  # shape of inverse gamma priors, degrees of freedom beyond the size of inverse Wishart ones
SHARE = 0.5  # of an outcome's SD that a term stands for: prior SD of its coefficient times the term's SD
LOG_SD = 0.3  # the same of terms of a log mean or log variance
LOADING = (0.7, 0.2)  # prior mean and SD of a loading, in units of outcome and latent variable
LAG = (0.2, 0.15)  # the same of the coefficient of an outcome's own lag
SPACING = (3.0, 4.0)  # shape and rate of distances of thresholds: mean 0.75
INDEX_SD = 0.3  # of the logarithm of an index of heterogeneity
CENTRE_SD = 0.5


@dataclass(frozen=True)
class StandIn:
    """A proper prior for what has an improper one, in words."""

    what: str
    prior: str


def with_proper_priors(model: Model) -> tuple[Model, tuple[StandIn, ...]]:
    """The model with stand-ins for all improper priors, and what these are."""
    changed = _Priors(model)
    return changed.result(), tuple(changed.stand_ins)


class _Priors:
    """Finds improper priors and replaces them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.scales = Scales(model)
        self.stand_ins: list[StandIn] = []

    def result(self) -> Model:
        """The model with proper priors for everything."""
        parameters = dict(self.model.parameters)
        for k, equation in enumerate(self.model.equations):
            for term in equation.terms:
                self._coefficient(parameters, k, equation, term)
            self._residual(parameters, k, equation)
            for group in equation.random:
                self._variance_of_effects(parameters, k, equation, group)
        equations = tuple(self._with_effects(k, e) for k, e in enumerate(self.model.equations))
        covariances = tuple(self._block(b, block) for b, block in enumerate(self.model.covariances))
        return replace(
            self.model,
            parameters=parameters,
            equations=equations,
            covariances=covariances,
            further=self._further(),
        )

    def _say(self, what: str, prior: Prior) -> Prior:
        self.stand_ins.append(StandIn(what, in_words(prior)))
        return prior

    # ------------------------------------------------------------------ parameters of equations
    def _coefficient(
        self, parameters: dict[str, Parameter], k: int, equation: Equation, term: EquationTerm
    ) -> None:
        own = parameters[term.coefficient]
        if own.fixed is not None or own.definition is not None:
            return
        if not improper(
            own.prior
        ):  # of the equation as it is written, not as it is centred at observed means
            parameters[own.name] = replace(own, prior=replace(own.prior, stated=True))
            return
        mean, sd = self._centre_and_spread(k, equation, term)
        if own.prior.family is Family.TRUNCATED:
            lower, upper = own.prior.arguments
            width = abs(mean) + 2.0 * sd
            lower = rounded(lower) if np.isfinite(lower) else rounded(min(upper - width, mean - 2.0 * sd))
            upper = rounded(upper) if np.isfinite(upper) else rounded(max(lower + width, mean + 2.0 * sd))
            prior = Prior(Family.TRUNCATED, (lower, upper), True)
        else:
            prior = Prior(Family.NORMAL, (rounded(mean), rounded(sd * sd)), True)
        parameters[own.name] = replace(own, prior=self._say(own.name, prior))

    def _centre_and_spread(self, k: int, equation: Equation, term: EquationTerm) -> tuple[float, float]:
        """Mean and SD of the prior of a coefficient."""
        scale = self.scales.outcome(k)
        logarithm = is_logarithm(equation)
        share = LOG_SD if logarithm else SHARE
        if term.expression == Constant(1.0):
            if self.scales.is_autoregression(equation.outcome):
                return LAG
            return self.scales.centre(k), share * scale
        size = self.scales.size(term.expression)
        used = list(references(term.expression))
        if any(r.form is Form.LAG and r.variable == equation.outcome for r in used):
            return LAG
        latent = [r for r in used if self.model.variables[r.variable].role is Role.LATENT]
        if len(latent) == len(used) == 1 and not logarithm:
            outcome_is_latent = self.model.variables[equation.outcome].role is Role.LATENT
            mean, sd = (0.3, 0.3) if outcome_is_latent else LOADING
            return mean * scale / size, sd * scale / size
        return 0.0, share * scale / size

    def _residual(self, parameters: dict[str, Parameter], k: int, equation: Equation) -> None:
        if equation.residual is None or varies_between_clusters(self.model, equation):
            return
        block = next(
            (b for b, own in enumerate(self.model.covariances) if equation.outcome in own.members), None
        )
        if block is not None and not has_parts(self.model, block):
            return  # its matrix has the prior
        own = parameters[equation.residual]
        if own.fixed is None and own.definition is None and improper(own.prior):
            prior = inverse_gamma(self._residual_variance(k))
            parameters[own.name] = replace(own, prior=self._say(own.name, prior))

    def _residual_variance(self, k: int) -> float:
        """Expected residual variance of an equation."""
        latent = self.model.variables[self.model.equations[k].outcome].role is Role.LATENT
        return float((1.0 if latent else SHARE) * self.scales.outcome(k) ** 2)

    # ------------------------------------------------------------------ matrices
    def _with_effects(self, k: int, equation: Equation) -> Equation:
        random = tuple(self._group(k, equation, group) for group in equation.random)
        return replace(equation, random=random)

    def _group(self, k: int, equation: Equation, group: RandomEffects) -> RandomEffects:
        if group.variance is not None or not improper(group.prior, len(group.terms)):
            return group
        size = len(group.terms)
        if size > 1 and "use_phantom" in self.model.settings.options:
            prior = Prior(Family.INVERSE_WISHART, (size + 1.0, 1.0))  # each variance IG(1, 0.5)
        else:
            prior = inverse_wishart(size, self._effect_variance(k, equation, group))
        title = f"{equation.title}: random effects {' '.join(group.labels)} (level {group.level})"
        return replace(group, prior=self._say(title, prior))

    def _variance_of_effects(
        self, parameters: dict[str, Parameter], k: int, equation: Equation, group: RandomEffects
    ) -> None:
        """A variance alone that has a label is a parameter."""
        if group.variance is None:
            return
        own = parameters[group.variance]
        if own.fixed is None and improper(own.prior):
            prior = inverse_gamma(self._effect_variance(k, equation, group))
            parameters[own.name] = replace(own, prior=self._say(own.name, prior))

    def _effect_variance(self, k: int, equation: Equation, group: RandomEffects) -> float:
        """Expected variance of random effects, the geometric mean over several."""
        share = LOG_SD if is_logarithm(equation) else SHARE
        scales = [
            share * self.scales.outcome(k) / self.scales.size(equation.terms[t].expression)
            for t in group.terms
        ]
        return float(np.exp(np.mean(np.log(np.square(scales)))))

    def _block(self, b: int, block: CovarianceBlock) -> CovarianceBlock:
        size = len(block.members)
        if has_parts(self.model, b) or not improper(block.prior, size):
            return block
        members = [k for k, e in enumerate(self.model.equations) if e.outcome in block.members]
        members = [
            k for k in members if self.model.equations[k].distribution is not Distribution.LOG_VARIANCE
        ]
        expected = np.exp(np.mean(np.log([self._residual_variance(k) for k in members])))
        prior = inverse_wishart(size, float(expected))
        return replace(
            block, prior=self._say(f"residual covariance matrix of {' '.join(block.members)}", prior)
        )

    # ------------------------------------------------------------------ what is no parameter of the graph
    def _further(self) -> FurtherPriors:
        return FurtherPriors(self._spacing(), self._population(), self._predictors(), self._first_values())

    def _spacing(self) -> tuple[float, float]:
        ordinal = [
            v.name
            for v in self.model.variables.values()
            if v.kind is Kind.ORDINAL and len(v.codes) > 2 and v.role in (Role.OUTCOME, Role.PREDICTOR)
        ]
        if not ordinal:
            return self.model.further.spacing
        what = f"distances between thresholds of {' '.join(ordinal)}"
        self.stand_ins.append(StandIn(what, f"gamma(shape {SPACING[0]:g}, rate {SPACING[1]:g})"))
        return SPACING

    def _population(self) -> tuple[float, float, float, float]:
        found = [k for k, e in enumerate(self.model.equations) if varies_between_clusters(self.model, e)]
        if not found:
            return self.model.further.population
        centre = rounded(float(np.mean([np.log(SHARE * self.scales.outcome(k) ** 2) for k in found])))
        index = rounded(np.log(0.2))
        self.stand_ins += [
            StandIn("log centre of cluster variances", f"normal({centre:g}, {CENTRE_SD**2:g})"),
            StandIn(
                "log heterogeneity index",
                f"normal({index:g}, {INDEX_SD**2:g}), times what Stirling's formula adds to it",
            ),
        ]
        return (1.0 / CENTRE_SD**2, centre, 1.0 / INDEX_SD**2, index)

    def _predictors(self) -> dict[str, PredictorPriors]:
        found = {}
        for own in self.model.predictor_models:
            variable = self.model.variables[own.variable]
            if variable.kind is not Kind.CONTINUOUS:
                continue  # all of their priors are proper
            mean, sd = moments(variable)
            grand = (rounded(mean), rounded(SHARE**2 * sd * sd))
            self.stand_ins.append(
                StandIn(f"grand mean of {own.variable}", f"normal({grand[0]:g}, {grand[1]:g})")
            )
            slopes = tuple(self._fixed_slopes(own, part, sd) for part in range(len(own.parts)))
            found[own.variable] = PredictorPriors(grand, slopes)
        return found

    def _fixed_slopes(self, own: PredictorModel, part: int, sd: float) -> tuple[float, ...]:
        """Prior variances of the slopes of a part on FIXED variables."""
        used, earlier = chain_predictors(self.model, own.variable, part)
        variances = []
        for reference in used[earlier:]:
            variance = rounded((SHARE * sd / self.scales.size(reference)) ** 2)
            what = f"slope of {own.variable} on {reference.variable} (level {own.parts[part].level})"
            self.stand_ins.append(StandIn(what, f"normal(0, {variance:g})"))
            variances.append(variance)
        return tuple(variances)

    def _first_values(self) -> dict[str, tuple[Vector, Vector]]:
        """Mean and variance of each cluster's observed values, as a run has them, but held fixed."""
        lagged = {
            r.variable
            for e in self.model.equations
            for term in e.terms
            for r in references(term.expression)
            if r.form is Form.LAG
        }
        found = {}
        for name in sorted(lagged):
            mean, sd = moments(self.model.variables[name])
            size = int(clusters(self.model)[-1]) + 1
            found[name] = np.full(size, rounded(mean)), np.full(size, rounded(sd * sd))
            self.stand_ins.append(
                StandIn(
                    f"values of {name} before the first occasion",
                    f"normal({rounded(mean):g}, {rounded(sd * sd):g}), and not mean and variance of each cluster",
                )
            )
        return found


def is_logarithm(equation: Equation) -> bool:
    """Is an equation one of a log mean or a log variance."""
    return equation.distribution in (Distribution.LOG_VARIANCE, Distribution.NEGATIVE_BINOMIAL)


# ------------------------------------------------------------------ families
def improper(prior: Prior, size: int = 1) -> bool:
    """Has a prior no finite mass; `size`: of a covariance matrix."""
    match prior.family:
        case Family.FLAT:
            return True
        case Family.TRUNCATED:
            return not np.isfinite(prior.arguments).all()
        case Family.INVERSE_GAMMA:
            return not min(prior.arguments) > 0.0
        case Family.INVERSE_WISHART:
            return not (prior.arguments[0] > size - 1.0 and prior.arguments[1] > 0.0)
        case _:
            return False


def inverse_gamma(mean: float) -> Prior:
    """The inverse gamma prior of a variance with this mean."""
    return Prior(Family.INVERSE_GAMMA, (FREEDOM, rounded((FREEDOM - 1.0) * mean)), True)


def inverse_wishart(size: int, mean: float) -> Prior:
    """The inverse Wishart prior of a matrix whose mean has this on its diagonal."""
    return Prior(Family.INVERSE_WISHART, (size + 1.0 + FREEDOM, rounded(FREEDOM * mean)), True)


def rounded(value: float) -> float:
    """Three digits: a prior that can be read and written down."""
    return float(f"{value:.3g}")


def in_words(prior: Prior) -> str:
    """A prior as it is written in PARAMETERS."""
    arguments = ", ".join(f"{value:g}" for value in prior.arguments)
    identity = " I" if prior.family is Family.INVERSE_WISHART else ""
    return f"{prior.family.value}({arguments}{identity})"


# ------------------------------------------------------------------ scales
def moments(variable: Variable) -> tuple[float, float]:
    """Mean and SD of what is observed; (0, 1) where that says nothing."""
    seen = variable.values[~variable.missing]
    if seen.size < 2 or not seen.std() > 0.0:
        return (float(seen.mean()) if seen.size else 0.0), 1.0
    return float(seen.mean()), float(seen.std())


class Scales:
    """Rough standard deviations of outcomes, latent variables and terms, from the data."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.latent: dict[str, float] = {}
        for _ in range(3):  # a latent variable may be measured by others
            for k, equation in enumerate(model.equations):
                self._look_at(k, equation)

    def _look_at(self, k: int, equation: Equation) -> None:
        """Scales of latent variables that stand in an equation with a fixed coefficient, or have a fixed variance."""
        variable = self.model.variables[equation.outcome]
        if variable.role is Role.LATENT and equation.residual is not None:
            fixed = self.model.parameters[equation.residual].fixed
            if fixed is not None:
                self.latent[variable.name] = float(np.sqrt(fixed))
        if variable.role is Role.LATENT and variable.name not in self.latent:
            return
        for term in equation.terms:
            number = self.model.parameters[term.coefficient].fixed
            used = [
                r.variable
                for r in references(term.expression)
                if self.model.variables.get(r.variable) is not None
                and self.model.variables[r.variable].role is Role.LATENT
            ]
            if not number or len(used) != 1 or used[0] in self.latent:
                continue
            if any(
                r.form is Form.LAG and r.variable == equation.outcome for r in references(term.expression)
            ):
                if len(factors(term.expression)) > 1:
                    self.latent[used[0]] = LAG[1]
                continue
            share = LOG_SD if equation.distribution is Distribution.LOG_VARIANCE else SHARE
            self.latent[used[0]] = (
                share * self.outcome(k) / (abs(number) * self.size(term.expression, used[0]))
            )

    def is_autoregression(self, name: str) -> bool:
        """Does a latent variable serve as the coefficient of an outcome's own lag."""
        if self.model.variables[name].role is not Role.LATENT:
            return False
        for equation in self.model.equations:
            for term in equation.terms:
                parts = factors(term.expression)
                own = any(
                    Reference(name, part.level) == part for part in parts if isinstance(part, Reference)
                )
                rest = [r for p in parts for r in references(p) if r.form is Form.LAG]
                if own and len(parts) > 1 and any(r.variable == equation.outcome for r in rest):
                    return True
        return False

    def outcome(self, k: int) -> float:
        """Rough SD of an outcome, on the scale of its linear predictor."""
        equation = self.model.equations[k]
        variable = self.model.variables[equation.outcome]
        if variable.role is Role.LATENT:
            return self.latent.get(variable.name, 1.0)
        if equation.distribution not in (Distribution.NORMAL, Distribution.YEO_JOHNSON):
            return 1.0
        return float(np.nanstd(self._left(equation))) or 1.0

    def centre(self, k: int) -> float:
        """Rough mean of an outcome, on the scale of its linear predictor."""
        equation = self.model.equations[k]
        variable = self.model.variables[equation.outcome]
        if equation.distribution is Distribution.LOG_VARIANCE:
            if variable.role is Role.LATENT:
                return float(np.log(self.latent.get(variable.name, 1.0) ** 2))
            return float(np.log(SHARE * np.nanvar(variable.values)))
        if variable.role is Role.LATENT:
            return 0.0
        if equation.distribution is Distribution.NEGATIVE_BINOMIAL:
            return float(np.log(np.nanmean(variable.values) + 0.1))
        if equation.distribution in (Distribution.NORMAL, Distribution.YEO_JOHNSON):
            return float(np.nanmean(self._left(equation)))
        return 0.0

    def _left(self, equation: Equation) -> Vector:
        """The left side of an equation over what is observed."""
        world = World(self.model, data={equation.outcome: self.model.variables[equation.outcome].values})
        return world.evaluate(equation.left, equation.level)

    def size(self, expression: Expression, without: str = "") -> float:
        """Rough SD of an expression, a latent variable left out."""
        match expression:
            case Constant() | ParameterReference():
                return 1.0
            case Reference():
                return 1.0 if expression.variable == without else self._reference(expression)
        parts = factors(expression)
        if len(parts) > 1:
            return float(np.prod([self.size(part, without) for part in parts]))
        if expression.operator in ("+", "-", "neg"):
            return float(np.hypot.reduce([self.size(a, without) for a in expression.arguments])) or 1.0
        return max((self.size(a, without) for a in expression.arguments), default=1.0)

    def _reference(self, reference: Reference) -> float:
        if reference.form is Form.EFFECT or reference.form is Form.RESPONSE:
            return 1.0
        variable = self.model.variables[reference.variable]
        if variable.role is Role.LATENT:
            return self.latent.get(variable.name, 1.0)
        sd = moments(variable)[1]
        return SHARE * sd if reference.form is Form.MEAN else sd

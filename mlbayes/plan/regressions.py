"""The equations of a model as polynomials: what the planner puts blocks together from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.heterogeneity import (
    has_log_variance,
    is_heterogeneous,
    varies_between_clusters,
)
from mlbayes.model.model import (
    CovarianceBlock,
    Distribution,
    Equation,
    Family,
    Kind,
    Model,
    Parameter,
    ParameterKind,
    PredictorModel,
    PredictorPart,
    Prior,
    Reference,
    Role,
    Variable,
    references,
)
from mlbayes.plan.categories import category_labels, starting_cuts
from mlbayes.plan.centring import Recentring, recentring
from mlbayes.plan.equations import PlannedEquation
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.symbols import Symbols, placed, unsupported
from mlbayes.plan.transformations import Transformation, transformation_of
from mlbayes.plan.weights import row_weights

Mask = NDArray[np.bool_]
PREDICTOR_VARIANCE = (1.0, 0.5)  # inverse gamma prior of residual variances in predictor models
CONTINUOUS = (Distribution.NORMAL, Distribution.YEO_JOHNSON)  # the outcome, or a function of it, is normal
LATENT_RESPONSE = (Distribution.PROBIT, Distribution.LOGIT)  # outcomes that are a cut latent response
UNIT_VARIANCE = Parameter("", ParameterKind.VARIANCE, fixed=1.0)  # of latent responses
CATEGORICAL_PRIOR = 5.0  # prior variance of coefficients in models of categorical variables
DISPERSION_PRIOR = 10.0  # prior variance of the logarithm of a count outcome's dispersion, mean 0


def inverse_gamma_arguments(prior: Prior) -> tuple[float, float]:
    """Arguments (a, b) of a prior on a variance; flat is IG(-1, 0)."""
    if prior.family is Family.FLAT:
        return -1.0, 0.0
    if prior.family is Family.INVERSE_GAMMA:
        return prior.arguments[0], prior.arguments[1]
    if prior.family is Family.INVERSE_WISHART:
        return 0.5 * prior.arguments[0], 0.5 * prior.arguments[1]
    raise unsupported(f"a {prior.family.value} prior on a variance cannot be run", "use ig(a, b)")


@dataclass
class OutcomeRegression:
    """An outcome's equation: polynomials of its terms and where its parameters lie in the store.

    `number`: position among the planned equations, `source` and `category` as in PlannedEquation.  `left`: what is
    normal around the linear predictor: the value, its transform, a latent or a working response; `root`: square root
    of what each unit's residual precision is multiplied with, None for 1.  `transformation`: of the outcome, if any.
    `terms[t]`: the expression; `coefficients[t]`: its coefficient as a polynomial in parameters.  `factors`: offset
    of the Cholesky factor of each RandomEffects; `active`: units whose residual counts.  `covariance`: name of the
    residual covariance matrix it belongs to; `precision` is then the place of its diagonal element of the inverse.
    `cuts`: offset of the thresholds of an ordinal outcome, the first of them 0; `dispersion`: offset of the
    dispersion of a count outcome; `heterogeneous`: the residual variance, 1 / root^2, is modelled or one of each
    cluster; `population`: offset of centre and heterogeneity index of the latter.
    """

    number: int
    planned: PlannedEquation
    left: Atom
    root: Atom | None
    terms: list[Polynomial]
    coefficients: list[Polynomial]
    recentring: Recentring
    precision: int
    active: Mask
    factors: list[int] = field(default_factory=list)
    covariance: str = ""
    cuts: int = -1
    dispersion: int = -1
    transformation: Transformation | None = None
    population: int = -1
    heterogeneous: bool = False

    @property
    def equation(self) -> Equation:
        """The equation."""
        return self.planned.equation

    @property
    def outcome(self) -> Atom:
        """Symbol of the outcome's value."""
        return Atom("value", self.equation.outcome, self.equation.level)

    @property
    def normal(self) -> bool:
        """Is the outcome's value itself normal around the linear predictor."""
        return self.left == self.outcome

    @property
    def continuous(self) -> bool:
        """Is the outcome's value, or a function of it, normal around the linear predictor."""
        return self.equation.distribution in CONTINUOUS

    @property
    def of_variance(self) -> bool:
        """Is it the equation of a log variance, which has no residual of its own."""
        return self.equation.distribution is Distribution.LOG_VARIANCE

    def effect(self, level: int, term: int) -> Atom:
        """Symbol of a random effect."""
        return Atom("effect", str(self.number), level, term)

    def random_levels(self, term: int) -> list[int]:
        """Levels at which a term has random effects."""
        return [group.level for group in self.equation.random if term in group.terms]

    def term_symbol(self, term: int) -> Atom | None:
        """Symbol of a coefficient with its random effects, None without any."""
        levels = self.random_levels(term)
        return Atom("term", str(self.number), min(levels), term) if levels else None

    def predictor(self, composite: bool) -> Polynomial:
        """The linear predictor; `composite`: with one symbol for a coefficient and its random effects."""
        result = Polynomial()
        for t, polynomial in enumerate(self.terms):
            symbol = self.term_symbol(t) if composite else None
            total = self.coefficients[t] if symbol is None else Polynomial.of(symbol)
            if not composite:
                for level in self.random_levels(t):
                    total = total + Polynomial.of(self.effect(level, t))
            result = result + total * polynomial
        return result

    @cached_property
    def fitted(self) -> Polynomial:
        """The linear predictor with one symbol for a coefficient and its random effects, for a finished plan."""
        return self.predictor(True)

    @cached_property
    def fixed_residual(self) -> Polynomial:
        """What is normal less the linear predictor without random effects, for a finished plan."""
        fixed = Polynomial.of(self.left)
        for coefficient, term in zip(self.coefficients, self.terms, strict=True):
            fixed = fixed - coefficient * term
        return fixed

    def expanded(self) -> Polynomial:
        """The residual with coefficients and random effects apart (for the block that draws them)."""
        return self._residual(False)

    def composite(self) -> Polynomial:
        """The residual with one symbol for a coefficient and its random effects (for all other blocks)."""
        return self._residual(True)

    def _residual(self, composite: bool) -> Polynomial:
        residual = Polynomial.of(self.left) - self.predictor(composite)
        return residual if self.root is None else Polynomial.of(self.root) * residual


@dataclass
class PredictorRegression:
    """One level of a predictor model.

    `prior`: inverse gamma prior of the residual variance.  `shrunk`: slopes that have the prior
    N(0, residual variance), as a joint inverse Wishart prior has it (OPTIONS: joint).
    `response`: what the residual is of; `slopes`: symbols of the coefficients of `predictors`; `intercept`: symbol of
    the part above (cluster mean or grand mean).  `precision`: offset; `fixed`: the variance is known (latent
    responses).  `code`: of a nominal predictor, the category whose latent response it is about.
    """

    variable: str
    level: int
    response: Atom
    intercept: Atom
    slopes: list[Atom]
    predictors: list[Polynomial]
    precision: int
    fixed: bool
    units: int
    prior: tuple[float, float] = PREDICTOR_VARIANCE
    shrunk: tuple[int, ...] = ()
    cuts: int = -1
    code: int | None = None

    @property
    def name(self) -> str:
        """The predictor, of a nominal one with the code."""
        return self.variable if self.code is None else f"{self.variable}.{self.code}"

    def residual(self) -> Polynomial:
        """The residual as a polynomial."""
        result = Polynomial.of(self.response) - Polynomial.of(self.intercept)
        for slope, predictor in zip(self.slopes, self.predictors, strict=True):
            result = result - Polynomial.of(slope) * predictor
        return result


@dataclass(frozen=True)
class ResidualCovariance:
    """A residual covariance matrix of several equations (`~~`), by their numbers.

    `precision`, `factor`: offsets of the packed inverse and of the packed Cholesky factor; prior IW(df, scale I).
    With separate priors, fixed or equal elements `parts` is the offset of standard deviations, packed correlations
    and priors, `free` the index offset of the free ones, `free_count` of them; `shared`: places of parts that are
    equal to others, with the places of these.
    """

    name: str
    members: tuple[int, ...]
    precision: int
    factor: int
    df: float
    scale: float
    units: int
    parts: int = -1
    free: int = -1
    free_count: int = 0
    shared: tuple[tuple[int, int], ...] = ()


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
        self.covariances = [self._covariance(block) for block in model.covariances]
        self.predictors = [
            part
            for predictor in model.predictor_models
            for code in response_codes(model, predictor.variable)
            for part in self._predictor(predictor, code)
        ]

    # ------------------------------------------------------------------ outcomes
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

    def _covariance(self, block: CovarianceBlock) -> ResidualCovariance:
        """Make room for a residual covariance matrix and tell its equations."""
        numbers = [
            next(r.number for r in self.locations if r.equation.outcome == name) for name in block.members
        ]
        m = len(numbers)
        precision, factor = (self.builder.zeros(m * (m + 1) // 2) for _ in range(2))
        name = " ".join(block.members)
        for i, number in enumerate(numbers):
            self.outcomes[number].covariance = name
            self.outcomes[number].precision = precision + i * (i + 3) // 2
        df, scale = block.prior.arguments
        units = self.symbols.units(block.level)
        made = ResidualCovariance(name, tuple(numbers), precision, factor, df, scale, units)
        return self._separate(made, block) if self._has_parts(block) else made

    def _has_parts(self, block: CovarianceBlock) -> bool:
        """Are variances and correlations apart: by OPTIONS: use_phantom, or since some are fixed or equal.

        Those of latent responses are fixed at 1, and so are those of residuals that are divided by standard deviations
        which differ between units.
        """
        names = [e.residual for e in self.model.equations if e.outcome in block.members and e.residual]
        names += block.correlations.values()
        constrained = any(self.parameter(name).fixed is not None for name in names) or len(set(names)) < len(
            names
        )
        scaled = any(
            r.equation.outcome in block.members and (not r.normal or r.heterogeneous) for r in self.locations
        )
        return constrained or scaled or "use_phantom" in self.model.settings.options

    def _separate(self, made: ResidualCovariance, block: CovarianceBlock) -> ResidualCovariance:
        """The parts of a matrix: standard deviations and correlations, some of them fixed or equal to others."""
        m = len(block.members)
        first: dict[str, int] = {}  # where a parameter stands first among the parts
        shared: list[tuple[int, int]] = []
        sds, correlations = np.ones(m), np.zeros(m * (m + 1) // 2)
        free_sds: list[int] = []
        free_correlations: list[int] = []
        priors: list[float] = []
        for i, number in enumerate(made.members):
            correlations[i * (i + 3) // 2] = 1.0
            residual = self.outcomes[number].equation.residual
            parameter = self.parameter(residual) if residual is not None else UNIT_VARIANCE
            priors += inverse_gamma_arguments(parameter.prior)
            if parameter.fixed is not None:
                sds[i] = np.sqrt(parameter.fixed)
            elif parameter.name in first:
                shared.append((i, first[parameter.name]))
            else:
                first[parameter.name] = i
                free_sds.append(i)
            for j in range(i):
                place = i * (i + 1) // 2 + j
                name = block.correlations.get((j, i))
                fixed = self.parameter(name).fixed if name is not None else None
                if fixed is not None:
                    correlations[place] = fixed
                elif name is not None and name in first:
                    shared.append((m + place, first[name]))
                else:
                    if name is not None:
                        first[name] = m + place
                    free_correlations.append(place)
        parts = self.builder.vector([*sds, *correlations, *priors])
        free = [*free_sds, *free_correlations]
        pairs = [place for pair in shared for place in pair]
        offset = self.builder.indices([len(free_sds), len(free_correlations), *free, len(shared), *pairs])
        return replace(made, parts=parts, free=offset, free_count=len(free), shared=tuple(shared))

    def parameter(self, name: str) -> Parameter:
        """A parameter by name."""
        return self.model.parameters[name]

    def _residual_precision(self, equation: Equation) -> int:
        if equation.residual is None or varies_between_clusters(self.model, equation):
            return self.builder.vector([1.0])
        if equation.residual not in self.precisions:
            fixed = self.parameter(equation.residual).fixed
            if fixed is not None and not fixed > 0.0:
                raise unsupported(
                    f"the residual variance of '{equation.title}' is fixed at {fixed}, not above 0"
                )
            self.precisions[equation.residual] = self.builder.vector([1.0 if fixed is None else 1.0 / fixed])
        return self.precisions[equation.residual]

    # ------------------------------------------------------------------ predictors
    def predictor_responses(self) -> list[list[PredictorRegression]]:
        """The parts of each response of the predictor models; a nominal predictor has several responses."""
        names = dict.fromkeys(part.name for part in self.predictors)
        return [[part for part in self.predictors if part.name == name] for name in names]

    def _predictor(self, predictor: PredictorModel, code: int | None) -> list[PredictorRegression]:
        name, symbols, index = predictor.variable, self.symbols, code or 0
        variable = self.model.variables[name]
        title = name if code is None else f"{name}.{code}"
        result = []
        for k, part in enumerate(predictor.parts):
            last = k + 1 == len(predictor.parts)
            response = (
                symbols.predictor_response(name, index) if k == 0 else symbols.mean(name, part.level, index)
            )
            above = (
                symbols.grand(name, index)
                if last
                else symbols.mean(name, predictor.parts[k + 1].level, index)
            )
            fixed = k == 0 and variable.kind in (Kind.ORDINAL, Kind.NOMINAL)
            precision = self._predictor_precision(variable) if fixed else self.builder.vector([1.0])
            used = list(part.predictors)
            prior, shrunk = PREDICTOR_VARIANCE, 0
            if self.joint:
                used, shrunk = preceding(self.model, name, part)
                prior = (1.0 + 0.5 * shrunk, 0.5)
            result.append(
                PredictorRegression(
                    name,
                    part.level,
                    response,
                    above,
                    [Atom("slope", f"{title} {k}", TOP, i) for i in range(len(used))],
                    [self._within(reference, part.level) for reference in used],
                    precision,
                    fixed,
                    self.symbols.units(part.level),
                    prior,
                    () if fixed else tuple(range(shrunk)),
                    self.builder.vector(starting_cuts(variable)) if fixed and code is None else -1,
                    code,
                )
            )
        return result

    def _predictor_precision(self, variable: Variable) -> int:
        """Diagonal element of the inverse covariance matrix of a categorical predictor's latent responses."""
        if variable.kind is Kind.ORDINAL:
            return self.builder.one
        return self.builder.scalar(response_precisions(len(variable.codes) - 1)[0])

    def _within(self, reference: Reference, level: int) -> Polynomial:
        """A predictor's part at a level: its deviation from the part above."""
        name = reference.variable
        variable = self.model.variables[name]
        if variable.role is Role.FIXED:
            return self.symbols.polynomial(reference)
        code = reference.argument if variable.kind is Kind.NOMINAL else 0
        own = (
            self.symbols.predictor_response(name, code)
            if variable.level == level
            else self.symbols.mean(name, level, code)
        )
        models = {m.variable: m for m in self.model.predictor_models}
        levels = [part.level for part in models[name].parts]
        above = [other for other in levels if other > level]
        centre = self.symbols.mean(name, above[0], code) if above else self.symbols.grand(name, code)
        return Polynomial.of(own) - Polynomial.of(centre)


def response_codes(model: Model, name: str) -> tuple[int | None, ...]:
    """The responses of a predictor model: None for its only one; of a nominal predictor all codes but the reference."""
    variable = model.variables[name]
    if variable.kind is not Kind.NOMINAL:
        return (None,)
    return tuple(int(label) for label in category_labels(variable)[1:])


def response_precisions(size: int) -> tuple[float, float]:
    """Elements on and off the diagonal of the inverse of the matrix with 1 on and 1/2 off the diagonal."""
    return 2.0 * size / (size + 1.0), -2.0 / (size + 1.0)


def preceding(model: Model, name: str, part: PredictorPart) -> tuple[list[Reference], int]:
    """What a predictor is regressed on in the joint normal model, and how many of these are modelled predictors.

    The joint density is written as a chain: each predictor on those before it (first in the list) and on the
    fixed ones.  With an inverse Wishart prior IW(p + 1, I) on the joint covariance matrix, the residual variance of
    the k-th of p has the prior IG((k + 1) / 2, 1 / 2) and its slopes on the others N(0, residual variance).
    """
    order = [m.variable for m in joint_order(model)]
    if name not in order:
        return [], 0  # it only estimates means
    fixed = [r for r in part.predictors if model.variables[r.variable].role is Role.FIXED]
    before = order[: order.index(name)]
    used = [r for r in part.predictors if r.variable in before]
    return [*used, *fixed], len(used)


def joint_order(model: Model) -> list[PredictorModel]:
    """The order of the chain: an ordinal predictor last, since its latent response has variance 1 given all others."""
    models = [m for m in model.predictor_models if not m.means_only]
    return sorted(models, key=lambda m: model.variables[m.variable].kind is Kind.ORDINAL)

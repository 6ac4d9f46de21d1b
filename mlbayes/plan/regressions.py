"""Equations as polynomials: what the planner puts blocks together from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Reference
from mlbayes.model.model import Distribution, Equation, Kind, Model, PredictorModel, PredictorPart, Role
from mlbayes.plan.centring import Recentring
from mlbayes.plan.equations import PlannedEquation
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import PREDICTOR_VARIANCE
from mlbayes.plan.transformations import Transformation

Mask = NDArray[np.bool_]
CONTINUOUS = (Distribution.NORMAL, Distribution.YEO_JOHNSON)  # the outcome, or a function of it, is normal


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

"""The model graph: variables, equations and parameters, with everything the language adds made explicit.

Nothing here knows how a script is written or how a model is sampled.  All objects are frozen;
`mlbayes.model.build` makes them and `mlbayes.plan` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from mlbayes.model.expressions import Centring, Expression, Reference
from mlbayes.model.units import Hierarchy, Indices, Vector
from mlbayes.source import Source, Span


# ------------------------------------------------------------------ variables
class Kind(Enum):
    """Type of a variable."""

    CONTINUOUS = "continuous"
    ORDINAL = "ordinal"
    NOMINAL = "nominal"
    COUNT = "count"


class Role(Enum):
    """What a variable is in the model."""

    OUTCOME = "outcome"  # has an equation of its own
    PREDICTOR = "predictor"  # in the joint predictor model
    FIXED = "fixed"  # a predictor without a distribution
    LATENT = "latent"  # declared in LATENT
    UNUSED = "unused"


@dataclass(frozen=True)
class Variable:
    """A variable of the model, one value for each unit of its level.

    `values`: shape (units of its level,), in sorted order, nan where missing (all nan for latent variables).
    `codes`: sorted distinct codes of an ordinal or nominal variable.  `reference`: code of the reference
    category of a nominal one.  `chosen_reference`: False when the program chose it.  `centring` as in CENTER;
    `mean_centring` is that of `x.mean`.  `because`: why it has this role.  `indicates`: of `x.missing`, the name x.
    """

    name: str
    kind: Kind
    level: int
    role: Role
    values: Vector
    codes: tuple[int, ...] = ()
    reference: int | None = None
    chosen_reference: bool = False
    centring: Centring = Centring.NONE
    mean_centring: Centring = Centring.NONE
    because: str = ""
    indicates: str = ""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which units have no value, shape (units of its level,)."""
        return np.isnan(self.values)

    @property
    def incomplete(self) -> bool:
        """Is any value missing."""
        return bool(self.missing.any())


# ------------------------------------------------------------------ parameters
class Family(Enum):
    """Families of priors.  IG(a, b): density x^(-a-1) exp(-b/x).  IW(df, S): |X|^(-(df+p+1)/2) exp(-tr(S X^-1)/2)."""

    FLAT = "flat"
    NORMAL = "normal"  # arguments: mean, variance
    TRUNCATED = "truncate"  # arguments: lower, upper
    INVERSE_GAMMA = "ig"  # arguments: a, b
    INVERSE_WISHART = "iw"  # arguments: df, scale (times the identity matrix)


@dataclass(frozen=True)
class Prior:
    """A prior with its arguments; `stated` when the user wrote it."""

    family: Family = Family.FLAT
    arguments: tuple[float, ...] = ()
    stated: bool = False


class ParameterKind(Enum):
    """What a parameter is."""

    COEFFICIENT = "coefficient"
    VARIANCE = "variance"
    CORRELATION = "correlation"


@dataclass(frozen=True)
class Parameter:
    """A parameter.  `fixed`: its value when it is not estimated.  `definition`: it is this function of other
    parameters (a constraint).  `labelled`: the user named it.
    """

    name: str
    kind: ParameterKind = ParameterKind.COEFFICIENT
    fixed: float | None = None
    definition: Expression | None = None
    prior: Prior = Prior()
    labelled: bool = False


# ------------------------------------------------------------------ equations
class Distribution(Enum):
    """Distribution of an outcome given its linear predictor."""

    NORMAL = "normal"
    PROBIT = "probit"
    LOGIT = "logit"  # binary or ordered
    MULTINOMIAL = "multinomial"
    NEGATIVE_BINOMIAL = "negative binomial"
    YEO_JOHNSON = "yeo-johnson"
    LOG_VARIANCE = "log variance"  # var(y) ~ ...


@dataclass(frozen=True)
class EquationTerm:
    """`coefficient * expression`.

    `label`: the expression as the report prints it (`Intercept`, `x*m`, `x.mean[school]`), without tag.
    `printed`: the same with its tag, as in the list of models (`x@b1`, `beta0_j@1`).
    `coefficient`: name of a parameter.  `hidden`: it only carries a random effect (coefficient fixed at 0).
    `category`: of a nominal outcome, the code of the logit that the term belongs to.
    """

    expression: Expression
    label: str
    coefficient: str
    printed: str = ""
    hidden: bool = False
    category: int | None = None
    span: Span | None = None


@dataclass(frozen=True)
class RandomEffects:
    """The random effects of an equation at one level, with one full covariance matrix.

    `terms`: positions in `Equation.terms` (0 is the intercept if it is among them), in order of printing.
    `labels`: `Intercept`, `x`, or with their level in brackets when the user chose levels explicitly.
    `prior`: inverse Wishart on the whole matrix.  `variance`: name of the parameter when a single variance is
    labelled or fixed.
    """

    level: int
    terms: tuple[int, ...]
    labels: tuple[str, ...]
    prior: Prior
    variance: str | None = None


@dataclass(frozen=True)
class Equation:
    """outcome ~ terms | random effects.

    `outcome`: variable name.  `left`: the left side as an expression (a transformation of the outcome, or the
    plain reference).  `title`: as printed (`y`, `logit(y)`, `yjt(y-9)`, `var(y)`).  `level`: of the outcome.
    `residual`: name of the residual variance parameter, None when the distribution has none.
    `printed`: the whole equation as in the list of models.  `added`: why, when the user did not write it.
    """

    outcome: str
    left: Expression
    title: str
    level: int
    distribution: Distribution
    terms: tuple[EquationTerm, ...]
    random: tuple[RandomEffects, ...] = ()
    residual: str | None = None
    block: str | None = None
    printed: str = ""
    added: str = ""
    span: Span | None = None


@dataclass(frozen=True)
class CovarianceBlock:
    """Residual covariances of the equations of `members` (`~~`), one inverse Wishart prior over the block.

    `correlations`: {(i, j): parameter} for labelled or fixed pairs.
    """

    members: tuple[str, ...]
    level: int
    prior: Prior
    correlations: dict[tuple[int, int], str] = field(default_factory=dict)
    block: str | None = None
    span: Span | None = None


@dataclass(frozen=True)
class PredictorPart:
    """One level of a predictor's regression on the other predictors.

    At the level of the variable itself the response is its deviation from its latent cluster mean (the
    variable itself where there is no higher level); at a higher level the latent cluster mean.  `predictors`:
    what stands on the right, in order of printing: other predictors of the joint model by their deviation or
    latent mean at this level (grand-mean centred at their top level), fixed ones centred at their observed row mean.
    A DUMMY form names a code of a nominal one.  `labels`: as printed.
    """

    level: int
    predictors: tuple[Reference, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class PredictorModel:
    """The model of a predictor without an equation of its own.

    `parts`: lowest level first.  Residual variances: IG(1, 0.5); slopes and grand mean flat (normal(0, 5) for
    categorical variables).  `means_only`: a model that only estimates centring means of an outcome.
    """

    variable: str
    parts: tuple[PredictorPart, ...]
    means_only: bool = False


@dataclass(frozen=True)
class PredictorPriors:
    """Normal priors of a predictor model: (mean, variance) of the grand mean, and for each part the variance of the
    slopes on FIXED variables, whose prior mean is 0.
    """

    grand: tuple[float, float]
    slopes: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class FurtherPriors:
    """Priors of what is no parameter of the graph; the defaults are those of a run.

    `spacing`: shape and rate of a gamma prior of the distances between neighbouring thresholds (1, 0: flat).
    `population`: precision and mean of normal priors of the logarithms of centre and index of heterogeneous variances
    (precision 0: these are flat themselves).  `predictors`: by variable; without an entry grand mean and slopes are
    flat.  `first_values`: for a lagged variable mean and variance of the values before the first occasion of each
    cluster, shape (clusters,) each; without an entry those of the cluster's observed values.
    """

    spacing: tuple[float, float] = (1.0, 0.0)
    population: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    predictors: dict[str, PredictorPriors] = field(default_factory=dict)
    first_values: dict[str, tuple[Vector, Vector]] = field(default_factory=dict)


# ------------------------------------------------------------------ what is computed from parameters
@dataclass(frozen=True)
class Generated:
    """A generated quantity: `name = expression` of parameters (and earlier quantities)."""

    name: str
    expression: Expression
    printed: str
    span: Span | None = None


@dataclass(frozen=True)
class WaldTest:
    """Linear constraints: each row {parameter: weight} must equal the value beside it."""

    constraints: tuple[tuple[dict[str, float], float], ...]
    printed: tuple[str, ...]
    full: str = ""
    restricted: str = ""


class At(Enum):
    """Where a moderator is held."""

    SD = "sd"  # +1 SD, mean, -1 SD
    QUANTILE = "quantile"  # 84, 50, 16 %
    QUARTILE = "quartile"  # 75, 50, 25 %
    CODES = "codes"  # every code of a categorical moderator
    VALUE = "value"
    PARAMETER = "parameter"  # a labelled parameter or a generated quantity


@dataclass(frozen=True)
class ModeratorSpec:
    """A moderator of conditional effects; `label` as printed (`m`, `d.1`).

    `values`: where it is held, if these are numbers.  `parameter`: the name of what it is held at, for PARAMETER.
    """

    reference: Reference
    at: At
    label: str
    values: tuple[float, ...] = ()
    parameter: str = ""


@dataclass(frozen=True)
class ConditionalEffect:
    """Intercept and slope of `focal` (a variable or a term of one) in an equation, at values of its moderators.

    `slopes`: for each term that contains the focal variable its position and the moderators' positions that
    it is multiplied with; `intercepts`: the same for terms of moderators alone.  In an equation with several logits
    they are the terms of one of these.
    """

    equation: int
    focal: Expression
    focal_label: str
    moderators: tuple[ModeratorSpec, ...]
    slopes: tuple[tuple[int, tuple[int, ...]], ...]
    intercepts: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class ConditionalQuantity:
    """An expression of parameters and moderators, at values of the moderators."""

    expression: Expression
    printed: str
    moderators: tuple[ModeratorSpec, ...]


@dataclass(frozen=True)
class Settings:
    """How long to run and what to write; `iterations` is the total over all chains after burn-in.

    `stream` sets the random numbers of a group (BYGROUP) apart from those of others.
    """

    seed: int
    burn: int
    iterations: int
    chains: int
    thin: int = 1
    imputations: int = 0
    options: frozenset[str] = frozenset()
    saves: tuple[tuple[str, str], ...] = ()
    stream: int = 0

    @property
    def kept_per_chain(self) -> int:
        """Draws of each chain after burn-in, rounded up."""
        return -(-self.iterations // self.chains)


@dataclass(frozen=True)
class Addition:
    """Something that the language adds silently, and why (`mlbayes explain` prints it)."""

    what: str
    because: str


@dataclass(frozen=True)
class NamedEffect:
    """RANDOMEFFECT: `name` is the random effect of a term of an outcome's equation.

    `label`: of the term, as in RandomEffects.
    """

    name: str
    outcome: str
    label: str
    level: int


@dataclass(frozen=True)
class Model:
    """The whole model graph.

    `equations` in order of printing (within a block by outcome).  `predictor_models` in order of printing.
    `used_rows`: positions in the table of the rows that are analysed, in file order, occasions that were added
    last (`hierarchy.order` indexes the table as well).  `places`: where each command stands, by lower-case name.
    `weights`: variables with sampling weights.  `time`: the occasion variable.  `imputation`: FCS, a model
    of the predictors alone.  `dropouts`: the outcome that an indicator of DROPOUT is about, by indicator.
    """

    source: Source
    hierarchy: Hierarchy
    variables: dict[str, Variable]
    equations: tuple[Equation, ...]
    parameters: dict[str, Parameter]
    predictor_models: tuple[PredictorModel, ...] = ()
    covariances: tuple[CovarianceBlock, ...] = ()
    definitions: tuple[tuple[str, Expression, str], ...] = ()
    generated: tuple[Generated, ...] = ()
    wald_tests: tuple[WaldTest, ...] = ()
    conditional_effects: tuple[ConditionalEffect | ConditionalQuantity, ...] = ()
    settings: Settings = Settings(1, 1000, 10000, 4)
    used_rows: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    additions: tuple[Addition, ...] = ()
    warnings: tuple[str, ...] = ()
    named_effects: tuple[NamedEffect, ...] = ()
    weights: tuple[str, ...] = ()
    time: str | None = None
    imputation: bool = False
    further: FurtherPriors = FurtherPriors()
    places: dict[str, Span] = field(default_factory=dict)
    dropouts: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Span | None:
        """The command that states the model."""
        return self.places.get("model", self.places.get("fcs"))

    def in_line(self, span: Span | None, command: str = "model") -> str:
        """The line of a place in the script as ` (line 3)`; that of a command where nothing was written."""
        if span is None or span.start == span.end:
            span = self.places.get(command)
        return f" (line {self.source.line_and_column(span.start)[0]})" if span is not None else ""

    def observed_mean(self, name: str) -> float:
        """The observed mean over rows, at which fixed variables are centred (a level-2 value counts once a row)."""
        variable = self.variables[name]
        return float(np.nanmean(variable.values[self.hierarchy.ancestors(1, variable.level)]))

    def observed_proportion(self, name: str, code: int) -> float:
        """The share of a nominal variable's code among the rows where it is observed."""
        variable = self.variables[name]
        values = variable.values[self.hierarchy.ancestors(1, variable.level)]
        return float(np.mean(values[~np.isnan(values)] == code))

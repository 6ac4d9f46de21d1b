"""The plan: everything a chain needs, as named tuples of flat integer arrays and one store of numbers.

Every vector and every scalar of a chain (data, unknowns, cross products, scratch) lies in one array of
float64, the store; the plan refers to it by offsets.  The engine interprets the plan and knows nothing
of variables and equations.  The constants below name the columns of the plan's tables and the codes of
its instructions; `mlbayes.plan.builder` is the only place that fills the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Vector = NDArray[np.float64]

CHUNK = 1024  # units that the elimination handles at a time; its scratch then stays in the L2 cache

# ---- sets of units: rows, clusters, or a part of them
SET_UNITS = 0
SET_PARENT = 1  # set of the parents, -1 for none
SET_GATHER = 2  # offset into `index`: parent of each unit
SET_STARTS = 3  # offset into `index`: first unit of each parent, one entry more than parents
SET_FIELDS = 4

# ---- blocks: unknowns drawn jointly; tiers first..last-1 from the lowest units upward, then the top
BLOCK_FIRST = 0
BLOCK_LAST = 1
BLOCK_WIDTH = 2  # columns at the top, the constant column last
BLOCK_UNKNOWNS = 3  # coefficients at the top
BLOCK_ENTRIES = 4  # first and last entry of the top's map (rows of `tops`)
BLOCK_ENTRIES_END = 5
BLOCK_CROSS = 6  # store: packed cross products of the top columns
BLOCK_COLUMNS = 7  # store: coefficient of each top column
BLOCK_VALUES = 8  # store: value of each top unknown
BLOCK_PRIOR = 9  # store: prior precisions, then prior means of the top unknowns
BLOCK_BOUNDS = 10  # store: lower then upper bounds of the top unknowns, -1 for none
BLOCK_GROUPS = 11  # covariance groups: first, last
BLOCK_GROUPS_END = 12
BLOCK_FIELDS = 13

# ---- tiers: one set of units within a block
TIER_SET = 0
TIER_SLOTS = 1  # unknowns of each unit
TIER_WIDTH = 2  # columns, the constant column last
TIER_DROPPED = 3  # the first so many columns end at this tier
TIER_MAPS = 4  # rows of `maps`: first, last
TIER_MAPS_END = 5
TIER_MIXES = 6  # rows of `mixes`: first, last
TIER_MIXES_END = 7
TIER_FACTOR = 8  # store: V (slots x width rows) then R (packed slots) of every unit
TIER_CROSS = 9  # store: cross products handed up by lower tiers, -1 for a lowest tier
TIER_PRIOR = 10  # index: for each slot the store offset of its prior precisions, -1 none, -2 ones
TIER_PARENT = 11  # tier above, -1 for the top
TIER_COLUMNS = 12  # store: coefficient of each column for every unit
TIER_EFFECTS = 13  # store: value of each slot for every unit
TIER_COLUMN_MAP = 14  # index: column of the tier above (or the top) for each column, -1 where it ends
TIER_FIELDS = 15

# ---- maps: what a slot adds to the coefficient of a column
MAP_SLOT = 0
MAP_COLUMN = 1
MAP_KIND = 2
MAP_OFFSET = 3
MAP_SCALE = 4  # store: a scalar that multiplies the entry
MAP_FIELDS = 5
MAP_ONE, MAP_SCALAR, MAP_VECTOR = 0, 1, 2

# ---- mixes: cross products that enter a tier with a precision
MIX_ROW = 0
MIX_COLUMN = 1  # <= row
MIX_VECTOR = 2
MIX_PRECISION = 3  # store: scalar
MIX_FIELDS = 4

# ---- map of the top unknowns: unknown, column, store offset of the factor, its column in the lowest tier
TOP_UNKNOWN = 0
TOP_COLUMN = 1
TOP_FACTOR = 2
TOP_LOWEST = 3
TOP_FIELDS = 4

# ---- fills: target (+)= factor * products * a * b, vectors over the units of a set
FILL_TARGET = 0
FILL_UNITS = 1
FILL_PRODUCT = 2  # -1 for none
FILL_A = 3  # -1 for none
FILL_B = 4
FILL_FACTOR = 5  # store: scalar
FILL_ADD = 6  # 0 overwrites the target
FILL_FIELDS = 7

# ---- cross products of two columns summed within parents
PRODUCT_TARGET = 0
PRODUCT_SET = 1  # the set of the rows; parents are the units of the target
PRODUCT_A = 2
PRODUCT_B = 3
PRODUCT_BASE = 4  # store: what is added (the rows that never change), -1 for nothing
PRODUCT_FIELDS = 5

# ---- the vector program: code, target, length, a, b, c
PROGRAM_FIELDS = 6
(
    OP_COPY,  # t = a
    OP_FILL,  # t = scalar a
    OP_MULTIPLY,  # t = a * b
    OP_ADD,  # t = t + a
    OP_ADD_SCALED,  # t = t + scalar b * a
    OP_ADD_PRODUCT,  # t = t + a * b
    OP_ADD_SCALED_PRODUCT,  # t = t + scalar c * a * b
    OP_SCALE,  # t = scalar b * a
    OP_GATHER,  # t[i] = a[index b + i]
    OP_SCATTER,  # a[index b + i] = t[i]
    OP_ADD_SCALAR,  # t = t + scalar a
    OP_SUM,  # scalar t = sum of a
    OP_RECIPROCAL,  # t = 1 / a
    OP_SQUARE_ROOT,  # t = sqrt(a)
    OP_SUBTRACT,  # t = t - a
    OP_DIVIDE,  # t = t / a
    OP_EXP,
    OP_LOG,
    OP_NORMAL_CDF,
    OP_POWER,  # t = t ^ a
    OP_MINIMUM,  # t = smaller of t and a
    OP_MAXIMUM,
    OP_CHOICE,  # t = log probability of place a under c - 1 logits at b (one after the other); 0 if a is negative
    OP_YEO_JOHNSON,  # t = Yeo-Johnson transform of t with power a
    OP_INVERSE_YEO_JOHNSON,
) = range(25)

# ---- covariance groups: whitened effects u with covariance L L'
GROUP_TIER = 0
GROUP_SLOT = 1  # first slot
GROUP_SIZE = 2
GROUP_FACTOR = 3  # store: packed lower Cholesky factor
GROUP_COLUMNS = 4  # index: tier column of each effect
GROUP_DF = (
    5  # store: degrees of freedom, scale of the inverse Wishart prior; 1 if separate priors, then IG (a, b)
)
GROUP_WEIGHTS = 6  # store: sampling weight of each unit, -1 without
GROUP_FIELDS = 7

# ---- variances: scalar precision in the store with an inverse gamma prior
VARIANCE_PRECISION = 0
VARIANCE_PRIOR = 1  # store: a, b
VARIANCE_COUNT = 2  # units that it is the residual variance of, in its block
VARIANCE_FIELDS = 3

# ---- residual covariance matrices of several equations
COVARIANCE_SIZE = 0
COVARIANCE_PRECISION = 1  # store: packed inverse
COVARIANCE_FACTOR = 2  # store: packed lower Cholesky factor of the matrix
COVARIANCE_DF = 3  # store: degrees of freedom, then scale of the inverse Wishart prior
COVARIANCE_COUNT = 4  # units
COVARIANCE_PARTS = (
    5  # store: standard deviations, packed correlations, IG prior (a, b) of each variance; -1: Wishart
)
COVARIANCE_FREE = (
    6  # index: number of free standard deviations and correlations, their places; then the number
)
#   of parts that are equal to others, and for each its place among the parts and that of the other
COVARIANCE_FIELDS = 7

# ---- parameters of collapsed steps
THETA_KIND = 0
THETA_TARGET = 1  # row of `groups`, `variances` or `covariances`; store offset of a coefficient
THETA_SIZE = 2
THETA_PRIOR = 3  # store, of a coefficient: precision, mean, lower and upper bound
THETA_FIELDS = 4
(
    THETA_GROUP,
    THETA_VARIANCE,
    THETA_COVARIANCE,
    THETA_COEFFICIENT,
    THETA_SD,
    THETA_PARTS,
    THETA_REVERSED,  # a covariance matrix with its rows in the opposite order
) = range(7)

# ---- collapsed steps
COLLAPSED_BLOCK = 0
COLLAPSED_FIRST = 1  # rows of `thetas`
COLLAPSED_LAST = 2
COLLAPSED_SIZE = 3  # parameters
COLLAPSED_REPEATS = 4
COLLAPSED_MEMORY = 5  # store: see mlbayes.engine.steps.collapsed
COLLAPSED_FIELDS = 6

COLLAPSED_HEAD = 5  # learned, accepted, tried, draws seen, random walk; then means and matrices


def collapsed_memory_size(parameters: int) -> int:
    """Numbers that a collapsed step keeps in the store."""
    return COLLAPSED_HEAD + 2 * parameters + 2 * parameters * parameters


# ---- steps of a sweep: code and arguments
STEP_FIELDS = 8
(
    STEP_PROGRAM,  # first, last
    STEP_PRODUCTS,  # first, last
    STEP_FILLS,  # first, last
    STEP_DRAW,  # block: joint draw of everything in it
    STEP_COLLAPSED,  # collapsed step
    STEP_CONJUGATE,  # covariance group: inverse Wishart draw
    STEP_INTERWEAVE,  # block, acceptance counter
    STEP_VARIANCE,  # block, variance: inverse gamma draw
    STEP_RESPONSES,  # responses of a categorical variable: row of `responses`
    STEP_CELLS,  # Metropolis step: row of `cells`
    STEP_COVARIANCE,  # report covariance: factor, size, transformation (-1 none), target
    STEP_EXPLAIN,  # variance decomposition: row of `explains`
    STEP_MOMENTS,  # target (mean, sd), vector, units
    STEP_WISHART,  # block, residual covariance matrix: inverse Wishart draw
    STEP_SEPARATE,  # block, residual covariance matrix: its standard deviations and correlations one by one
    STEP_QUANTILES,  # target (one for each share), vector, units, store: first of QUANTILE_SHARES shares
    STEP_PARAMETER,  # slice sampling of one parameter: row of `parameters`
    STEP_NEWTON,  # row of `newtons`
    STEP_SCALE,  # scale of a latent variable: row of `scales`
    STEP_SERIES,  # missing values of a lagged variable: row of `series`
    STEP_NOMINAL,  # categories and responses of a nominal variable: row of `nominals`
    STEP_MODULATOR,  # row of `modulators`
    STEP_CLUSTER_VARIANCES,  # row of `cluster_variances`
    STEP_SELECTION,  # row of `selections`
) = range(24)

QUANTILE_SHARES = 3

# ---- latent or working responses of categorical and count variables
RESPONSE_KIND = 0
RESPONSE_UNITS = 1
RESPONSE_VALUE = 2  # store: responses
RESPONSE_ROOT = 3  # store: square roots of their precisions, -1 where these are 1
RESPONSE_MEAN = 4  # store: their means given everything else
RESPONSE_SD = 5  # store: their standard deviations, -1: 1 (normal responses only)
RESPONSE_CODE = 6  # store: place of each unit's category (current), or its count; -1 for units left out
RESPONSE_CUTS = 7  # store: thresholds, one fewer than categories; the dispersion of a count
RESPONSE_CATEGORIES = 8
RESPONSE_CELLS = 9  # index: units whose category is missing
RESPONSE_CELL_COUNT = 10
RESPONSE_EVIDENCE = 11  # store: log likelihood of each category (rows) for each missing cell, -1 none
RESPONSE_NUMBER = 12  # store: numeric value of each unit's category
RESPONSE_LABELS = 13  # store: the numeric values of the categories
RESPONSE_SHIFT = 14  # store: what the linear predictor of the working response is less, -1 nothing
RESPONSE_FIELDS = 15
(
    RESPONSE_NORMAL,  # normal latent response between thresholds
    RESPONSE_LOGISTIC,  # logistic latent response between thresholds, a normal with a variance of its own
    RESPONSE_BINARY,  # Polya-Gamma working response of a binary logit
    RESPONSE_COUNT,  # the same of a negative binomial count
) = range(4)

# ---- missing categories of nominal variables, and the latent responses of those with a multinomial probit model
NOMINAL_UNITS = 0
NOMINAL_SIZE = 1  # categories less the reference
NOMINAL_RESPONSES = (
    2  # index: store offset of the responses of each category, -1: an outcome (multinomial logit)
)
NOMINAL_MEANS = 3  # index: store offset of their means (of an outcome: its logits)
NOMINAL_PLACE = 4  # store: place of each unit's category, 0 for the reference
NOMINAL_CELLS = 5  # index: units whose category is missing
NOMINAL_CELL_COUNT = 6
NOMINAL_EVIDENCE = 7  # store: log likelihood of each category (rows) for each missing cell, -1 none
NOMINAL_NUMBER = 8  # store: code of each unit's category
NOMINAL_LABELS = 9  # store: the codes of the categories
NOMINAL_DUMMIES = 10  # index: store offset of the dummy variable of each category, where there are cells
NOMINAL_MEMORY = 11  # store: accepted, proposed, then scratch (a number for each category)
NOMINAL_FIELDS = 12

# ---- coefficients, thresholds and dispersions given the rest, with responses integrated out
NEWTON_FAMILY = 0
NEWTON_UNITS = 1
NEWTON_CODE = 2  # store: as RESPONSE_CODE; squares of residuals whose log variance is modelled
NEWTON_OFFSET = 3  # store: linear predictor without the coefficients of this step
NEWTON_SD = 4  # store: standard deviation of each unit's response, -1: 1; of a residual whose log variance is modelled
#   the residual times what those that covary with it are multiplied with, -1: 0
NEWTON_COLUMNS = 5  # index: store offset of what each coefficient is multiplied with, for each unit
NEWTON_VALUES = 6  # index: store offset of each coefficient
NEWTON_SIZE = 7  # coefficients
NEWTON_PRIOR = (
    8  # store: precisions, then means of coefficients, prior variance of the log dispersion, then shape and
)
#   rate of the gamma prior of distances between thresholds
NEWTON_EXTRA = 9  # store: thresholds (the first is 0) or dispersion
NEWTON_EXTRAS = 10  # free ones of these
NEWTON_MEMORY = 11  # store: see mlbayes.engine.steps.newton
NEWTON_GROUPS = 12  # index: number of Cholesky factors; of each: first coefficient, size, prior in the store
NEWTON_PROGRAM = 13  # instructions that follow the thresholds, first and last, run by the step itself
NEWTON_PROGRAM_END = 14
NEWTON_FORMS = 15  # rows of `quadratics` that depend on the thresholds in this way: first, last
NEWTON_FORMS_END = 16
NEWTON_FIELDS = 17
NEWTON_PROBIT, NEWTON_LOGIT, NEWTON_COUNT, NEWTON_VARIANCE = range(4)

NEWTON_HEAD = 3  # accepted, tried, sweeps that the reference point averages


def newton_memory_size(parameters: int) -> int:
    """Numbers that such a step keeps in the store."""
    return NEWTON_HEAD + parameters


# ---- an outcome and its missingness, with the missing values integrated out
SELECTION_UNITS = 0
SELECTION_CODE = 1  # store: 1 where the outcome is missing, else 0
SELECTION_VALUE = 2  # store: values of the outcome
SELECTION_OFFSET = 3  # store: linear predictors of both without the coefficients of this step, units each
SELECTION_COLUMNS = 4  # index: store offset of what each coefficient is multiplied with, for each unit
SELECTION_VALUES = 5  # index: store offset of each coefficient; last that of the outcome in its missingness
SELECTION_SIZE = 6  # coefficients
SELECTION_SPLIT = 7  # those of the outcome, which come first
SELECTION_PRIOR = 8  # store: precisions, then means of coefficients, then arguments of an inverse gamma prior
SELECTION_PRECISION = 9  # store: residual precision of the outcome
SELECTION_MEMORY = 10  # store: as that of a collapsed step with a parameter more
SELECTION_FIELDS = 11

# ---- scale of a latent variable with everything that makes up for it
SCALE_VALUES = 0  # store: its values
SCALE_UNITS = 1
SCALE_DOWN = (
    2  # index: number of coefficients divided by the scale, then for each its place and that of its prior
)
SCALE_UP = 3  # index: the same of coefficients multiplied with it
SCALE_PRECISION = 4  # store: residual precision, or (packed) that of the covariance matrix it belongs to
SCALE_FACTOR = 5  # store: packed Cholesky factor of that matrix, -1: a single variance
SCALE_PARTS = (
    6  # store: its standard deviations where these have priors of their own, -1: an inverse Wishart prior
)
SCALE_SIZE = 7  # of the matrix
SCALE_ROW = 8  # of the latent variable in it
SCALE_PRIOR = 9  # store: (a, b) of the inverse gamma prior or (df, scale) of the inverse Wishart
SCALE_FIRST = 10  # rows of `scale_items`
SCALE_LAST = 11
SCALE_WIDTH = 12  # store: width of the slice on the log scale, then mean size of its moves
SCALE_FIELDS = 13

# ---- an equation whose linear predictor changes with the scale: rest + scale * part
ITEM_FAMILY = 0  # NEWTON_..., or ITEM_NORMAL
ITEM_UNITS = 1
ITEM_REST = 2  # store: the rest; of a normal outcome the residual without the part
ITEM_PART = 3
ITEM_CODE = 4  # store: as RESPONSE_CODE; of a normal outcome its precision
ITEM_CUTS = 5
ITEM_CATEGORIES = 6
ITEM_FIELDS = 7
ITEM_NORMAL = -1

# ---- series of a lagged variable: for each cluster the values before its first row, then its rows
SERIES_VALUES = 0  # store: all values
SERIES_CLUSTERS = 1
SERIES_STARTS = 2  # index: first place of each cluster, one entry more than clusters
SERIES_CELLS = 3  # index: places of unknown values
SERIES_CELL_STARTS = 4  # index: first of these of each cluster, one entry more than clusters
SERIES_ORDER = 5  # longest lag
SERIES_PRIOR = 6  # store: precisions, then means, one for each place
SERIES_PLACES = 7
SERIES_FIRST = 8  # rows of `series_equations`
SERIES_LAST = 9
SERIES_LONGEST = 10  # places of the longest series
SERIES_FIELDS = 11

# ---- two residuals (or one twice) that hold a series, by rows: offsets, and index lists of what its value and its
# lags are multiplied with
SERIES_EQUATION_RESIDUAL = 0
SERIES_EQUATION_FACTORS = 1
SERIES_EQUATION_OTHER = 2
SERIES_EQUATION_OTHER_FACTORS = 3
SERIES_EQUATION_PRECISION = 4
SERIES_EQUATION_SAME = 5
SERIES_EQUATION_FIELDS = 6

# ---- unknowns on which a log variance depends: Gaussian given everything but the residuals of that variance
MODULATOR_UNITS = 0
MODULATOR_VALUES = 1  # store: current values
MODULATOR_PRECISION = 2  # store: precision of each by all other equations
MODULATOR_LINEAR = 3  # store: precision times mean
MODULATOR_FIRST = 4  # rows of `modulated`
MODULATOR_LAST = 5
MODULATOR_PAIRS = 6  # rows of `modulated_pairs`: first, last
MODULATOR_PAIRS_END = 7
MODULATOR_MEMORY = 8  # store: accepted, tried
MODULATOR_FIELDS = 9

# ---- an equation whose residual a + b u has the log variance c + d u, with u the unknown of the row's unit
MODULATED_SET = 0  # set of the rows; its parents are the unknowns
MODULATED_CONSTANT = 1  # store: a
MODULATED_LINEAR = 2  # store: b
MODULATED_PRECISION = 3  # store: exp(-c) times the residual precision, 0 on rows that do not count
MODULATED_SLOPE = 4  # store: d, 0 on rows that do not count
MODULATED_FIELDS = 5

# ---- two such equations of the same rows whose residuals covary
PAIR_FIRST = 0  # rows of `modulated`
PAIR_SECOND = 1
PAIR_PRECISION = 2  # store: element of their precision matrix times exp(-c / 2) of both
PAIR_FIELDS = 3

# ---- residual variances of clusters with an inverse gamma population
CLUSTER_UNITS = 0
CLUSTER_SQUARES = 1  # store: sum of squared residuals of each cluster
CLUSTER_COUNTS = 2  # store: residuals of each cluster
CLUSTER_ROOT = 3  # store: square root of the inverse of each cluster's variance
CLUSTER_POPULATION = (
    4  # store: centre and heterogeneity index, their logarithms, then of each of these precision
)
#   and mean of its normal prior (precision 0: centre and index themselves are flat)
CLUSTER_FIELDS = 5

# ---- Metropolis steps on cells: a set of cells, the residuals they enter
CELL_SET = 0  # set of the cells (parents unused)
CELL_VALUES = 1  # store: current values, one per cell
CELL_PROPOSALS = 2
CELL_FIRST = 3  # rows of `cell_equations`
CELL_LAST = 4
CELL_SCALE = 5  # store: step size, then accepted, then proposed, then log density scratch (2 per cell)
CELL_REPEATS = 6
CELL_MEAN = (
    7  # store: logarithm of the mean of each cell, a count that is proposed from its own distribution; -1
)
CELL_DISPERSION = 8  # store: dispersion of the counts
CELL_FIELDS = 9

# ---- an equation whose residuals depend on cells
CELL_EQUATION_PROGRAM = 0  # rows of the program that write the residuals from the proposals: first, last
CELL_EQUATION_PROGRAM_END = 1
CELL_EQUATION_RESIDUAL = 2  # store: residuals, or log densities
CELL_EQUATION_SET = 3  # set of the rows; its parents are the cells
CELL_EQUATION_PRECISION = 4  # store: scalar; -1 where the program writes log densities
CELL_EQUATION_FIELDS = 5

# ---- parameters drawn one by one
PARAMETER_TARGET = 0  # store: its value
PARAMETER_PRIOR = 1  # store: precision, mean, lower and upper bound
PARAMETER_PROGRAM = 2  # rows of the program that bring what depends on it up to date: first, last
PARAMETER_PROGRAM_END = 3
PARAMETER_FIRST = 4  # rows of `quadratics`: first, last
PARAMETER_LAST = 5
PARAMETER_BLOCK = 6  # block that is integrated out instead, -1 for none
PARAMETER_STEPS = 7  # steps (programs, products, fills) that bring the block up to date: first, last
PARAMETER_STEPS_END = 8
PARAMETER_WIDTH = 9  # store: width of the slice's first interval
PARAMETER_TILT = 10  # store: what the log density gains by each unit of the parameter
PARAMETER_RATE = 11  # store: what the log of the scale of the residuals gains by each unit of the parameter
PARAMETER_COMPANIONS = 12  # rows of `companions`: first, last
PARAMETER_COMPANIONS_END = 13
PARAMETER_FIELDS = 14

# ---- what keeps its proportion to the scale of residuals while a parameter moves
COMPANION_KIND = 0
COMPANION_TARGET = 1  # store: a residual precision, or the packed Cholesky factor of a covariance matrix
COMPANION_SIZE = 2  # residuals with that precision; effects
COMPANION_PRIOR = 3  # store: IG(a, b) of the variance; degrees of freedom and scale of the inverse Wishart
COMPANION_FIELDS = 4
COMPANION_PRECISION, COMPANION_FACTOR = range(2)

# ---- quadratic forms of residuals: precision times the sum of products of two vectors
QUADRATIC_A = 0
QUADRATIC_B = 1  # the same as A, or another residual: then it counts twice
QUADRATIC_UNITS = 2
QUADRATIC_PRECISION = 3  # store: scalar
QUADRATIC_FIELDS = 4

# ---- variance decompositions
EXPLAIN_TERMS = 0
EXPLAIN_TOTALS = 1  # store: packed sums over units of products of terms, the constant first
EXPLAIN_COEFFICIENTS = 2
EXPLAIN_TARGET = 3  # store: standard deviations of the terms, explained, then (intercepts, slopes) per group
EXPLAIN_UNITS = 4
EXPLAIN_GROUPS = (
    5  # index: number, then for each: size, store offset of its covariance, positions of its terms
)
EXPLAIN_FIELDS = 6


class Plan(NamedTuple):
    """The tables of a plan; shapes (rows, fields), all int64 and C-contiguous."""

    index: Integers  # type: ignore[assignment]  # a tuple has a method of that name
    sets: Integers
    blocks: Integers
    tiers: Integers
    maps: Integers
    mixes: Integers
    tops: Integers
    fills: Integers
    products: Integers
    program: Integers
    groups: Integers
    variances: Integers
    covariances: Integers
    thetas: Integers
    collapsed: Integers
    responses: Integers
    nominals: Integers
    newtons: Integers
    scales: Integers
    scale_items: Integers
    series: Integers
    series_equations: Integers
    modulators: Integers
    modulated: Integers
    modulated_pairs: Integers
    cluster_variances: Integers
    selections: Integers
    cells: Integers
    cell_equations: Integers
    parameters: Integers
    companions: Integers
    quadratics: Integers
    explains: Integers
    steps: Integers
    record: Integers  # (first, last) offset in the store of what every draw keeps, shape (1, 2)


class Work(NamedTuple):
    """Scratch of a chain: packed matrices of a chunk of units, and dense matrices of the top."""

    cross: NDArray[np.float64]  # (packed width, CHUNK)
    transfer: NDArray[np.float64]  # (slots * width, CHUNK)
    factor: NDArray[np.float64]  # (packed slots, CHUNK)
    lines: NDArray[np.float64]  # (slots + 3, CHUNK)
    dense: NDArray[np.float64]  # (3, n, n)
    vectors: NDArray[np.float64]  # (8, n)
    gathered: NDArray[np.float64]  # (effects, units): effects of a block spread over its lowest tier
    entries: Integers  # (entries, 4): unknowns of the interweaving regression
    small: NDArray[np.float64]  # (6, p, p): matrices of a covariance group
    slots: Integers  # (places of the longest series,)
    band: NDArray[np.float64]  # (places of the longest series, longest lag + 1)
    series: NDArray[np.float64]  # (1, places of the longest series)

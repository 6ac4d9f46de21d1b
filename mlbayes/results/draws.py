"""What the chains kept, by meaning: the interface between the engine and the results.

Arrays of draws have shape (chains, draws, ...), burn-in first: the first `burn` draws of each chain are
burn-in, the rest is kept.  Coefficients are on the scale of the report (predictors centred as the script
says).  Quantities that are the same in every draw have shape (1, 1, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RandomDraws:
    """Random effects of an equation at one level, p effects.

    `covariance`: shape (chains, draws, p, p), in the order of `RandomEffects.terms` (intercept first).
    `intercepts`, `slopes`: shape (chains, draws), the variance of the outcome that their random intercepts (m'Tm)
    and slopes (trace of V T) stand for (Rights & Sterba 2019), with m and V the means and covariance matrix over rows
    of the predictors that have random effects (1 first).
    """

    covariance: Array
    intercepts: Array
    slopes: Array


@dataclass(frozen=True)
class EquationDraws:
    """Draws of an equation, in the order of `Equation.terms` (k terms).

    `coefficients`: (chains, draws, k), fixed ones constant.  `residual`: (chains, draws), residual variance.
    `sd`: (chains or 1, draws or 1, k), standard deviation over rows (divisor n - 1) of each term's expression.
    `explained`: (chains, draws), b'Sb with S the covariance matrix of the terms over rows.  A residual variance that
    differs between units is given by its mean; `centre`: (chains, draws), of the population of clusters' variances.
    """

    coefficients: Array
    residual: Array
    sd: Array
    explained: Array
    random: tuple[RandomDraws, ...] = ()
    centre: Array | None = None


@dataclass(frozen=True)
class PartDraws:
    """One level of a predictor model: `slopes` (chains, draws, k) and `residual` variance (chains, draws)."""

    slopes: Array
    residual: Array


@dataclass(frozen=True)
class PredictorDraws:
    """A response of a predictor model: `grand_mean` (chains, draws) and its parts, lowest level first.

    `code`: of a nominal predictor, the category whose latent response it is.
    """

    grand_mean: Array
    parts: tuple[PartDraws, ...]
    code: int | None = None


@dataclass(frozen=True)
class ModeratorDraws:
    """Values at which a moderator is held, on the centred scale: `points` (chains or 1, draws or 1, points)."""

    points: Array


@dataclass(frozen=True)
class UnitLikelihood:
    """Log likelihood l_u of each independent unit (top-level cluster; row in single-level data), over monitored draws.

    All of shape (units,): log of the mean of exp(l_u), mean of l_u, variance of l_u (divisor n).
    """

    log_mean_exp: Array
    mean: Array
    variance: Array


@dataclass(frozen=True)
class Monitors:
    """What is followed in every k-th kept draw only, `draws` of them in total over chains.

    `summaries`: {variable: (7,)} means over draws of mean, SD, quartiles (25, 50, 75 %, Hazen), minimum, maximum.
    `residual_correlations`: {(level, outcome, outcome): (chains, draws)}.
    """

    draws: int
    conditional: UnitLikelihood
    marginal: UnitLikelihood | None
    summaries: dict[str, Array]
    residual_correlations: dict[tuple[int, str, str], Array] = field(default_factory=dict)


@dataclass(frozen=True)
class AcceptanceDraws:
    """Acceptance of a Metropolis step: per chain, after burn-in."""

    variable: str
    type: str
    target: float
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Snapshot:
    """The data of one draw, every column of shape (rows,) in sorted row order.

    `values`: the variables of the model that have missing values, with these imputed, and all those of clusters, keyed
    by name.  `added`: latent scores, random
    effects, latent cluster means, residuals and predicted values, keyed by the names of saved columns, in order.
    """

    values: dict[str, Array]
    added: dict[str, Array]


@dataclass(frozen=True)
class Draws:
    """Everything that a run kept.

    `burn`: burn-in draws of each chain (fewer than asked when interrupted), `kept`: draws after it.
    `equations` and `predictors` stand in the order of the model's lists, a nominal predictor once for each code but the
    reference; `moderators` in the order of `Model.conditional_effects` and their moderators.  `snapshots`: the
    imputations in order of their numbers, read from disk each time that one is asked for; their mean and variance are
    over all monitored draws.  `parameters`: {name: (chains, draws)} for every free or defined parameter of the model.
    """

    burn: int
    kept: int
    chains: int
    equations: tuple[EquationDraws, ...]
    predictors: tuple[PredictorDraws, ...]
    parameters: dict[str, Array]
    monitors: Monitors
    moderators: tuple[tuple[ModeratorDraws, ...], ...] = ()
    acceptance: tuple[AcceptanceDraws, ...] = ()
    complete: bool = True
    snapshots: Sequence[Snapshot] = ()
    snapshot_mean: Snapshot | None = None
    snapshot_variance: Snapshot | None = None

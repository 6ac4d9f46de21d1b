"""What a block is made of: unknowns, coefficients, residuals and covariance groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.source import Span

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Unknown:
    """Something that a block draws.

    `mask`: which units are unknown (None: all).  `cells`: missing values or latent scores of rows, which get a tier
    of their own with the rows on which any of them is unknown.  `group`: it is a whitened effect.
    """

    atom: Atom
    mask: Mask | None = None
    cells: bool = False
    group: bool = False

    @property
    def masked(self) -> bool:
        """Is it known for some units."""
        return self.mask is not None and not bool(self.mask.all())


@dataclass(frozen=True)
class TopUnknown:
    """A coefficient of the top with its normal prior (precision 0: flat) and bounds."""

    atom: Atom
    precision: float = 0.0
    mean: float = 0.0
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Residual:
    """residual ~ N(0, 1 / precision) for the active units of a level.

    `precision`: offset in the store.  `squares`: is the constant's own cross product needed (its variance is
    drawn in this block).
    """

    name: str
    polynomial: Polynomial
    level: int
    active: Mask
    precision: int
    squares: bool


@dataclass(frozen=True)
class Logits:
    """A nominal outcome with several logits against the reference, which have no common normal form.

    `place`: symbol of the place of each unit's category, -1 for units that do not count; `predictors`: the logits.
    """

    name: str
    place: Atom
    predictors: tuple[Polynomial, ...]
    level: int
    active: Mask
    span: Span | None = None


@dataclass(frozen=True)
class Coupling:
    """Two residuals of a block (by position) that covary: `precision` is the offset of their element of the inverse."""

    first: int
    second: int
    precision: int


@dataclass(frozen=True)
class EffectGroup:
    """Whitened effects with a covariance matrix of their own: symbols, prior (df, scale), offset of the factor.

    `separate`: arguments of the inverse gamma prior of each variance when correlations have a prior of their own.
    `weights`: offset of the units' sampling weights, -1 without.
    """

    atoms: tuple[Atom, ...]
    level: int
    df: float
    scale: float
    factor: int
    separate: tuple[float, float] | None = None
    weights: int = -1

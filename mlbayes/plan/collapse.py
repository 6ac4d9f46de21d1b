"""Which parameters a block's collapsed steps move together.

A step proposes several parameters at once, with everything else of the block integrated out.  Parameters that
depend on each other belong together: a factor's variance and its loadings, the elements of a covariance
matrix.  Steps with many parameters are rarely accepted, so the rest is dealt out to small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.choice import Theta
from mlbayes.plan.coefficients import parameters_of, top_unknown
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression

if TYPE_CHECKING:
    from mlbayes.plan.outcome_block import BlockPlan

LARGEST = 8  # parameters of one step, beyond what must stay together
LARGEST_LATENT = 6  # where products with latent variables make the densities less normal
FACTOR = 12  # parameters of the step of one factor


class Collapsing:
    """The collapsed steps of a block plan, given the rows of its free groups, variances and covariance matrices."""

    def __init__(
        self, block: BlockPlan, groups: list[int], variances: dict[int, int], matrices: Sequence[int | None]
    ) -> None:
        self.block = block
        self.builder = block.builder
        self.variances = variances
        self.matrices = dict(zip((c.name for c in block.covariances), matrices, strict=True))
        sizes = [block.builder.tables["groups"][row][p.GROUP_SIZE] for row in groups]
        self.groups = [Theta(p.THETA_GROUP, row, triangle(n)) for row, n in zip(groups, sizes, strict=True)]
        self.regressions = [r for r in block.included if self._integrates(r)]

    def chunks(self) -> list[list[Theta]]:
        """The parameters of each step: factors with their loadings first, then what is left in small steps."""
        steps: list[list[Theta]] = []
        for latent in self.block.values:
            indicators = self._indicators(latent)
            if indicators:
                steps += self._factor(latent, indicators)
        taken = {theta for step in steps for theta in step}
        left = [theta for theta in self._others() if theta not in taken]
        largest = LARGEST_LATENT if self.block.parts.latent else LARGEST
        chunk: list[Theta] = []
        for theta in left:
            if chunk and sum(t.size for t in chunk) + theta.size > largest:
                steps.append(chunk)
                chunk = []
            chunk.append(theta)
        return [*steps, chunk] if chunk else steps

    def _factor(self, latent: Atom, indicators: list[list[Theta]]) -> list[list[Theta]]:
        """A factor's own variance with loadings and residual variances of its indicators, in steps of bounded size."""
        own = [t for r in self.regressions if r.outcome == latent for t in self._spread(r)]
        steps: list[list[Theta]] = []
        chunk = list(own)
        for indicator in indicators:
            if chunk != own and sum(t.size for t in (*chunk, *indicator)) > FACTOR:
                steps.append(chunk)
                chunk = list(own)
            chunk += indicator
        return [*steps, chunk]

    def _others(self) -> list[Theta]:
        """Everything that has a variance: covariance matrices, random effects, latent variables, then outcomes."""
        latent = [r for r in self.regressions if r.outcome in self.block.parts.latent]
        rest = [r for r in self.regressions if r not in latent]
        matrices = [t for r in self.regressions if r.covariance for t in self._spread(r)]
        singles = [t for r in (*latent, *rest) if not r.covariance for t in self._spread(r)]
        return list(dict.fromkeys([*matrices, *self.groups, *singles]))

    def _spread(self, r: OutcomeRegression) -> list[Theta]:
        """The parameter of an equation's residual (co)variance, if it is drawn here."""
        if r.covariance:
            row = self.matrices[r.covariance]
            matrix = next(c for c in self.block.covariances if c.name == r.covariance)
            if row is None or matrix.parts >= 0:
                free = matrix.free_count
                return [] if row is None or free == 0 else [Theta(p.THETA_PARTS, row, free)]
            return [Theta(p.THETA_COVARIANCE, row, triangle(len(matrix.members)))]
        if r.precision not in self.variances:
            return []
        kind = p.THETA_SD if r.outcome in self.block.parts.latent else p.THETA_VARIANCE
        return [Theta(kind, self.variances[r.precision], 1)]

    def _integrates(self, r: OutcomeRegression) -> bool:
        """Does an equation hold values or effects that the step integrates out."""
        drawn = {*self.block.values, *(atom for g in self.block.groups for atom in g.atoms)}
        return bool(self.block.parts.own[r.number].atoms() & drawn)

    def _indicators(self, latent: Atom) -> list[list[Theta]]:
        """For each equation that a latent variable's free loading is in: the loading and the residual variance."""
        found = []
        scales = {atom for use in self.block.block.uses[latent] for atom in use.scale.atoms()}
        for r in self.regressions:
            for atom in dict.fromkeys(parameters_of(r)):
                apart = (*self.block.parts.moving, *self.block.choice.common)
                free = atom not in self.block.chosen and atom not in apart
                if atom in scales and free and self._only_scales(atom):
                    scales.discard(atom)
                    top = top_unknown(self.block.choice.model, atom)
                    low, high = top.bounds or (-np.inf, np.inf)
                    prior = self.builder.vector([top.precision, top.mean, low, high])
                    offset = self.block.choice.symbols.offset(atom)
                    spread = [] if r.covariance or r.outcome in self.block.parts.latent else self._spread(r)
                    found.append([Theta(p.THETA_COEFFICIENT, offset, 1, prior), *spread])
        return found

    def _only_scales(self, atom: Atom) -> bool:
        """Does a coefficient occur in the block as the scale of unknowns only."""
        block = self.block.block
        if any(atom in part.atoms() for column in block.columns for part in column.values()):
            return False
        scales = [use.scale for uses in block.uses.values() for use in uses]
        return all(atom not in scale.atoms() or scale == Polynomial.of(atom) for scale in scales)


def triangle(n: int) -> int:
    """Elements of a packed triangle."""
    return n * (n + 1) // 2

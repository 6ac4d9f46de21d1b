"""The Newton step on coefficients of a log-linear or categorical model, and Cholesky factors of its random effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlbayes.plan import plan as p
from mlbayes.plan.followers import NO_FOLLOWERS
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.priors import DISPERSION_PRIOR
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import EffectGroup, TopUnknown


def standardised(atom: Atom) -> Atom:
    """Symbol of a standardised random effect or latent variable: u in L u."""
    return replace(atom, kind=f"standardised {atom.kind}")


def factor_columns(group: EffectGroup, terms: Sequence[Polynomial]) -> list[Polynomial]:
    """What each element of the Cholesky factor of random effects is multiplied with, given standardised effects."""
    return [
        terms[effect.index] * Polynomial.of(standardised(other))
        for i, effect in enumerate(group.atoms)
        for other in group.atoms[: i + 1]
    ]


def publish_effects(symbols: Symbols, group: EffectGroup) -> None:
    """Instructions for random effects as they are, L u."""
    for i, effect in enumerate(group.atoms):
        target, n = symbols.offset(effect), symbols.units(effect.level)
        for j, other in enumerate(group.atoms[: i + 1]):
            scale = group.factor + i * (i + 1) // 2 + j
            code = p.OP_ADD_SCALED if j else p.OP_SCALE
            symbols.builder.instruct(code, target, n, symbols.offset(standardised(other)), scale)


@dataclass(frozen=True)
class Extras:
    """Thresholds or a dispersion beside coefficients: `place` of all in the store, `count` of free ones.

    `followers`: see `Followers.write`.
    """

    place: int = 0
    count: int = 0
    followers: Sequence[int] = NO_FOLLOWERS


NO_EXTRAS = Extras()


class NewtonStep:
    """Collects what the step moves: offsets of columns (values over the units) and of their coefficients."""

    def __init__(self, symbols: Symbols, units: int) -> None:
        self.symbols = symbols
        self.builder = symbols.builder
        self.units = units
        self.columns: list[int] = []
        self.values: list[int] = []
        self.priors: list[tuple[float, float]] = []
        self.factors: list[int] = []

    def coefficient(self, column: int, top: TopUnknown) -> None:
        """Add a coefficient."""
        self.columns.append(column)
        self.values.append(self.symbols.offset(top.atom))
        self.priors.append((top.precision, top.mean))

    def factor(self, group: EffectGroup, columns: Sequence[int]) -> None:
        """Add the Cholesky factor of random effects, with the columns of `factor_columns`."""
        prior = self.builder.vector([group.df, group.scale])
        self.elements(group.factor, len(group.atoms), prior, columns)

    def elements(self, place: int, size: int, prior: int, columns: Sequence[int]) -> None:
        """Add a packed Cholesky factor of so many rows; `prior`: offset of df and scale of an inverse Wishart."""
        self.factors += [len(self.values), size, prior]
        self.columns += columns
        self.values += [place + k for k in range(len(columns))]
        self.priors += [(0.0, 0.0)] * len(columns)

    def write(
        self,
        family: int,
        first: int,
        code: int,
        predictor: int,
        sd: int = -1,
        shift: int = -1,
        extras: Extras = NO_EXTRAS,
    ) -> int:
        """Append the step, after the instructions since `first`; returns the place of (accepted, tried).

        `predictor`: offset of the linear predictor, which is brought up to date; `shift`: what it is compared with.
        """
        builder, n = self.builder, self.units
        offset = builder.zeros(n)
        builder.instruct(p.OP_COPY, offset, n, predictor)
        if shift >= 0:
            builder.instruct(p.OP_SUBTRACT, offset, n, shift)
        for column, value in zip(self.columns, self.values, strict=True):
            minus = builder.zeros(1)
            builder.instruct(p.OP_SCALE, minus, 1, value, builder.scalar(-1.0))
            builder.instruct(p.OP_ADD_SCALED, offset, n, column, minus)
        builder.step_program(first)
        prior = [precision for precision, _ in self.priors] + [mean for _, mean in self.priors]
        memory = builder.zeros(p.newton_memory_size(len(self.values) + extras.count))
        row = [
            family,
            n,
            code,
            offset,
            sd,
            builder.indices(self.columns) if self.columns else 0,
            builder.indices(self.values) if self.values else 0,
            len(self.values),
            builder.vector([*prior, DISPERSION_PRIOR, *self.symbols.model.further.spacing]),
            extras.place,
            extras.count,
            memory,
            builder.indices([len(self.factors) // 3, *self.factors]),
            *extras.followers,
        ]
        builder.step(p.STEP_NEWTON, builder.add("newtons", row))
        with builder.program():
            builder.instruct(p.OP_COPY, predictor, n, offset)
            if shift >= 0:
                builder.instruct(p.OP_ADD, predictor, n, shift)
            for column, value in zip(self.columns, self.values, strict=True):
                builder.instruct(p.OP_ADD_SCALED, predictor, n, column, value)
        return memory

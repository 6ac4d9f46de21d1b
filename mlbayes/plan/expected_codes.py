"""What ordinal predictors are centred at: the expected code at a latent mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from mlbayes.plan import plan as p
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.categories import category_labels
from mlbayes.plan.polynomial import TOP, Atom
from mlbayes.plan.regressions import PredictorRegression
from mlbayes.plan.symbols import Symbols


@dataclass(frozen=True)
class ExpectedCode:
    """The expected code of an ordinal predictor whose latent response is normal around a latent mean.

    c_1 + sum over k of (c_(k+1) - c_k) Phi((mean - tau_k) / sd): of two codes 0 and 1 the probability of 1.
    `atom`: its symbol; `mean`: that of the mean, of the same level; `codes`: c, ascending; `cuts`: offset of the
    thresholds tau, the first of which is 0.
    """

    atom: Atom
    mean: Atom
    codes: tuple[float, ...]
    cuts: int

    def instruct(self, builder: PlanBuilder, target: int, n: int, means: int, sd: int = -1) -> None:
        """Instructions that put the expected codes at n means to `target`; `sd`: place of n of them, -1: 1."""
        above, minus = builder.zeros(n), builder.zeros(1)
        builder.instruct(p.OP_FILL, target, n, builder.scalar(self.codes[0]))
        for k, (lower, upper) in enumerate(pairwise(self.codes)):
            builder.instruct(p.OP_COPY, above, n, means)
            builder.instruct(p.OP_SCALE, minus, 1, self.cuts + k, builder.scalar(-1.0))
            builder.instruct(p.OP_ADD_SCALAR, above, n, minus)
            if sd >= 0:
                builder.instruct(p.OP_DIVIDE, above, n, sd)
            builder.instruct(p.OP_NORMAL_CDF, above, n, above)
            builder.instruct(p.OP_ADD_SCALED, target, n, above, builder.scalar(upper - lower))

    def replace(self, builder: PlanBuilder, target: int, n: int, power: int) -> None:
        """Instructions that replace n means by the expected codes there (`power` is that of `Moved.show`)."""
        means = builder.zeros(n)
        builder.instruct(p.OP_COPY, means, n, target)
        self.instruct(builder, target, n, means)

    def publish(self, symbols: Symbols) -> None:
        """Instructions that bring the symbol up to date with means and thresholds."""
        n = symbols.units(self.atom.level)
        self.instruct(symbols.builder, symbols.offset(self.atom), n, symbols.offset(self.mean))


def expected_code(symbols: Symbols, part: PredictorRegression, level: int) -> ExpectedCode:
    """That of an ordinal predictor at its means of a level, or at its grand mean; `part`: its lowest regression."""
    name = part.variable
    atom = Atom("share", name, level)
    mean = symbols.mean(name, level) if level != TOP else symbols.grand(name)
    codes = tuple(category_labels(symbols.model.variables[name]))
    return ExpectedCode(atom, mean, codes, part.cuts)


def expected_codes(
    symbols: Symbols, part: PredictorRegression, occurring: Iterable[Atom]
) -> list[ExpectedCode]:
    """Those of an ordinal predictor at cluster means that are among some symbols."""
    levels = {atom.level for atom in occurring if atom.kind == "share" and atom.name == part.variable}
    return [expected_code(symbols, part, level) for level in sorted(levels - {TOP})]

"""The Gaussian conditional distribution of one symbol given everything else, for each unit."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.dependents import dependents
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Residual


def conditional(
    symbols: Symbols,
    units: UnitSet,
    atom: Atom,
    residuals: Sequence[Residual],
    pairs: Sequence[tuple[int, int, int]],
) -> tuple[int, int]:
    """Offsets of its precision, and of precision times mean, over units; appends the steps that compute them.

    `units` need members.  Every residual is affine in the symbol; `pairs`: positions of two residuals (or twice of
    one) with the place of the element of their precision matrix.
    """
    builder, n = symbols.builder, units.units
    sets: dict[int, UnitSet] = {}
    parts: list[tuple[UnitSet, int, int]] = []
    with builder.program():
        for residual in residuals:
            below, active = dependents(symbols, units, residual)
            below = sets.setdefault(residual.level, below)
            factor = None if active.all() else active
            evaluator = Evaluator(symbols, below)
            split = residual.polynomial.by_unknown([atom])
            c = evaluator.vector(split.get(atom, Polynomial()), factor)
            a = evaluator.vector(split.get(None, Polynomial()), factor)
            parts.append((below, c, a))
    start = builder.count("products")
    sums: list[tuple[int, int, int, int]] = []
    for e, f, precision in pairs:
        below, c, a = parts[e]
        _, d, b = parts[f]
        both, mixed = builder.zeros(n), builder.zeros(n)
        builder.add("products", [both, below.number, c, d, -1])
        builder.add("products", [mixed, below.number, c, b, -1])
        sums.append((precision, both, mixed, 1 if e == f else 2))
        if e != f:
            other = builder.zeros(n)
            builder.add("products", [other, below.number, d, a, -1])
            sums.append((precision, -1, other, 1))
    builder.step(p.STEP_PRODUCTS, start, builder.count("products"))
    with builder.program():
        total, linear = builder.zeros(n), builder.zeros(n)
        builder.instruct(p.OP_FILL, total, n, builder.zero)
        builder.instruct(p.OP_FILL, linear, n, builder.zero)
        for precision, both, mixed, times in sums:
            weight, minus = builder.zeros(1), builder.zeros(1)
            builder.instruct(p.OP_SCALE, weight, 1, precision, builder.scalar(float(times)))
            builder.instruct(p.OP_SCALE, minus, 1, precision, builder.scalar(-1.0))
            if both >= 0:
                builder.instruct(p.OP_ADD_SCALED, total, n, both, weight)
            builder.instruct(p.OP_ADD_SCALED, linear, n, mixed, minus)
    return total, linear

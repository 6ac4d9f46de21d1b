"""From draws to the figures of a row: median, interval, tests, effective size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlbayes.results.diagnostics import effective_size, mcse_median, rhat
from mlbayes.results.document import Row, Table
from mlbayes.results.rows import RowDraws, TableDraws, after_burn_in, finite

Array = NDArray[np.float64]


def chi_square_tail(statistic: float, df: int) -> float:
    """Upper tail of the chi-square distribution with a whole number of degrees of freedom.

    Sums the recurrence Q(a + 1, x) = Q(a, x) + x^a exp(-x) / Gamma(a + 1), whose terms are all positive.
    """
    x = statistic / 2.0
    if not x > 0.0:
        return math.nan if math.isnan(x) else 1.0
    if math.isinf(x):
        return 0.0
    shape = 0.5 if df % 2 else 1.0
    tail = math.erfc(math.sqrt(x)) if df % 2 else math.exp(-x)
    while shape < df / 2.0:
        tail += math.exp(shape * math.log(x) - x - math.lgamma(shape + 1.0))
        shape += 1.0
    return min(tail, 1.0)


def is_constant(draws: Array) -> bool:
    """Are all draws equal up to rounding (a share that is 1 by definition, a correlation of fixed ones)."""
    low, high = float(np.min(draws)), float(np.max(draws))
    return low == high or high - low <= 1e-13 * max(abs(low), abs(high))


def summarise_row(row: RowDraws, kept: Array, number: int) -> Row:
    """The figures of a row from its draws after burn-in, shape (chains, draws)."""
    made = Row(row.label, row.section, row.category, row.fixed, number, prior=row.prior)
    if kept.size == 0:
        return made
    if np.isnan(kept).all():  # a quantity that is defined nowhere
        return made
    if is_constant(kept):  # exact, where means and quantiles would round
        value = finite(kept.flat[0])
        made.estimate = made.mean = made.q025 = made.q975 = value
        made.sd = None if value is None else 0.0
        return made
    quantiles = np.quantile(kept, (0.025, 0.5, 0.975)) if np.isfinite(kept).all() else np.full(3, np.nan)
    mean, sd = float(np.mean(kept)), float(np.std(kept, ddof=1))
    made.q025, made.estimate, made.q975 = (finite(value) for value in quantiles)
    made.mean, made.sd = finite(mean), finite(sd)
    made.neff, made.mcse = finite(effective_size(kept)), finite(mcse_median(kept))
    made.rhat = finite(rhat(kept))
    if row.tested and made.sd is not None and sd > 0.0:
        chisq = (mean / sd) ** 2
        made.chisq, made.pvalue = finite(chisq), finite(chi_square_tail(chisq, 1))
    return made


def summarise_table(table: TableDraws, burn: int, first: int) -> Table:
    """A table with the figures of its rows, numbered from `first` on if they are numbered at all."""
    rows = []
    for i, row in enumerate(table.rows):
        rows.append(summarise_row(row, after_burn_in(row.values, burn), first + i if table.numbered else 0))
    return Table(
        table.kind, table.title, table.name, table.block, table.level, table.centered, table.notes, rows
    )

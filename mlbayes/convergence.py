"""Whether a finished run can be relied on: R-hat and the number of effective draws of every row."""

from __future__ import annotations

import math

from mlbayes.results.document import Document, Row

HIGHEST_RHAT = 1.05
FEWEST_EFFECTIVE_DRAWS = 100


def shortcomings(document: Document) -> list[str]:
    """What speaks against the figures of a run, in words; empty when nothing does."""
    rows = all_rows(document)
    where = "" if document.group is None else f"group {document.group}: "
    rhats = [(row.rhat, row) for row in rows if row.rhat is not None and math.isfinite(row.rhat)]
    sizes = [(row.neff, row) for row in rows if row.neff is not None and math.isfinite(row.neff)]
    rhat, worst = max(rhats, key=lambda pair: pair[0], default=(1.0, None))
    size, fewest = min(sizes, key=lambda pair: pair[0], default=(math.inf, None))
    found = []
    if worst is not None and rhat > HIGHEST_RHAT:
        found.append(
            f"{where}the chains do not agree yet: R-hat is {rhat:.3f} in row {worst.number} ({worst.label.strip()}) "
            f"and should be below {HIGHEST_RHAT}; raise BURN and ITER"
        )
    if fewest is not None and size < FEWEST_EFFECTIVE_DRAWS:
        found.append(
            f"{where}few effective draws: {size:.0f} in row {fewest.number} ({fewest.label.strip()}), "
            f"where at least {FEWEST_EFFECTIVE_DRAWS} are needed; raise ITER"
        )
    return found


def all_rows(document: Document) -> list[Row]:
    """The rows of all parameter tables."""
    tables = [*document.outcome_tables, *document.generated_tables, *document.predictor_tables]
    return [row for table in tables for row in table.rows]

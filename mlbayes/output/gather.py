"""What the files of SAVE are made of, gathered from the model, the data, the draws and the document."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.data.table import Table
from mlbayes.model.model import Model
from mlbayes.output.saves import Imputations, Results
from mlbayes.results.build import parameter_draws
from mlbayes.results.conditional import conditional_tables
from mlbayes.results.document import Document, SavedOrder
from mlbayes.results.draws import Draws
from mlbayes.results.rhat import rhat_table

DATA_KEYWORDS = ("stacked", "stacked0", "separate", "avgimp", "varimp")


def gather(
    model: Model, table: Table, draws: Draws, document: Document, imputations: Imputations | None = None
) -> Results:
    """Everything that a file of SAVE may hold."""
    rows = parameter_draws(model, draws)
    conditional = [
        made
        for k, equation in enumerate(draws.equations)
        for made in conditional_tables(k, model, equation, draws.moderators)
    ]
    return Results(
        document=document,
        burn=draws.burn,
        kept=draws.kept,
        rows=rows,
        conditional=conditional,
        psr=rhat_table([row.values for row in rows], draws.burn),
        imputations=imputations,
        missing=table.missing_codes[0] if table.missing_codes else "NA",
        names_wanted=bool(model.settings.options & {"savevarnames", "savevariablenames"}),
    )


def saved_orders(saves: Sequence[tuple[str, str]], imputations: Imputations) -> list[SavedOrder]:
    """The columns of every saved data file, for the end of the report."""
    return [
        SavedOrder(keyword, file, [*(["imp#"] if keyword.startswith("stacked") else []), *imputations.names])
        for keyword, file in saves
        if keyword in DATA_KEYWORDS
    ]

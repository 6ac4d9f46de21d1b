"""Parts of the report around the estimates: warnings, fit, data summaries, columns of saved files."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.output.layout import LABEL, RULE, header, number, paragraph, row
from mlbayes.results.document import Document, SavedOrder, Wald

SUMMARY_COLUMNS = ("Mean", "StdDev", "25%", "50%", "75%", "Min", "Max")
SIMULATED_COLUMNS = ("Mean", "VAR", "StdDev", "25%", "50%", "75%", "% Missing")
FULL_LINE = 80  # a line of saved columns ends once it has passed this width


def warning_lines(document: Document) -> list[str]:
    """WARNING MESSAGES."""
    lines = ["WARNING MESSAGES:", ""]
    if not document.warnings:
        return [*lines, "  No warning messages."]
    for i, warning in enumerate(document.warnings):
        lines += ([""] if i else []) + paragraph("WARNING", warning)
    return lines


def global_messages(documents: Sequence[Document]) -> list[str]:
    """WARNING MESSAGES of a run by groups: those of all groups once, the others with their group."""
    lines = ["WARNING MESSAGES:", "", "  GLOBAL MESSAGES:", ""]
    everywhere = [w for w in documents[0].warnings if all(w in d.warnings for d in documents)]
    found = list(everywhere)
    found += [
        f"Group {document.group}: {warning}"
        for document in documents
        for warning in document.warnings
        if warning not in everywhere
    ]
    if not found:
        return [*lines, "  No warning messages."]
    for i, warning in enumerate(found):
        lines += ([""] if i else []) + paragraph("WARNING", warning)
    return lines


def fit_lines(document: Document) -> list[str]:
    """MODEL FIT: information criteria and Wald tests, where there are any."""
    fit = document.fit
    found = []
    if fit.marginal_dic is not None or fit.marginal_waic is not None:
        found += criteria("Marginal Likelihood", fit.marginal_dic, fit.marginal_waic)
    if fit.conditional_dic is not None or fit.conditional_waic is not None:
        found += criteria("Conditional Likelihood", fit.conditional_dic, fit.conditional_waic)
    if not (found or fit.wald):
        return []
    lines = ["MODEL FIT:"]
    if found:
        lines += ["", "  INFORMATION CRITERIA", *found]
    if fit.wald:
        lines += ["", "  WALD TESTS"]
        for i, test in enumerate(fit.wald, 1):
            lines += ["", f"  Test #{i}", *wald_lines(test)]
    return lines


def criteria(title: str, dic: float | None, waic: float | None) -> list[str]:
    """DIC2 and WAIC of one likelihood."""
    return [
        "",
        f"    {title}",
        "      DIC2".ljust(LABEL) + number(dic, "nan"),
        "      WAIC".ljust(LABEL) + number(waic, "nan"),
    ]


def wald_lines(test: Wald) -> list[str]:
    """A Wald test: the models or constraints, then the figures."""
    lines = []
    for title, texts in (
        ("Full", test.full),
        ("Restricted", test.restricted),
        ("Constraints in Restricted", test.constraints),
    ):
        if texts:
            lines += ["", f"    {title}:"]
            lines += [f"      [{i}]  {text}" for i, text in enumerate(texts, 1)]
    return [
        *lines,
        "",
        "    Wald Statistic (Chi-Square)".ljust(LABEL + 8) + number(test.statistic, "nan"),
        "    Number of Parameters Tested (df)".ljust(LABEL + 8) + str(test.df).rjust(11),
        "    Probability".ljust(LABEL + 8) + number(test.p, "nan"),
    ]


def summary_lines(document: Document) -> list[str]:
    """IMPUTED DATA SUMMARIES: means over data sets."""
    lines = ["IMPUTED DATA SUMMARIES:", ""]
    lines += paragraph("NOTE", f"Summaries are averaged across {document.data_sets} data sets.")
    rows = [(s.variable, (s.mean, s.sd, s.q25, s.q50, s.q75, s.min, s.max)) for s in document.summaries]
    return [*lines, "", *_variables(SUMMARY_COLUMNS, rows)]


def simulated_lines(document: Document) -> list[str]:
    """SIMULATED DATA SUMMARIES, of variables of a higher level over its units."""
    if not document.simulated:
        return []
    rows = [
        (s.variable, (s.mean, s.variance, s.sd, s.q25, s.q50, s.q75, s.missing)) for s in document.simulated
    ]
    return ["SIMULATED DATA SUMMARIES:", "", *_variables(SIMULATED_COLUMNS, rows)]


def _variables(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> list[str]:
    """A table with a row of numbers for each variable."""
    lines = [header("Variables", columns), RULE]
    for name, values in rows:
        lines += row(name, [number(value, "nan") for value in values])
    return [*lines, "", RULE]


def saved_lines(document: Document) -> list[str]:
    """VARIABLE ORDER IN IMPUTED DATA, when data were saved."""
    return _order_lines("IMPUTED", document.saved)


def simulated_order_lines(document: Document) -> list[str]:
    """VARIABLE ORDER IN SIMULATED DATA, when they were saved."""
    return _order_lines("SIMULATED", document.simulated_order)


def _order_lines(which: str, orders: list[SavedOrder]) -> list[str]:
    if not orders:
        return []
    lines = [f"VARIABLE ORDER IN {which} DATA:"]
    for saved in orders:
        lines += ["", f"   {saved.keyword} = '{saved.file}'", ""]
        line = "    "
        for name in saved.variables:
            line += " " + name
            if len(line) > FULL_LINE:
                lines.append(line)
                line = "    "
        lines += [line] if line.strip() else []
    return lines

"""The parts of the report that are made of parameter tables."""

from __future__ import annotations

from collections.abc import Callable

from mlbayes.output.head import option_is_set
from mlbayes.output.layout import LONGEST, RULE, fixed_number, header, labelled, number, paragraph, row
from mlbayes.results.document import Document, Row, Table

COLUMNS = ("Estimate", "StdDev", "2.5%", "97.5%", "ChiSq", "PValue", "N_Eff")
UNTITLED = ("generated", "conditional-effects", "residuals")
FIRST_WORD = {"conditional-effects": "Conditional Effects", "residuals": "Correlations"}


def part(title: str, tables: list[Table], document: Document) -> list[str]:
    """A part: its heading, what its figures are based on, its tables."""
    mcse = option_is_set(document, "mcse")
    lines = [title, "", *basis(document.iterations, document.chains)]
    block = None
    for table in tables:
        if table.block is not None and table.block != block:
            lines += ["", "", f"  {table.block} block:"]
        block = table.block
        lines += ["", *table_lines(table, mcse)]
    return lines


def basis(iterations: int, chains: int) -> list[str]:
    """On how many iterations the figures are based."""
    plural = "chain" if chains == 1 else "chains"
    return [
        f"  Summaries based on {iterations} iterations using {chains} {plural}.",
        "  NOTE: Estimate column based on posterior median.",
    ]


def outcome_lines(document: Document) -> list[str]:
    """OUTCOME MODEL ESTIMATES, if any."""
    tables = document.outcome_tables
    return part("OUTCOME MODEL ESTIMATES:", tables, document) if tables else []


def generated_lines(document: Document) -> list[str]:
    """GENERATED PARAMETERS, if any."""
    tables = document.generated_tables
    return part("GENERATED PARAMETERS:", tables, document) if tables else []


def predictor_lines(document: Document) -> list[str]:
    """PREDICTOR MODEL ESTIMATES, if any."""
    tables = document.predictor_tables
    return part("PREDICTOR MODEL ESTIMATES:", tables, document) if tables else []


def residual_lines(document: Document) -> list[str]:
    """CORRELATIONS AMONG RESIDUALS, level by level."""
    lines = ["CORRELATIONS AMONG RESIDUALS:", ""]
    if not document.residual_correlations:
        return [*lines, "  No residual correlations."]
    mcse = option_is_set(document, "mcse")
    lines += basis(document.data_sets, document.chains)
    for table in document.residual_correlations:
        lines += ["", f"   Level-{table.level}:", ""] if table.level is not None else [""]
        lines += table_lines(table, mcse)
    return lines


# ------------------------------------------------------------------ one table
def table_lines(table: Table, mcse: bool) -> list[str]:
    """A table: title, header, rule, body, rule, notes."""
    lines = [] if table.kind in UNTITLED else [title(table), ""]
    for kind, names in table.centered.items():
        lines += labelled(f"{kind} Centered", " ".join(names), indent=0)
    lines += [""] if table.centered else []
    notes = [line for note in table.notes for line in paragraph("NOTE", note)]
    after = table.kind == "conditional-effects"
    if notes and not after:
        lines += [*notes, ""]
    columns = (*COLUMNS, "MCSE") if mcse else COLUMNS

    def estimate_line(item: Row) -> list[str]:
        return row(item.label, cells(item, mcse), indent=indent_of(item, table))

    lines += [header(FIRST_WORD.get(table.kind, "Parameters"), columns), RULE]
    lines += conditional_body(table, mcse) if after else body(table, estimate_line)
    lines += ["", RULE]
    return [*lines, "", *notes] if notes and after else lines


def title(table: Table) -> str:
    """What a table is about: `Outcome Variable:  y`."""
    return f"{table.title}:".ljust(19) + f" {table.name}".rstrip()


def body(table: Table, lines_of: Callable[[Row], list[str]]) -> list[str]:
    """Rows under their headings, each as its lines; a blank line ends each group."""
    lines: list[str] = []
    category: str | None = None
    section: str | None = None
    for i, item in enumerate(table.rows):
        if (item.category, item.section) != (category, section) or i == 0:
            lines += [""] if i else []
            if item.category != category and item.category is not None:
                lines += ["", item.category, "", ""] if i else [item.category, "", ""]
            if item.section is not None:
                lines.append(heading(item.section))
            category, section = item.category, item.section
        lines += lines_of(item)
    return lines


def heading(section: str) -> str:
    """The heading of a group of rows."""
    return section if section == "Proportion Variance Explained" else f"{section}:".ljust(32)


def indent_of(item: Row, table: Table) -> int:
    """The grand mean stands flush left, all other rows are indented."""
    return 0 if table.kind in ("predictor", "means", "fcs") and item.section is None else 2


def conditional_body(table: Table, mcse: bool) -> list[str]:
    """Rows of conditional effects; a heading tells where the moderators are held, each on a line."""
    lines: list[str] = []
    category: str | None = None
    section: str | None = None
    for item in table.rows:
        if (item.category, item.section) != (category, section):
            lines += [""] if lines else []
            if item.category != category and item.category is not None:
                lines += ["", item.category, "", ""] if lines else [item.category, "", ""]
            category = item.category
            lines += conditional_heading(item.section or "")
            section = item.section
        lines += row(item.label, cells(item, mcse), indent=4)
    return lines


def conditional_heading(section: str) -> list[str]:
    """`x | m @ +1 SD`, broken at the bar when it is long and behind every moderator."""
    focal, _, held = section.partition(" | ")
    moderators = held.split(", ")
    if len(f"{focal} | {moderators[0]}") <= LONGEST:
        lines = [f"  {focal} | {moderators[0]}"]
    else:
        lines = [f"  {focal} |", " " * 9 + moderators[0]]
    for moderator in moderators[1:]:
        lines[-1] += ","
        lines.append(" " * 9 + moderator)
    return lines


def cells(item: Row, mcse: bool) -> list[str]:
    """The numbers of a row: `---` where a column does not apply, `nan` where there is no number."""
    if item.fixed:
        return [fixed_number(item.estimate)] + [number(None)] * (7 if mcse else 6)
    made = [number(value, "nan") for value in (item.estimate, item.sd, item.q025, item.q975)]
    made += [number(item.chisq), number(item.pvalue), number(item.neff, "nan")]
    return [*made, number(item.mcse, "nan")] if mcse else made

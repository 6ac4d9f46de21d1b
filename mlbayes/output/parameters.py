"""The parts of the report that list all parameters by number: their priors and R-hats, and their labels."""

from __future__ import annotations

from dataclasses import replace

from mlbayes.output import estimates
from mlbayes.output.head import option_is_set
from mlbayes.output.layout import RULE, header, number, paragraph, row, split_label
from mlbayes.results.document import Document, Row, Table

NUMBER = 5  # width of the number of a parameter
PRIOR = 22


def numbered_tables(document: Document) -> list[Table]:
    """The rows that have numbers, in order of printing."""
    tables = [*document.outcome_tables, *document.generated_tables, *document.predictor_tables]
    found = [replace(table, rows=[item for item in table.rows if item.number]) for table in tables]
    return [table for table in found if table.rows]


def information_lines(document: Document) -> list[str]:
    """PARAMETER INFORMATION, with OPTIONS: pinfo."""
    if not document.parameter_rhats:
        return []
    points = document.psr[-len(document.parameter_rhats[0]) :]
    lines = ["PARAMETER INFORMATION:", ""]
    spans = ", ".join(f"{point.first} to {point.last}" for point in points)
    lines += paragraph("NOTE", f"The five columns of Rhat compare iterations {spans}.")
    lines += paragraph("NOTE", "N(0.0, Inf) is a flat prior; --- is a quantity computed from parameters.")
    columns = header("Parameters", ["Rhat", *[""] * (len(points) - 1)]) + "Prior".rjust(PRIOR)
    for table in numbered_tables(document):
        above = [] if table.kind in estimates.UNTITLED else [estimates.title(table), ""]
        lines += ["", *above, columns, RULE]
        lines += estimates.body(table, lambda item: information_line(item, document.parameter_rhats))
        lines += ["", RULE]
    return lines


def information_line(item: Row, rhats: list[list[float | None]]) -> list[str]:
    """Number, label, R-hats and prior of a row."""
    prior = "fixed" if item.fixed else item.prior or "---"
    cells = [*(number(value) for value in rhats[item.number - 1]), " " + prior.rjust(PRIOR)]
    return row(f"{item.number:>{NUMBER}}  {item.label}", cells, indent=0)


def label_lines(document: Document) -> list[str]:
    """PARAMETER LABELS, with OPTIONS: labels: what saved estimates and draws hold, line by line or column by column."""
    if not option_is_set(document, "labels"):
        return []
    lines = ["PARAMETER LABELS:", "", f"  {'#':>{NUMBER}}  {'Model':<28}{'Type':<34}Parameter"]
    for table in numbered_tables(document):
        for item in table.rows:
            name, rest = split_label(table.name, 26)
            kind = item.section or table.title
            lines.append(f"  {item.number:>{NUMBER}}  {name:<28}{kind:<34}{full_label(item)}")
            lines += [" " * 10 + rest] if rest else []
    return lines


def full_label(item: Row) -> str:
    """A row with the category of a nominal variable that it belongs to."""
    return item.label if item.category is None else f"{item.category} : {item.label}"

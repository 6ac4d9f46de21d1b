"""First parts of the report: banner, options of the algorithm, burn-in table, acceptance rates."""

from __future__ import annotations

from mlbayes.output.layout import BAR, LABEL, labelled, number, paragraph
from mlbayes.results.document import Acceptance, Document

WIDTH = len(BAR)


def interruption(document: Document) -> str:
    """What the report says when the run did not come to its end."""
    return (
        f"The run was interrupted. These results are based on the {document.iterations} iterations "
        "after burn-in that were completed."
    )


def banner(document: Document) -> list[str]:
    """Name and version of the program."""
    name, _, version = document.program.partition(" ")
    lines = [BAR, ""]
    for text in (name, version, "Bayesian multilevel models with incomplete data"):
        lines.append(text.center(WIDTH).rstrip())
    if not document.complete:
        lines += ["", *paragraph("NOTE", interruption(document))]
    return [*lines, "", BAR]


def group_banner(document: Document) -> list[str]:
    """The heading of a group's results."""
    return [BAR, "", f"GROUP {document.group} SAMPLER", "", BAR]


def options(document: Document) -> list[str]:
    """ALGORITHMIC OPTIONS SPECIFIED."""
    lines = ["ALGORITHMIC OPTIONS SPECIFIED:", ""]
    for label, value in document.options.items():
        if isinstance(value, str):
            lines += labelled(label, value)
        else:
            lines += labelled(label, "")
            for inner, text in value.items():
                lines += labelled(inner, text, indent=4)
    for note in document.option_notes:
        lines += ["", *paragraph("NOTE", note)]
    return lines


def burn_in(document: Document) -> list[str]:
    """BURN-IN POTENTIAL SCALE REDUCTION."""
    lines = ["BURN-IN POTENTIAL SCALE REDUCTION (PSR) OUTPUT:", ""]
    lines += paragraph(
        "NOTE",
        "Rank-normalized, folded split R-hat of the second half of the iterations so far, highest over all "
        "rows of all tables of estimates.",
    )
    across = "across" if document.chains > 1 else "within"
    chains = "chains" if document.chains > 1 else "chain"
    parameter = "Parameter #" if document.chains > 1 else "Param #"
    title = f"  Comparing iterations {across} {document.chains} {chains}"
    lines += ["", title.ljust(LABEL + 16) + f"Highest Rhat   {parameter}"]
    for checkpoint in document.psr:
        span = f"{checkpoint.first} to {checkpoint.last}".rjust(LABEL + 4)
        place = "---" if checkpoint.parameter is None else str(checkpoint.parameter)
        lines.append(f"{span}{' ' * 13}{number(checkpoint.rhat, 'nan')}{place.rjust(14)}")
    return lines


def acceptance(document: Document) -> list[str]:
    """Acceptance rates of the Metropolis steps of chain 1, of all chains with OPTIONS: tuneinfo."""
    if not document.acceptance:
        return []
    chains = sorted({rate.chain for rate in document.acceptance})
    shown = chains if option_is_set(document, "tuneinfo") else chains[:1]
    lines = ["METROPOLIS-HASTINGS ACCEPTANCE RATES:"]
    for chain in shown:
        lines += ["", f"  Chain {chain}:", ""]
        lines += chain_rates([rate for rate in document.acceptance if rate.chain == chain])
    hidden = len(chains) - len(shown)
    if hidden:
        what = "chain" if hidden == 1 else "chains"
        text = f"Suppressing printing of {hidden} {what}. Use OPTIONS: tuneinfo to print all of them."
        lines += ["", *paragraph("NOTE", text)]
    return lines


def chain_rates(rates: list[Acceptance]) -> list[str]:
    """The table of one chain."""
    lines = [f"    {'Variable':<28}{'Type':<18}{'Probability':>13}{'Target Value':>15}"]
    for rate in rates:
        lines.append(f"    {rate.variable:<27} {rate.type:<18}{rate.probability:13.3f}{rate.target:15.3f}")
    return lines


def option_is_set(document: Document, option: str) -> bool:
    """Was a word given in OPTIONS."""
    given = document.options.get("Options", "")
    return isinstance(given, str) and option in given.split()

"""The text report of a run, part by part.

It holds no time, date, path or host: the same result gives the same text.
"""

from __future__ import annotations

from mlbayes.output import closing, estimates, head, information
from mlbayes.output.layout import ascii_only
from mlbayes.results.document import DataInformation, Document, ModelInformation

BETWEEN = "\n\n\n"


def render_report(document: Document) -> str:
    """The whole report as text."""
    parts = [
        head.banner(document),
        head.options(document),
        head.burn_in(document),
        head.acceptance(document),
        information.data_lines(document.data),
        information.model_lines(document.model),
        closing.warning_lines(document),
        closing.fit_lines(document),
        closing.summary_lines(document),
        estimates.residual_lines(document),
        estimates.outcome_lines(document),
        estimates.generated_lines(document),
        estimates.predictor_lines(document),
        closing.saved_lines(document),
    ]
    if not document.complete:
        parts.append([f"ERROR: {head.interruption(document)}"])
    # Readers of the report drop its last two lines, so these are blank.
    return ascii_only(BETWEEN.join("\n".join(lines) for lines in parts if lines) + BETWEEN)


def render_model_information(information_: ModelInformation) -> str:
    """The part MODEL INFORMATION alone."""
    return ascii_only("\n".join(information.model_lines(information_)) + "\n")


def render_data_information(data: DataInformation) -> str:
    """The part DATA INFORMATION alone."""
    return ascii_only("\n".join(information.data_lines(data)) + "\n")

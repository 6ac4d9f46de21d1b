"""The text report of a run, part by part.

It holds no time, date, path or host: the same result gives the same text.
"""

from __future__ import annotations

from mlbayes.output import closing, estimates, head, information, parameters
from mlbayes.output.layout import ascii_only
from mlbayes.results.document import DataInformation, Document, ModelInformation

BETWEEN = "\n\n\n"


def render_report(*documents: Document) -> str:
    """The whole report as text; with BYGROUP of the documents of all groups."""
    first, last = documents[0], documents[-1]
    parts = [
        head.banner(last),
        head.options(first),
        closing.simulated_lines(first),
        closing.simulated_order_lines(first),
    ]
    if first.sampled and first.group is None:
        parts += [*found_before(first), closing.warning_lines(first), *found_after(first)]
    elif first.sampled:
        for document in documents:
            parts += [head.group_banner(document), *found_before(document), *found_after(document)]
        parts.append(closing.global_messages(documents))
    parts.append(closing.saved_lines(last))
    if not last.complete:
        parts.append([f"ERROR: {head.interruption(last)}"])
    # Readers of the report drop its last two lines, so these are blank.
    return ascii_only(BETWEEN.join("\n".join(lines) for lines in parts if lines) + BETWEEN)


def found_before(document: Document) -> list[list[str]]:
    """The parts before the warnings: burn-in, data, model."""
    return [
        head.burn_in(document),
        parameters.information_lines(document),
        parameters.label_lines(document),
        head.acceptance(document),
        information.data_lines(document.data),
        information.model_lines(document.model),
    ]


def found_after(document: Document) -> list[list[str]]:
    """The parts after the warnings: fit, summaries, estimates."""
    return [
        closing.fit_lines(document),
        closing.summary_lines(document),
        estimates.residual_lines(document),
        estimates.outcome_lines(document),
        estimates.generated_lines(document),
        estimates.predictor_lines(document),
    ]


def render_simulated_data(document: Document) -> str:
    """The part SIMULATED DATA SUMMARIES alone."""
    return ascii_only("\n".join(closing.simulated_lines(document)) + "\n")


def render_model_information(information_: ModelInformation) -> str:
    """The part MODEL INFORMATION alone."""
    return ascii_only("\n".join(information.model_lines(information_)) + "\n")


def render_data_information(data: DataInformation) -> str:
    """The part DATA INFORMATION alone."""
    return ascii_only("\n".join(information.data_lines(data)) + "\n")

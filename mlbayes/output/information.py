"""DATA INFORMATION and MODEL INFORMATION: what the program understood."""

from __future__ import annotations

from mlbayes.output.layout import labelled, numbered, paragraph
from mlbayes.results.document import Block, DataInformation, ModelInformation

IMPUTATION_MODELS = "Imputation Models"  # label of the number of parameters of FCS
NAME = 24  # width of variable names in the table of missing-data patterns


def data_lines(data: DataInformation) -> list[str]:
    """DATA INFORMATION with the table of missing-data patterns."""
    lines = ["DATA INFORMATION:", ""]
    for level, name in sorted(data.identifiers.items()):
        lines += labelled(f"Level-{level} identifier", name)
    if data.time:
        lines += labelled("Time identifier", data.time)
    lines += labelled("Sample Size", str(data.sample_size))
    for level, count in sorted(data.clusters.items()):
        lines += labelled(f"Level-{level} Clusters", str(count))
    if data.dummies:
        lines += ["", "  Nominal Dummy Codes:"]
        lines += [f"    {name} = {' '.join(codes)}" for name, codes in data.dummies.items()]
    if data.missing:
        lines += ["", *pattern_lines(data)]
    if data.hidden_patterns:
        what = "pattern is" if data.hidden_patterns == 1 else "patterns are"
        text = f"{data.hidden_patterns} more {what} not shown. Use OPTIONS: allpatterns to print all of them."
        lines += ["", *paragraph("NOTE", text)]
    return lines


def pattern_lines(data: DataInformation) -> list[str]:
    """The table of missing-data patterns: M missing, - observed."""
    count = len(data.pattern_percent)
    width = max([NAME, *(len(row.variable) + 4 for row in data.missing)])
    rule = " " * 4 + "-" * (width + 6 + 6 * count)
    lines = ["  Missing Data Info:", ""]
    lines.append("Pattern #:".rjust(width + 10) + "".join(f"{k:6d}" for k in range(1, count + 1)))
    lines += ["miss %".rjust(width + 10) + "".join("-".rjust(6) for _ in range(count)), rule]
    for row in data.missing:
        marks = "".join(mark.rjust(6) for mark in row.patterns)
        lines.append(f"    {row.variable.rjust(width - 4)} ={row.percent:8.1f}{marks}")
    percent = "".join(f"{share:6.1f}" for share in data.pattern_percent)
    return [*lines, rule, "%".rjust(width + 10) + percent]


def model_lines(model: ModelInformation) -> list[str]:
    """MODEL INFORMATION: numbers of parameters, groups of variables, the models as understood.

    An imputation without a model has VARIABLES IN IMPUTATION MODEL instead.
    """
    imputation = IMPUTATION_MODELS in model.parameters
    lines = ["VARIABLES IN IMPUTATION MODEL:" if imputation else "MODEL INFORMATION:"]
    lines += ["", "  NUMBER OF PARAMETERS"]
    for label, count in model.parameters.items():
        lines += labelled(label, str(count), indent=4)
    lines += named_groups("VARIABLES" if imputation else "PREDICTORS", model.predictors)
    lines += named_groups("FACTORS", {f"Level-{level}": names for level, names in model.factors.items()})
    lines += named_groups("CENTERED PREDICTORS", model.centered)
    lines += named_groups("LATENT CLUSTER MEANS", model.cluster_means)
    lines += numbered_group("SAMPLING WEIGHTS", model.weights)
    lines += numbered_group("NAMED RANDOM EFFECTS", model.random_effects)
    lines += numbered_group("DEFINED VARIABLES", model.definitions)
    lines += block_lines(model.models)
    lines += numbered_group("GENERATED PARAMETERS", model.generated)
    lines += numbered_group("PRIORS SPECIFIED", model.priors)
    return lines


def named_groups(title: str, groups: dict[str, list[str]]) -> list[str]:
    """A heading and, below it, `label: names` for each group that has any."""
    lines = []
    for label, names in groups.items():
        if names:
            lines += labelled(label, " ".join(names), indent=4)
    return ["", f"  {title}", *lines] if lines else []


def numbered_group(title: str, texts: list[str]) -> list[str]:
    """A heading and a numbered list, or nothing."""
    return ["", f"  {title}", *numbered(texts)] if texts else []


def block_lines(blocks: list[Block]) -> list[str]:
    """The models, block by block, numbered throughout; nothing when there are none."""
    if not blocks:
        return []
    lines = ["", "  MODELS"]
    count = 1
    for i, block in enumerate(blocks):
        if block.name is not None:
            lines += [""] if i else []
            lines.append(f"   {block.name}:")
        lines += numbered(block.models, count)
        count += len(block.models)
    return lines

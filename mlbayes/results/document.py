"""The result document: everything a run found, as plain data.

The text report, the JSON file and the saved tables are rendered from it and compute nothing.  All
fields are JSON types once `dataclasses.asdict` has been applied; numbers that do not apply are None.
The JSON Schema in `document.schema.json` describes the same structure; `VERSION` counts its changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VERSION = "1.0"


@dataclass
class Row:
    """A row of a parameter table.

    `section`: heading above it ("Variances", "Coefficients", "Level 1", ...).  `category`: code of a nominal
    outcome (`y.2`).  `fixed`: a value that the user fixed (printed `@ 1.000`).  `number`: its place among all
    rows in order of printing, from 1.  `chisq`, `pvalue`: None where they do not apply (variances, ...).
    `neff`, `mcse`, `rhat`: None for constants.
    """

    label: str
    section: str | None = None
    category: str | None = None
    fixed: bool = False
    number: int = 0
    estimate: float | None = None
    mean: float | None = None
    sd: float | None = None
    q025: float | None = None
    q975: float | None = None
    chisq: float | None = None
    pvalue: float | None = None
    neff: float | None = None
    mcse: float | None = None
    rhat: float | None = None
    prior: str | None = None


@dataclass
class Table:
    """A parameter table.

    `kind`: outcome, latent, covariance, phantom, additional, predictor, means, fcs, generated,
    conditional-effects, residuals.  `title`: the words before the colon ("Outcome Variable", "Missing
    predictor"); `name`: what follows.  `block`: name of the model block.  `level`: of residual correlations.
    `centered`: {"Grand Mean": [names], "Group Mean": [names]}.
    """

    kind: str
    title: str
    name: str
    block: str | None = None
    level: int | None = None
    centered: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass
class Checkpoint:
    """A row of the burn-in table: iterations compared, the highest R-hat and the number of its row."""

    first: int
    last: int
    rhat: float | None
    parameter: int | None


@dataclass
class Acceptance:
    """Acceptance rate of a Metropolis step of one chain."""

    chain: int
    variable: str
    type: str
    probability: float
    target: float


@dataclass
class MissingRow:
    """Missing-data information of a variable: rate in % and its marks in the printed patterns (M or -)."""

    variable: str
    percent: float
    patterns: str


@dataclass
class DataInformation:
    """Sample size, clusters, dummy codes and missing-data patterns.

    `identifiers`, `clusters`: keyed by level ("2", "3").  `time`: the occasion variable, empty without TIMEID.
    `pattern_percent`: share of rows of each printed pattern.
    """

    sample_size: int
    identifiers: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, int] = field(default_factory=dict)
    dummies: dict[str, list[str]] = field(default_factory=dict)
    missing: list[MissingRow] = field(default_factory=list)
    pattern_percent: list[float] = field(default_factory=list)
    hidden_patterns: int = 0
    time: str = ""


@dataclass
class Block:
    """Printed models of a block (None: no block)."""

    name: str | None
    models: list[str]


@dataclass
class ModelInformation:
    """Number of parameters, groups of variables and the list of models, as MODEL INFORMATION prints them.

    `parameters`: {"Outcome Models": 9, "Predictor Models": 19, "Generated Parameters": 1}.
    `predictors`: {"Fixed variables": [...], "Incomplete continuous": [...], "Complete continuous": [...], ...}.
    `factors`: {"2": names}.  `centered`, `means`: {"Grand Mean Centered": [...]}.
    """

    parameters: dict[str, int]
    predictors: dict[str, list[str]] = field(default_factory=dict)
    factors: dict[str, list[str]] = field(default_factory=dict)
    centered: dict[str, list[str]] = field(default_factory=dict)
    cluster_means: dict[str, list[str]] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    random_effects: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    models: list[Block] = field(default_factory=list)
    generated: list[str] = field(default_factory=list)
    priors: list[str] = field(default_factory=list)


@dataclass
class Wald:
    """A Wald test: statistic, degrees of freedom, upper tail of chi-square."""

    full: list[str]
    restricted: list[str]
    constraints: list[str]
    statistic: float
    df: int
    p: float


@dataclass
class Fit:
    """DIC2 and WAIC; the marginal ones are None without random effects."""

    marginal_dic: float | None = None
    marginal_waic: float | None = None
    conditional_dic: float | None = None
    conditional_waic: float | None = None
    wald: list[Wald] = field(default_factory=list)


@dataclass
class DataSummary:
    """Means over draws of the summary of a variable."""

    variable: str
    mean: float
    sd: float
    q25: float
    q50: float
    q75: float
    min: float
    max: float


@dataclass
class SimulatedSummary:
    """Summary of a simulated variable over the units of its level; `missing` in %, the rest over values present."""

    variable: str
    mean: float | None
    variance: float | None
    sd: float | None
    q25: float | None
    q50: float | None
    q75: float | None
    missing: float


@dataclass
class SavedOrder:
    """Columns of a saved file: `keyword = 'file'` and the names."""

    keyword: str
    file: str
    variables: list[str]


@dataclass
class Document:
    """The whole result of a run.

    `options`: label -> text, or label -> {label: text} for a group, in order of printing.  `draws`:
    {"iterations": total, "chains": number}.  `data_sets`: number of data sets that the data summaries average over.
    `complete`: False when the run was interrupted.  `tables`: all parameter tables in order of printing;
    `residual_correlations` apart.  `group`: the value of the BYGROUP variable that it belongs to.  `timing` goes to the
    JSON file only when asked for, never to the report.  `simulated`, `simulated_order`: the data of SIMULATE and the
    columns of their file, in the first document.  `parameter_rhats`: R-hats of each numbered row at the last five
    checkpoints of `psr`, with OPTIONS: pinfo only.  `sampled`: False for a script that only simulates data; all other
    parts are empty then.
    """

    version: str
    program: str
    options: dict[str, str | dict[str, str]]
    option_notes: list[str]
    psr: list[Checkpoint]
    chains: int
    iterations: int
    acceptance: list[Acceptance]
    data: DataInformation
    model: ModelInformation
    warnings: list[str]
    fit: Fit
    summaries: list[DataSummary]
    data_sets: int
    residual_correlations: list[Table]
    outcome_tables: list[Table]
    generated_tables: list[Table]
    predictor_tables: list[Table]
    saved: list[SavedOrder] = field(default_factory=list)
    complete: bool = True
    group: str | None = None
    simulated: list[SimulatedSummary] = field(default_factory=list)
    simulated_order: list[SavedOrder] = field(default_factory=list)
    sampled: bool = True
    parameter_rhats: list[list[float | None]] = field(default_factory=list)

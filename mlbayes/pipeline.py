"""The whole path on one page: script -> tree -> data -> model -> plan -> draws -> document -> files.

One function per stage, in the order of the path.  Each returns a value that can be printed, or raises
`ProblemError` with everything it found wrong.  Stages are imported when they are reached, so that
a check of a script loads neither numba nor scipy.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlbayes.console import Console, Interrupt, Progress
from mlbayes.problems import Problem, ProblemError
from mlbayes.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlbayes.data.table import Table
    from mlbayes.language.nodes import Script
    from mlbayes.model.model import Model
    from mlbayes.plan.choose import PlannedModel
    from mlbayes.results.document import Document
    from mlbayes.results.draws import Draws


@dataclass(frozen=True)
class RunOptions:
    """What the command line says about a run.

    `output`: where the report goes, None for stdout.  `threads`: 0 for as many as there are processors.
    `seed`: instead of the script's.  `allow_outside`: SAVE may write outside the folder of the script.
    """

    output: Path | None = None
    json: Path | None = None
    threads: int = 0
    seed: int | None = None
    allow_outside: bool = False


DEFAULTS = RunOptions()


# ------------------------------------------------------------------ the stages
def read(path: Path) -> Source:
    """The text of a script."""
    from mlbayes.language.parse import read_source

    return read_source(path)


def parse(source: Source, seed: int | None = None) -> tuple[Script, list[Problem]]:
    """The syntax tree without the statements that are in error; with another seed if one is given."""
    from mlbayes.language.nodes import Setting
    from mlbayes.language.parse import parse_script

    script, problems = parse_script(source)
    return (script if seed is None else dataclasses.replace(script, seed=Setting(seed))), problems


def load(script: Script) -> tuple[Table, NDArray[np.int64], list[Problem]]:
    """The data with the columns of TRANSFORM, and the positions of the rows that pass FILTER."""
    import numpy as np

    from mlbayes.data.read import read_table
    from mlbayes.data.transform import apply_filter, apply_transforms

    if script.data is None:
        raise ProblemError([Problem("the script names no data file", hint="add DATA: file.csv;")])
    identifiers = tuple(name.name for name in script.cluster_ids)
    table = read_table(
        data_path(script),
        tuple(name.name for name in script.variables),
        tuple(word.text for word in script.missing),
        frozenset(identifiers),
    )
    table, problems = apply_transforms(table, script.transform, identifiers)
    passed, more = apply_filter(table, script.filter, identifiers)
    return table, np.flatnonzero(passed), [*problems, *more]


def build(script: Script, table: Table, rows: NDArray[np.int64]) -> tuple[Model | None, list[Problem]]:
    """The model graph, or what is wrong with it."""
    from mlbayes.model.build import build_model

    return build_model(script, table, rows)


def plan(model: Model) -> PlannedModel:
    """The steps that draw everything unknown, in order."""
    from mlbayes.plan.choose import make_plan

    return make_plan(model)


def sample(made: PlannedModel, threads: int, progress: Progress, stop: threading.Event) -> Draws:
    """The draws of all chains; fewer than asked for, and marked so, once `stop` is set."""
    from mlbayes.engine.chains import run_chains

    return run_chains(made, threads, progress, stop)


def summarise(model: Model, draws: Draws) -> Document:
    """Everything that is reported, as plain data."""
    from mlbayes.model.describe import describe
    from mlbayes.model.patterns import data_information
    from mlbayes.results.build import build_document

    return build_document(model, describe(model), data_information(model), draws)


def write(document: Document, options: RunOptions) -> str:
    """Write the report and the JSON file; return the report if it belongs on stdout."""
    from mlbayes.output.atomic import write_bytes
    from mlbayes.output.json_file import document_to_json
    from mlbayes.output.report import render_report

    report = render_report(document)
    if options.json is not None:
        write_bytes(options.json, [document_to_json(document).encode()])
    if options.output is None:
        return report
    write_bytes(options.output, [report.encode()])
    return ""


def save(model: Model, table: Table, draws: Draws, document: Document, options: RunOptions) -> None:
    """Write the files of SAVE, and note their columns in the document."""
    from mlbayes.output.atomic import Place
    from mlbayes.output.gather import gather, saved_orders
    from mlbayes.output.saves import write_saves

    if model.settings.saves:
        script = model.source.path
        place = Place(script.parent, (script, table.path), options.allow_outside)
        results = gather(model, table, draws, document)
        write_saves(model.settings.saves, results, place)
        document.saved = saved_orders(model.settings.saves, results.imputations)


# ------------------------------------------------------------------ the path
def understand(source: Source, options: RunOptions = DEFAULTS) -> tuple[Model, Table]:
    """From the text to the model and its data; reports at once what all these stages found."""
    from mlbayes.language.recovery import Damage

    script, problems = parse(source, options.seed)
    damage = Damage(source, problems)
    later = output_problems(script, options)
    model, table = None, None
    if damage.spares_the_data:
        try:
            table, rows, found = load(script)
            model, more = build(script, table, rows)
            later += [*found, *more]
        except ProblemError as error:
            later += error.problems
    stop_at([*problems, *damage.independent(later)])
    assert model is not None and table is not None, "a script without problems has a model"
    return model, table


def run(source: Source, options: RunOptions, console: Console) -> tuple[Document, str]:
    """The whole path; returns the result and the text for stdout."""
    model, table = understand(source, options)
    made = plan(model)
    console.compile_notice()
    with Interrupt() as stop, console.progress() as progress:
        draws = sample(made, options.threads or processors(), progress, stop)
    if not draws.kept:
        raise KeyboardInterrupt  # in the burn-in: there is nothing to report
    document = summarise(model, draws)
    save(model, table, draws, document, options)
    return document, write(document, options)


# ------------------------------------------------------------------ between the stages
def stop_at(problems: Iterable[Problem]) -> None:
    """End a stage that found problems."""
    found = list(problems)
    if found:
        raise ProblemError(found)


def data_path(script: Script) -> Path:
    """The data file; a relative name is relative to the folder of the script."""
    assert script.data is not None
    return script.source.path.parent / script.data.text


def output_problems(script: Script, options: RunOptions) -> list[Problem]:
    """What would keep the results from being written, found before anything runs."""
    from mlbayes.output.targets import target_problems

    reports = [path for path in (options.output, options.json) if path is not None]
    return target_problems(script, input_paths(script), reports, options.allow_outside)


def input_paths(script: Script) -> tuple[Path, ...]:
    """The files of a run that must never be written to."""
    return (script.source.path, data_path(script)) if script.data else (script.source.path,)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""The whole path on one page: script -> tree -> data -> model -> plan -> draws -> document -> files.

With BYGROUP the middle of the path, from model to document, is gone once for each group.
One function per stage, in the order of the path.  Each returns a value that can be printed, or raises
`ProblemError` with everything it found wrong.  Stages are imported when they are reached, so that
a check of a script loads neither numba nor scipy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlbayes.console import Console, Interrupt, Progress
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlbayes.data.groups import Group
    from mlbayes.data.table import Table
    from mlbayes.engine.checkpoint import Checkpoint
    from mlbayes.language.nodes import Script
    from mlbayes.model.model import Model, Settings
    from mlbayes.plan.choose import PlannedModel
    from mlbayes.results.document import Document
    from mlbayes.results.draws import Draws


@dataclass(frozen=True)
class RunOptions:
    """What the command line says about a run.

    `output`: where the report goes, None for stdout.  `threads`: 0 for as many as there are processors.
    `seed`: instead of the script's.  `allow_outside`: SAVE may write outside the folder of the script.
    `checkpoint`: the folder in which the state of the run is kept until it has ended, and from which it goes on.
    """

    output: Path | None = None
    json: Path | None = None
    threads: int = 0
    seed: int | None = None
    allow_outside: bool = False
    checkpoint: Path | None = None


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
    """The data with the columns of TRANSFORM and DROPOUT, and the positions of the rows that pass FILTER.

    Where MODEL looks back in time, there is a row for each occasion.
    """
    import numpy as np

    from mlbayes.data.transform import apply_filter, apply_transforms
    from mlbayes.model.occasions import arrange_occasions

    identifiers = tuple(name.name for name in script.cluster_ids)
    table, problems = apply_transforms(load_table(script), script.transform, identifiers)
    passed, more = apply_filter(table, script.filter, identifiers)
    problems += more
    if not passed.any() and not problems:
        hint = "a comparison with a missing value is not true"
        raise ProblemError(
            [Problem("no row passes FILTER", script.command_spans.get("filter"), hint, ProblemKind.DATA)]
        )
    try:
        table, rows, more = arrange_occasions(script, table, np.flatnonzero(passed))
    except ProblemError as error:
        raise ProblemError([*problems, *error.problems]) from None
    return table, rows, [*problems, *more]


def load_table(script: Script) -> Table:
    """The data of the file, or those that the script simulates."""
    from mlbayes.data.read import read_table
    from mlbayes.data.simulate import simulate

    if "simulate" in script.command_spans:
        if script.data is not None:
            message = "DATA and SIMULATE exclude each other"
            raise ProblemError(
                [Problem(message, script.data.span, "to keep simulated data: SAVE: dataset = f;")]
            )
        return simulate(script)
    if script.data is None:
        hint = "add DATA: file.csv; or simulate the data with SIMULATE"
        raise ProblemError([Problem("the script names no data file", hint=hint)])
    try:
        return read_table(
            data_path(script),
            tuple(name.name for name in script.variables),
            tuple(word.text for word in script.missing),
            frozenset(name.name for name in script.cluster_ids),
        )
    except ProblemError as error:  # a file that cannot be read is a matter of its name
        place = script.data.span
        raise ProblemError(
            dataclasses.replace(p, span=place, place="") if p.kind is ProblemKind.FILE else p
            for p in error.problems
        ) from None


def build(script: Script, table: Table, rows: NDArray[np.int64]) -> tuple[Model | None, list[Problem]]:
    """The model graph, or what is wrong with it."""
    from mlbayes.model.build import build_model

    return build_model(script, table, rows)


def plan(model: Model) -> PlannedModel:
    """The steps that draw everything unknown, in order."""
    from mlbayes.plan.choose import make_plan
    from mlbayes.plan.symbols import placed

    with placed(model.place):
        return make_plan(model)


def sample(
    made: PlannedModel,
    threads: int,
    progress: Progress,
    stop: threading.Event,
    checkpoint: Checkpoint | None = None,
) -> Draws:
    """The draws of all chains; fewer than asked for, and marked so, once `stop` is set."""
    from mlbayes.engine.chains import run_chains
    from mlbayes.plan.symbols import placed

    with placed(made.model.place):
        return run_chains(made, threads, progress, stop, checkpoint)


def summarise(model: Model, draws: Draws, group: Group | None = None) -> Document:
    """Everything that is reported, as plain data."""
    from mlbayes.model.describe import describe
    from mlbayes.model.patterns import data_information
    from mlbayes.results.build import build_document

    document = build_document(model, describe(model), data_information(model), draws)
    return document if group is None else dataclasses.replace(document, group=group.label)


def write(documents: Sequence[Document], options: RunOptions) -> str:
    """Write the report and the JSON file; return the report if it belongs on stdout."""
    from mlbayes.output.atomic import write_bytes
    from mlbayes.output.json_file import document_to_json
    from mlbayes.output.report import render_report

    report = render_report(*documents)
    if options.json is not None:
        write_bytes(options.json, [document_to_json(*documents).encode()])
    if options.output is None:
        return report
    write_bytes(options.output, [report.encode()])
    return ""


def save(table: Table, found: Sequence[Found], options: RunOptions) -> None:
    """Write the files of SAVE, and note the columns of saved data in the last document.

    With groups each has tables of results of its own, while completed data are put together.
    """
    from mlbayes.output.atomic import Place
    from mlbayes.output.dataset import KEYWORD
    from mlbayes.output.gather import data_saves, gather, group_saves, reached_saves, saved_orders, together
    from mlbayes.output.saves import write_saves

    last = found[-1]
    source, settings = last.part.model.source, last.part.model.settings
    save_simulated(source, settings, table, found[0].document, options)
    saves = tuple(save for save in settings.saves if save[0] != KEYWORD)
    if not saves:
        return
    place = Place(source.path.parent, (source.path, table.path), options.allow_outside)
    results = [gather(each.part.model, table, each.draws, each.document) for each in found]
    whole = results[-1]
    grouped = last.part.group is not None
    if grouped:
        imputations = [each.imputations for each in results if each.imputations is not None]
        if len(imputations) == len(found):
            whole = dataclasses.replace(whole, imputations=together(imputations))
    if not last.document.complete:
        saves = tuple(reached_saves(saves, whole.imputations))
    write_saves(data_saves(saves) if grouped else saves, whole, place)
    for each, result in zip(found, results, strict=True):
        if each.part.group is not None:
            write_saves(group_saves(saves, each.part.group.file_label), result, place)
    last.document.saved = saved_orders(saves, whole.imputations)


def save_simulated(
    source: Source, settings: Settings, table: Table, document: Document, options: RunOptions
) -> None:
    """Write simulated data where SAVE asks for them, and note what they are in the document."""
    from mlbayes.output.atomic import Place
    from mlbayes.output.dataset import save_datasets
    from mlbayes.results.simulated import simulated_summaries

    document.simulated = simulated_summaries(table)
    if settings.saves:
        place = Place(source.path.parent, (source.path,), options.allow_outside)
        wanted = "savevarnames" in settings.options
        document.simulated_order = save_datasets(settings.saves, table, place, wanted)


# ------------------------------------------------------------------ the path
@dataclass(frozen=True)
class Part:
    """What is run by itself: everything, or a group of BYGROUP."""

    model: Model
    group: Group | None = None


@dataclass(frozen=True)
class Found:
    """What the run of a part has found."""

    part: Part
    draws: Draws
    document: Document


def understand(source: Source, options: RunOptions = DEFAULTS) -> tuple[Model, Table]:
    """The model of a script (with BYGROUP that of the first group) and its data; there must be one."""
    parts, table = understand_parts(source, options)
    return parts[0].model, table


def understand_parts(source: Source, options: RunOptions = DEFAULTS) -> tuple[list[Part], Table]:
    """From the text to the models and their data; reports at once what all these stages found.

    There is no model in a script that only simulates data.
    """
    from mlbayes.data.transform import lost
    from mlbayes.language.recovery import Damage, quoted

    script, problems = parse(source, options.seed)
    damage = Damage(source, problems)
    later = output_problems(script, options)
    parts: list[Part] = []
    table = None
    if damage.spares_the_data:
        try:
            table, rows, found = load(script)
            parts, more = build_parts(script, table, rows)
            words = lost(script.transform, found)
            later += [*found, *(problem for problem in more if words.isdisjoint(quoted(problem)))]
        except ProblemError as error:
            later += error.problems
    stop_at([*problems, *damage.independent(later)])
    assert table is not None, "a script without problems has data"
    assert parts or script.only_simulates, "a script without problems has a model"
    return parts, table


def build_parts(script: Script, table: Table, rows: NDArray[np.int64]) -> tuple[list[Part], list[Problem]]:
    """A model for each group of BYGROUP, or one for all rows; and what is wrong with them."""
    from mlbayes.data.groups import group_problems, split_rows

    if script.only_simulates:
        return [], []
    by = script.by_group
    if by is None or by.name not in table.columns:
        model, problems = build(script, table, rows)
        return ([] if model is None else [Part(model)]), problems
    groups, problems = split_rows(table, by, rows)
    # within a group the variable is the same everywhere, so it imputes nothing
    script = dataclasses.replace(script, fcs=tuple(name for name in script.fcs if name.name != by.name))
    parts, found = [], []
    for group in groups:
        model, wrong = build(script, table, group.rows)
        found.append((group, wrong))
        if model is not None:
            settings = dataclasses.replace(model.settings, stream=group.stream)
            parts.append(Part(dataclasses.replace(model, settings=settings), group))
    return parts, [*problems, *group_problems(found, by.name)]


def kernels(planned: Sequence[PlannedModel]) -> set[str]:
    """Names of the compiled functions that run the sweeps of models."""
    from mlbayes.engine.sweep import interpreter

    return {interpreter(made.plan).__name__ for made in planned}


def run(source: Source, options: RunOptions, console: Console) -> tuple[list[Document], str]:
    """The whole path; returns the result (a document for each group of BYGROUP) and the text for stdout."""
    parts, table = understand_parts(source, options)
    console.lap("reading")
    if not parts:
        result = run_simulation(source, table, options)
        console.lap("writing")
        return result
    planned = [plan_part(part) for part in parts]
    console.lap("planning")
    console.compile_notice(kernels(planned))
    found: list[Found] = []
    for part, made in zip(parts, planned, strict=True):
        console.lap("loading")
        draws = run_part(part, made, options, console)
        console.lap("sampling")
        if not draws.kept:
            break  # interrupted in the burn-in: there is nothing to report
        found.append(Found(part, draws, summarise(part.model, draws, part.group)))
        console.lap("summaries")
        if not draws.complete:
            break
    if not found:
        raise KeyboardInterrupt
    if len(found) < len(parts):
        found[-1].document.complete = False
    save(table, found, options)
    documents = [each.document for each in found]
    text = write(documents, options)
    if options.checkpoint and documents[-1].complete:
        from mlbayes.engine.checkpoint import remove_checkpoint

        remove_checkpoint(options.checkpoint)
    console.lap("writing")
    return documents, text


def run_simulation(source: Source, table: Table, options: RunOptions) -> tuple[list[Document], str]:
    """The end of the path for a script that only simulates data."""
    from mlbayes.model.notes import Notes
    from mlbayes.model.settings import read_settings
    from mlbayes.results.simulated import simulated_document

    script, _ = parse(source, options.seed)
    settings = read_settings(script, Notes())
    document = simulated_document(table, settings.seed)
    save_simulated(source, settings, table, document, options)
    return [document], write([document], options)


def plan_part(part: Part) -> PlannedModel:
    """The plan of a part; what cannot be run names the group."""
    with in_group(part):
        return plan(part.model)


def run_part(part: Part, made: PlannedModel, options: RunOptions, console: Console) -> Draws:
    """The draws of a part; a failure names the group."""
    checkpoint = None
    if options.checkpoint is not None:
        from mlbayes.engine.checkpoint import Checkpoint

        checkpoint = Checkpoint(options.checkpoint, made)
    with in_group(part), Interrupt() as stop, console.progress() as progress:
        draws = sample(made, options.threads or processors(), progress, stop, checkpoint)
    if checkpoint is not None and checkpoint.failure:
        console.notice(f"warning: {checkpoint.failure}")
    return draws


@contextlib.contextmanager
def in_group(part: Part) -> Iterator[None]:
    """Problems of a group name it."""
    try:
        yield
    except ProblemError as error:
        if part.group is None:
            raise
        raise ProblemError(
            dataclasses.replace(p, message=f"{p.message} (group {part.group.label})") for p in error.problems
        ) from None


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

"""What would keep the results of a run from being written, found before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mlbayes.language.nodes import Save, Script
from mlbayes.output.atomic import Place
from mlbayes.problems import Problem, ProblemError, ProblemKind

NEED_IMPUTATIONS = ("stacked", "stacked0", "separate")


def target_problems(
    script: Script, inputs: tuple[Path, ...], reports: Sequence[Path], allow_outside: bool
) -> list[Problem]:
    """The problems with the files that the command line and the script ask for.

    `inputs` are files that must never be written to; `reports` are paths from the command line, relative to
    the working directory, while names in the script are relative to the script.
    """
    here = Place(Path(), inputs, allow_outside=True)
    beside = Place(script.source.path.parent, inputs, allow_outside)
    problems = [problem for path in reports for problem in _place_problems(here, str(path))]
    taken = {os.path.realpath(path) for path in reports}
    for save in script.save:
        found = [*_save_problems(save, script), *_place_problems(beside, save.file.text.replace("*", "1"))]
        path = os.path.realpath(script.source.path.parent / save.file.text)
        if path in taken:
            found.append(Problem("two results would be written into this file"))
        taken.add(path)
        problems += [replace(problem, span=save.file.span, place="") for problem in found]
    return problems


def _save_problems(save: Save, script: Script) -> Iterator[Problem]:
    keyword = save.keyword.text.lower()
    if keyword in NEED_IMPUTATIONS and not (script.imputations and script.imputations.value):
        yield Problem("there are no imputed data sets to save", hint="say how many: NIMPS: 20;")
    if keyword == "dataset" and not script.simulate:
        yield Problem("there are no simulated data to save", hint="'dataset' belongs to SIMULATE")
    if keyword != "dataset" and script.only_simulates:
        yield Problem(
            f"without a model there is nothing to save as '{keyword}'", hint="SAVE: dataset = file;"
        )


def _place_problems(place: Place, name: str) -> list[Problem]:
    try:
        path = place.target(name)
    except ProblemError as error:
        return error.problems
    if os.access(path.parent, os.W_OK):
        return []
    return [Problem("no permission to write into this folder", kind=ProblemKind.FILE, place=name)]

"""What would keep the results of a run from being written, found before anything is computed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mlbayes.language.nodes import Save, Script
from mlbayes.output.atomic import Place, is_device
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
    taken, lists = [os.path.realpath(path) for path in reports], list[str]()
    problems += [
        _twice(str(path)) for k, path in enumerate(reports) if taken[k] in taken[:k] and not is_device(path)
    ]
    for save in script.save:
        names = _names(save)
        placed = [problem for name in names for problem in _place_problems(beside, name.replace("*", "1"))]
        found = [*_save_problems(save, script), *dict.fromkeys(replace(p, place="") for p in placed)]
        path, *listed = [os.path.realpath(script.source.path.parent / name) for name in names]
        pairs = [
            *((path, other) for other in [*taken, *lists]),
            *((one, other) for one in listed for other in taken),
        ]
        if any(_meet(one, other) for one, other in pairs):
            found.append(_twice())
        taken.append(path)
        lists += listed  # those of two formats of the same data may have one name
        problems += [replace(problem, span=save.file.span) for problem in found]
    return problems


def separate_names(name: str) -> tuple[str, str]:
    """The names of the files of `SAVE: separate` (`*` stands for the number), and that of the list of them."""
    path = Path(name)
    pattern = name if "*" in name else str(path.with_suffix("")) + "*" + path.suffix
    return pattern, str(Path(pattern.replace("*", "list")).with_suffix(".dat"))


def _names(save: Save) -> list[str]:
    """The names of the files of an entry of SAVE; `*` stands for numbers."""
    name = save.file.text
    return list(separate_names(name)) if save.keyword.text.lower() == "separate" else [name]


def _meet(one: str, other: str) -> bool:
    """Can two names, in which `*` stands for numbers, be the same."""
    if one == other:
        return True
    pattern, name = (one, other) if "*" in one else (other, one)
    return "*" in pattern and re.fullmatch(re.escape(pattern).replace(r"\*", "[0-9*]+"), name) is not None


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


def _twice(place: str = "") -> Problem:
    return Problem("two results would be written into this file", place=place)


def _place_problems(place: Place, name: str) -> list[Problem]:
    try:
        path = place.target(name)
    except ProblemError as error:
        return error.problems
    if os.access(path if is_device(path) else path.parent, os.W_OK):
        return []
    return [Problem("no permission to write into this folder", kind=ProblemKind.FILE, place=name)]

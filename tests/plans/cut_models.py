"""Scripts of users with their data cut down to few clusters."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scripts import source_of

from mlbayes import pipeline
from mlbayes.model.build import build_model
from mlbayes.model.model import Model
from mlbayes.plan.choose import PlannedModel, make_plan
from mlbayes.problems import ProblemError, ProblemKind

SIZES = (12, 20, 40, 80)  # units of the highest level to keep, until the model can be built
ROWS = 400  # keep every so-manieth row where there are more


def spaced(count: int, most: int) -> np.ndarray:
    """At most so many of 0, 1, ..., count - 1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


@cache
def cut_model(path: Path) -> Model:
    """The model of a script on some clusters (rows of single-level data)."""
    script, problems = pipeline.parse(source_of(path))
    assert problems == []
    table, rows, problems = pipeline.load(script)
    assert problems == []
    identifiers = [name.name for name in script.cluster_ids]
    counts = [np.unique(table.values(name)[rows]).size for name in identifiers]
    found: list[str] = []
    for size in SIZES:
        if identifiers:
            top = table.values(identifiers[int(np.argmin(counts))])[rows]
            first = np.unique(top, return_index=True)[1]
            clusters = top[first][spaced(first.size, size)]
            chosen = rows[np.isin(top, clusters)]
        else:
            chosen = rows[spaced(rows.size, 5 * size)]
        chosen = chosen[spaced(chosen.size, ROWS)]
        model, problems = build_model(script, table, chosen)
        if model is not None and not problems:
            return model
        found = [problem.message for problem in problems]
    pytest.skip(f"no small part of the data suits the model: {found[:1]}")


@cache
def cut_plan(path: Path) -> PlannedModel:
    """The plan of this model; skips what cannot be run."""
    try:
        return make_plan(cut_model(path))
    except ProblemError as error:
        assert all(problem.kind is ProblemKind.UNSUPPORTED for problem in error.problems)
        pytest.skip(f"cannot be run yet: {error.problems[0].message}")

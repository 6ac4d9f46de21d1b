"""A small data table and shortcuts, so that a test of the model builder is a script and what comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlbayes.data.table import Column, Table
from mlbayes.language.parse import parse_script
from mlbayes.model.build import build_model
from mlbayes.model.describe import describe
from mlbayes.model.model import Equation, Model
from mlbayes.problems import Problem
from mlbayes.source import Source

ROWS = 160


def example_table() -> Table:
    """40 clusters `pupil` of 4 rows in 20 clusters `school`.

    Continuous: y z m (level 1), x (level 1, two values missing), w (pupil), v (school); ordinal: o (codes 1
    to 4), b (0, 1); nominal: g (1, 2, 3); count: c; t counts the rows of a pupil.
    """
    rng = np.random.default_rng(7)
    columns = {name: rng.normal(size=ROWS) for name in ("y", "z", "m", "x")}
    columns["x"][[3, 70]] = np.nan
    columns["w"] = np.repeat(rng.normal(size=40), 4)
    columns["v"] = np.repeat(rng.normal(size=20), 8)
    columns["o"] = np.tile([1.0, 2.0, 3.0, 4.0, 2.0], 32)
    columns["b"] = np.tile([0.0, 1.0, 1.0, 0.0, 1.0], 32)
    columns["g"] = np.resize([1.0, 2.0, 3.0], ROWS)
    columns["c"] = np.tile([0.0, 3.0, 1.0, 0.0, 2.0], 32)
    columns["t"] = np.tile(np.arange(4.0), 40)
    columns["pupil"] = np.repeat(np.arange(40.0), 4)
    columns["school"] = np.repeat(np.arange(20.0), 8)
    made = {name: Column(name, name, values) for name, values in columns.items()}
    return Table(Path("example.dat"), made, (), np.arange(1, ROWS + 1))


def single_rows() -> Table:
    """The example table with a cluster `pupil` for each row."""
    table = example_table()
    table.columns["pupil"].values[:] = np.arange(ROWS)
    return table


def attempt(text: str, table: Table | None = None) -> tuple[Model | None, list[Problem]]:
    """The model of a script on a table (by default the example table), and all problems."""
    script, syntax = parse_script(Source(Path("test.imp"), text))
    assert syntax == []
    return build_model(script, example_table() if table is None else table)


def built(text: str) -> Model:
    """The model of a script without problems."""
    model, problems = attempt(text)
    assert problems == []
    assert model is not None
    return model


def messages(text: str) -> list[str]:
    """Messages of the problems of a script."""
    model, problems = attempt(text)
    assert model is None
    return [problem.message for problem in problems]


def printed(text: str) -> list[str]:
    """The printed models of a script, blocks as `name: model`."""
    blocks = describe(built(text)).models
    return [f"{block.name}: {m}" if block.name else m for block in blocks for m in block.models]


def equation(model: Model, title: str) -> Equation:
    """The equation with a title."""
    return next(e for e in model.equations if e.title == title)


def labels(found: Equation) -> list[str]:
    """Labels of the visible terms."""
    return [term.label for term in found.terms if not term.hidden]

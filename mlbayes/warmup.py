"""Tiny runs that compile the engine, so that an installer can fill the cache once for all later runs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.data.table import Column, Table
from mlbayes.source import Source

HEAD = "DATA: built-in; CLUSTERID: group; SEED: 1; BURN: 40; ITER: 40; CHAINS: 2; "
SCRIPTS = (  # one for each interpreter of mlbayes.engine.sweep
    HEAD + "CENTER: groupmean = x; grandmean = w; MODEL: y ~ x w | x;",
    HEAD + "MODEL: y ~ x x^2;",
)


def tiny_table() -> Table:
    """Twelve clusters of five rows, with some values missing."""
    rng = np.random.Generator(np.random.Philox(1))
    group = np.repeat(np.arange(12.0), 5)
    x = rng.standard_normal(60)
    w = np.repeat(rng.standard_normal(12), 5)
    y = x + w + np.repeat(rng.standard_normal(12), 5) + rng.standard_normal(60)
    x[::7] = np.nan
    y[::9] = np.nan
    columns = {"group": group, "x": x, "w": w, "y": y}
    return Table(
        Path("built-in"),
        {name: Column(name, name, values) for name, values in columns.items()},
        lines=np.arange(1, 61, dtype=np.int64),
    )


def warm_up() -> None:
    """Run tiny models through every stage."""
    for text in SCRIPTS:
        script, _ = pipeline.parse(Source(Path("built-in"), text))
        table = tiny_table()
        model, _ = pipeline.build(script, table, np.arange(table.rows))
        assert model is not None
        draws = pipeline.sample(pipeline.plan(model), 1, SilentProgress(), threading.Event())
        pipeline.write([pipeline.summarise(model, draws)], pipeline.RunOptions())

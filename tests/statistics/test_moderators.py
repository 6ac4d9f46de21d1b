"""Conditional effects at the codes of a centred moderator are those of the uncentred model."""

import threading

import numpy as np

from mlbayes import pipeline
from mlbayes.console import SilentProgress
from mlbayes.source import Source

SCRIPT = """
DATA: data.csv;
ORDINAL: d;
FIXED: d x;
{centre}
MODEL: y ~ x d x*d;
SIMPLE: x | d;
SEED: 12;
BURN: 200;
ITER: 4000;
"""


def conditional_rows(folder, centre: str) -> dict[str, float]:
    path = folder / "model.inp"
    path.write_text(SCRIPT.format(centre=centre))
    model, _ = pipeline.understand(Source(path, path.read_text()))
    draws = pipeline.sample(pipeline.plan(model), 2, SilentProgress(), threading.Event())
    document = pipeline.summarise(model, draws)
    tables = [table for table in document.outcome_tables if table.kind == "conditional-effects"]
    return {f"{row.section} {row.label}".strip(): row.mean for table in tables for row in table.rows}


def test_codes_of_a_centred_moderator(tmp_path):
    rng = np.random.default_rng(4)
    n = 400
    x, d = rng.normal(3, 1, n), rng.integers(0, 2, n)
    y = 1 + 0.5 * x + 2 * d + 0.8 * x * d + rng.normal(size=n)
    rows = "\n".join(f"{a:.5f},{b:.5f},{c}" for a, b, c in zip(y, x, d, strict=True))
    (tmp_path / "data.csv").write_text("y,x,d\n" + rows + "\n")
    plain = conditional_rows(tmp_path, "")
    centred = conditional_rows(tmp_path, "CENTER: d;")
    slopes = [key for key in plain if "Slope" in key]
    assert len(plain) == 4 and len(slopes) == 2
    for key, value in plain.items():
        # posterior SDs are below 0.4, effective sizes about 4,000: differences beyond 0.06 are five errors and more
        assert abs(centred[key] - value) < 0.06, key

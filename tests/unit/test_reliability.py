"""When cluster means are so unreliable that variances of predictors get a collapsed step."""

import numpy as np
import pytest

from mlbayes import pipeline
from mlbayes.plan import plan as p
from mlbayes.plan.predictor_rule import mean_reliability
from mlbayes.source import Source

SCRIPT = "DATA: data.csv; CLUSTERID: g; CENTER: grandmean = x; MODEL: y ~ x; SEED: 1;"


@pytest.mark.parametrize(("between", "collapsed"), [(0.0, True), (1.0, False)])
def test_variances_of_a_predictor_without_reliable_means_are_collapsed(tmp_path, between, collapsed):
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(60), 15)
    x = between * rng.normal(size=60)[g] + rng.normal(size=g.size)
    y = x + rng.normal(size=60)[g] + rng.normal(size=g.size)
    rows = "\n".join(f"{i},{a:.5f},{b:.5f}" for i, a, b in zip(g, x, y, strict=True))
    (tmp_path / "data.csv").write_text("g,x,y\n" + rows + "\n")
    path = tmp_path / "model.inp"
    path.write_text(SCRIPT)
    model, _ = pipeline.understand(Source(path, SCRIPT))
    observed = mean_reliability(model, "x")
    # 1 - MS_within / MS_between by hand
    means = np.array([x[g == k].mean() for k in range(60)])
    within = sum(((x[g == k] - means[k]) ** 2).sum() for k in range(60)) / (g.size - 60)
    expected = max(0.0, 1.0 - within / (15 * means.var(ddof=1)))
    assert observed == pytest.approx(expected, rel=1e-4, abs=1e-6)
    steps = pipeline.plan(model).plan.steps[:, 0]
    assert (steps == p.STEP_COLLAPSED).sum() == 1 + collapsed  # the equation of y always has one

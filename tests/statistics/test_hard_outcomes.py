"""Runs on data with separation, rare categories or uniform clusters end, with figures that are numbers."""

from __future__ import annotations

import math
import threading

import pytest
from hard_outcomes import cases, model_of

from mlbayes import pipeline
from mlbayes.convergence import all_rows
from mlbayes.problems import ProblemError, ProblemKind

CASES = {name: case for name, case in cases().items() if not case.problem}
SETTINGS = "SEED: 77; BURN: 200; ITER: 400; CHAINS: 2;"


class Silent:
    """Nobody is told about the run."""

    silent = True

    def update(self, chain: int, iteration: int, total: int, rhat: float | None) -> None:
        """Do nothing."""


@pytest.mark.parametrize("name", CASES)
def test_a_run_ends_with_numbers(name):
    case = CASES[name]
    model = model_of(case, SETTINGS)
    try:
        draws = pipeline.sample(pipeline.plan(model), 1, Silent(), threading.Event())
    except ProblemError as error:
        assert case.improper, error
        assert [problem.kind for problem in error.problems] == [ProblemKind.NUMERICAL]
        return
    rows = [row for row in all_rows(pipeline.summarise(model, draws)) if row.number]
    assert rows
    for row in rows:
        assert math.isfinite(row.estimate) and math.isfinite(row.sd), row.label
        assert row.q025 <= row.estimate <= row.q975, row.label


def test_the_prior_decides_where_the_data_do_not():
    """With complete separation the slope is about as large as its prior, normal(0, 5), lets it be."""
    model = model_of(CASES["probit"], "SEED: 78; BURN: 500; ITER: 4000; CHAINS: 2;")
    draws = pipeline.sample(pipeline.plan(model), 1, Silent(), threading.Event())
    rows = {
        row.label: row for row in all_rows(pipeline.summarise(model, draws)) if row.section == "Coefficients"
    }
    assert 2.0 < rows["x"].estimate < 10.0
    assert rows["x"].rhat < 1.05

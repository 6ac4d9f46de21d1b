"""Pooled estimates of completed data: the study of tests/studies/imputation.py in small.

That study holds pooled estimates against true values.  Few data sets say more when they are held against the estimate
of the same data before they got holes: if values are drawn from the right law, the difference has mean 0 and variance
(1 + 1/m) B, with B the variance between imputations, and their ratio has nearly a t distribution with m - 1 degrees of
freedom.  Its mean and its spread over the data sets are tested.  The laws are approximate, which matters little that
far out in the tails; what these tests notice are gross errors, and the last one shows that they do.
"""

from __future__ import annotations

import numpy as np
import pytest
from rates import ALPHA
from scipy import stats
from studies import imputation
from studies.imputation import IMPUTATIONS, TYPES, WORLDS, Cell, Data, pool, study


def ratios(result: imputation.Result, method: str) -> np.ndarray:
    """Pooled estimate less that without holes, over its standard error, shape (data sets, estimands)."""
    return np.array(
        [
            (one.estimate - whole.estimate) / np.sqrt(one.share * one.variance)
            for one, whole in zip(result.found[method], result.found["whole"], strict=True)
        ]
    )


def wrong(found: np.ndarray) -> list[str]:
    """Which means and spreads of ratios are not those of right imputations; at the rate ALPHA for all together."""
    normal = stats.norm.ppf(stats.t.cdf(found, IMPUTATIONS - 1))
    sims, estimands = normal.shape
    tail = 0.5 * ALPHA / (2 * estimands)
    means = normal.mean(axis=0) * np.sqrt(sims)
    squares = (normal**2).sum(axis=0)
    low, high = stats.chi2.ppf(tail, sims), stats.chi2.isf(tail, sims)
    return [f"mean of {k}: z = {z:.1f}" for k, z in enumerate(means) if abs(z) > stats.norm.isf(tail)] + [
        f"spread of {k}: {s:.1f} in {sims}" for k, s in enumerate(squares) if not low < s < high
    ]


def check(cell: Cell, sims: int) -> None:
    result = study(cell, sims)
    assert {method: wrong(ratios(result, method)) for method in cell.methods()} == {
        method: [] for method in cell.methods()
    }


@pytest.mark.parametrize("kind", TYPES)
def test_pooled_estimates_are_near_those_of_whole_data(kind):
    check(Cell(kind, 1, "response", "MAR"), 12)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("kind", TYPES)
def test_pooled_estimates_are_near_those_of_whole_data_in_more_of_them(kind, world, levels):
    check(Cell(kind, levels, world, "MAR"), 30)


EXACT = [cell for kind in TYPES for world in WORLDS if (cell := Cell(kind, 1, world, "MAR")).has_exact()]


@pytest.mark.slow
@pytest.mark.parametrize("cell", EXACT, ids=lambda cell: f"{cell.world}-{cell.kind}")
def test_pooled_estimates_are_those_of_exact_imputations(cell):
    """Imputations by numpy alone, of the same data: pooled estimates differ by noise of mean 0 only."""
    result = study(cell, 20, compare=True)
    mean, sd, _ = result.difference("MODEL", "exact")
    t = mean / (sd / np.sqrt(20))
    assert np.abs(t).max() < stats.t.isf(0.5 * ALPHA / t.size, 19)


def test_imputations_that_ignore_the_other_variables_are_noticed(monkeypatch):
    """Missing values drawn from the observed ones: the regression on t is too flat."""

    def hot_deck(cell: Cell, method: str, data: Data, seed: int) -> list[dict[str, np.ndarray]]:
        rng = np.random.default_rng(seed)
        t, holes = data.whole["t"], data.missing
        draws = [rng.choice(t[~holes], t.size) for _ in range(IMPUTATIONS)]
        return [data.whole | {"t": np.where(holes, drawn, t)} for drawn in draws]

    monkeypatch.setattr(imputation, "impute", hot_deck)
    for kind in ("continuous", "ordinal"):
        assert wrong(ratios(study(Cell(kind, 1, "response", "MCAR"), 12), "MODEL"))


def test_rules_of_pooling():
    """By hand: mean 2, within 4, between 1 of m = 5."""
    estimates = np.array([[1.0], [1.0], [2.0], [3.0], [3.0]])
    pooled = pool(estimates, np.full((5, 1), 4.0), 30.0)
    assert pooled.estimate == 2.0
    assert pooled.variance == pytest.approx(4.0 + 1.2)
    share = 1.2 / 5.2
    assert pooled.share == pytest.approx(share)
    large, observed = 4.0 / share**2, 31.0 / 33.0 * 30.0 * (1.0 - share)
    assert pooled.freedom == pytest.approx(large * observed / (large + observed))


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("kind", TYPES)
def test_true_values_are_those_of_the_simulation(kind, levels):
    """Quadrature against estimates of 200 data sets without holes."""
    cell = Cell(kind, levels, "response", "MCAR")
    found = np.array([cell.analyse(cell.simulate(k).whole)[0] for k in range(200)])
    z = (found.mean(axis=0) - cell.truth()) / (found.std(axis=0, ddof=1) / np.sqrt(len(found)))
    assert np.abs(z).max() < stats.norm.isf(0.5 * ALPHA / z.size)

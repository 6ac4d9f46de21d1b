"""Equal variances and correlations within `~~`: draws against the exact posterior on a grid.

All outcomes have one variance v and each two the correlation r; means and v are flat, r is uniform.
"""

from __future__ import annotations

import naive
import numpy as np
import pytest
from rates import critical
from toys import Running, generator, plan_of

from mlbayes.plan import plan as p

CHAINS, BURN, KEPT = 4, 600, 4000
SCRIPTS = {
    2: "MODEL: a ~ 1; b ~ 1; a ~~ b; a@v; b@v;",
    3: "MODEL: a ~ 1; b ~ 1; c ~ 1; a ~~ b@r; a ~~ c@r; b ~~ c@r; a@v; b@v; c@v;",
}


def data(outcomes: int, missing: int) -> np.ndarray:
    """40 rows, shape (40, outcomes); the last ones have the first outcome only."""
    covariance = 1.5 * (0.6 * np.eye(outcomes) + 0.4)
    rows = generator(31).multivariate_normal(np.arange(outcomes), covariance, 40)
    if missing:
        rows[-missing:, 1:] = np.nan
    return rows


def log_posterior(rows: np.ndarray, v: float, r: float) -> float:
    """Log density of (v, r) up to a constant, the means integrated out."""
    p = rows.shape[1]
    information, linear, total = np.zeros((p, p)), np.zeros(p), 0.0
    for seen in (p, 1):
        part = rows[np.isfinite(rows).sum(axis=1) == seen][:, :seen]
        inverse = np.linalg.inv(v * ((1.0 - r) * np.eye(seen) + r))
        information[:seen, :seen] += len(part) * inverse
        linear[:seen] += inverse @ part.sum(axis=0)
        total += len(part) * np.linalg.slogdet(inverse)[1] - float(np.einsum("ni,ij,nj", part, inverse, part))
    total += float(linear @ np.linalg.solve(information, linear)) - np.linalg.slogdet(information)[1]
    return 0.5 * float(total)


@pytest.mark.parametrize(("outcomes", "missing"), [(2, 0), (2, 12), (3, 0), (3, 12)])
def test_one_variance_and_one_correlation(outcomes, missing):
    rows = data(outcomes, missing)
    columns = dict(zip("abc", rows.T, strict=False))
    planned = plan_of("DATA: a.dat; MISSING: NA; " + SCRIPTS[outcomes], columns)
    assert (planned.plan.steps[:, 0] == p.STEP_COLLAPSED).any() == bool(missing)
    place = planned.layout.residual_covariances[0]
    matrices = np.empty((CHAINS, KEPT, outcomes, outcomes))
    for chain in range(CHAINS):
        running = Running.start(planned, seed=70 + chain, sweeps=BURN, burn=BURN)
        kept = running.sweeps(KEPT, BURN, BURN)
        matrices[chain] = kept[:, place : place + outcomes**2].reshape(KEPT, outcomes, outcomes)
    drawn = {"v": matrices[..., 0, 0], "r": matrices[..., 0, 1] / matrices[..., 0, 0]}
    for i in range(outcomes):
        np.testing.assert_allclose(matrices[..., i, i], drawn["v"], rtol=1e-9)
        for j in range(i):
            np.testing.assert_allclose(matrices[..., i, j], matrices[..., 0, 1], rtol=1e-7)
    variances, correlations = np.linspace(0.4, 6.0, 141), np.linspace(-0.999 / (outcomes - 1), 0.995, 161)
    density = np.array([[log_posterior(rows, v, r) for r in correlations] for v in variances])
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    assert weight[[0, -1]].sum() + weight[:, [0, -1]].sum() < 1e-6  # the grid is wide enough
    for name, exact in (("v", weight.sum(axis=1) @ variances), ("r", weight.sum(axis=0) @ correlations)):
        error = naive.batch_error(drawn[name])
        assert abs(drawn[name].mean() - exact) / error < critical(39), name

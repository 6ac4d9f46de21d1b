"""The posterior of a mixed model against that of a plain Gibbs sampler under the same informative priors."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from rates import critical
from toys import Running, generator, plan_of

from mlbayes.plan import plan as p

TEXT = """
DATA: toy.dat; CLUSTERID: g; FIXED: x w; OPTIONS: prior1;
MODEL: y ~ 1@c x@a w@b | x; y ~~ y@s;
PARAMETERS: c ~ normal(1, 4); a ~ normal(0, 1); b ~ normal(.5, 2); s ~ ig(3, 2);
"""


def data(clusters: int = 25, size: int = 6) -> dict[str, np.ndarray]:
    rng = generator(21)
    g = np.repeat(np.arange(clusters), size)
    x, w = rng.normal(size=g.size), rng.normal(size=clusters)[g]
    u = np.linalg.cholesky([[0.6, 0.2], [0.2, 0.3]]) @ rng.normal(size=(2, clusters))
    y = 1.0 + 0.5 * x - 0.4 * w + u[0][g] + u[1][g] * x + rng.normal(size=g.size)
    return {"g": g, "x": x, "w": w, "y": y}


def ours(columns: dict[str, np.ndarray], draws: int, chains: int = 2) -> dict[str, np.ndarray]:
    """Draws of (coefficients, S with the intercept first, residual variance), shape (chains, draws, ...)."""
    planned = plan_of(TEXT, columns)
    place = planned.layout.equations[0]
    records = []
    for chain in range(chains):
        running = Running.start(planned, seed=30 + chain)
        running.sweeps(2000, burn=2000)
        records.append(running.sweeps(draws, burn=2000, start=2000))
    found = np.stack(records)
    at = place.covariances[0]
    return {
        "beta": found[:, :, place.coefficients : place.coefficients + 3],
        "s": found[:, :, at : at + 4].reshape(chains, draws, 2, 2)[:, :, ::-1, ::-1],
        "variance": found[:, :, place.variance],
    }


def compare(draws: int) -> None:
    columns = data()
    one = np.ones_like(columns["y"])
    plain = naive.gibbs_mixed_model(
        columns["y"],
        np.stack([one, columns["x"], columns["w"]], axis=1),
        np.stack([one, columns["x"]], axis=1),
        columns["g"],
        np.array([1.0, 0.0, 0.5]),
        np.array([4.0, 1.0, 2.0]),
        (3.0, 2.0),
        (3.0, np.eye(2)),
        draws,
        300,
        np.random.default_rng(22),
    )
    own = ours(columns, 10_000)
    pairs = {f"beta {k}": (own["beta"][:, :, k], plain["beta"][:, k]) for k in range(3)}
    pairs |= {f"S {i}{j}": (own["s"][:, :, i, j], plain["s"][:, i, j]) for i, j in ((0, 0), (1, 0), (1, 1))}
    pairs["variance"] = (own["variance"], plain["variance"])
    for name, (a, b) in pairs.items():
        bound = critical(15)  # batch means of the shorter run have few degrees of freedom
        assert abs(naive.difference_in_errors(a, b)) < bound, name
        centre = b.mean()
        spread = naive.difference_in_errors(a, b, lambda x, c=centre: (x - c) ** 2)
        assert abs(spread) < bound, f"spread of {name}"
        assert 0.9 < a.std() / b.std() < 1.1, f"standard deviation of {name}"


def test_same_posterior_as_a_plain_gibbs_sampler():
    compare(4000)


@pytest.mark.slow
def test_same_posterior_as_a_long_plain_gibbs_sampler():
    compare(40_000)


def test_the_priors_are_those_of_the_script():
    planned = plan_of(TEXT, data())
    block, group, variance = planned.plan.blocks[0], planned.plan.groups[0], planned.plan.variances[0]
    prior = planned.store[block[p.BLOCK_PRIOR] : block[p.BLOCK_PRIOR] + 6]
    places = [[top.atom.name for top in planned.blocks[0].tops].index(name) for name in "cab"]
    np.testing.assert_allclose(prior[places], [0.25, 1.0, 0.5])
    np.testing.assert_allclose(prior[3:][places], [1.0, 0.0, 0.5])
    np.testing.assert_allclose(planned.store[group[p.GROUP_DF] : group[p.GROUP_DF] + 2], [3.0, 1.0])
    at = variance[p.VARIANCE_PRIOR]
    np.testing.assert_allclose(planned.store[at : at + 2], [3.0, 2.0])

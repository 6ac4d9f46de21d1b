"""Geweke tests of whole sweeps for each kind of block, and planted errors that they must catch."""

from __future__ import annotations

import numpy as np
import pytest
from geweke import (
    Cells,
    Count,
    Logit,
    Mixed,
    Predictor,
    Probit,
    Responses,
    Series,
    Spread,
    acceptance,
    accepted_share,
    p_values,
)
from rates import ALPHA
from toys import generator

from mlbayes.plan import plan as p

PRIORS = "c ~ normal(.5, 1); a ~ normal(.5, 1); b ~ normal(.5, 1); s ~ ig(4, 3);"
COUNT = 2500


def design(clusters: int = 8, size: int = 3, level3: bool = False) -> dict:
    rng = generator(11)
    n = clusters * size
    columns = {"g": np.repeat(np.arange(clusters), size), "y": rng.normal(size=n)}
    if level3:
        columns["k"] = np.repeat(np.arange(clusters // 2), 2 * size)
    columns["x"], columns["z"] = rng.normal(size=(2, n))
    columns["w"] = np.repeat(rng.normal(size=clusters), size)
    return columns


def holed(name: str, share: float = 0.35, **arguments) -> dict:
    columns = design(**arguments)
    if name == "b":
        columns["b"] = (columns["z"] > 0).astype(float)
    columns[name][generator(12).random(columns[name].size) < share] = np.nan
    return columns


def two_levels():
    text = "DATA: t; CLUSTERID: g; FIXED: x z; OPTIONS: prior1; MODEL: y ~ 1@c x@a z@b | x; y ~~ y@s; PARAMETERS: "
    return Mixed(text + PRIORS, design())


def three_levels():
    toy = Mixed(
        "DATA: t; CLUSTERID: g k; FIXED: x z; OPTIONS: prior1; MODEL: y ~ 1@c x@a z@b | x; y ~~ y@s; PARAMETERS: "
        + PRIORS,
        design(clusters=12, level3=True),
    )
    toy.quantities = (*Mixed.quantities[:-1], "S_xx 3", "S_11 3", "rho 3", "y")
    return toy


def predictor():
    text = "DATA: t; CLUSTERID: g; FIXED: w; OPTIONS: prior1; MODEL: y ~ 1@c x@a w@b; y ~~ y@s; PARAMETERS: "
    return Predictor(text + PRIORS, holed("x", clusters=10))


def cells():
    return Cells("DATA: t; MODEL: y ~ 1@c x@a x^2@b; y ~~ y@s; PARAMETERS: " + PRIORS, holed("x"))


def responses():
    text = "DATA: t; ORDINAL: b; FIXED: z; MODEL: y ~ 1@c b@a z@d; y ~~ y@s; PARAMETERS: "
    return Responses(
        text + PRIORS.replace("b ~", "d ~").replace("a ~ normal(.5, 1)", "a ~ normal(3, .25)"), holed("b")
    )


COEFFICIENTS = "PARAMETERS: c ~ normal(.3, .5); a ~ normal(.3, .5);"


def probit():
    """Eight clusters of real rows and one of rows that make the prior of the threshold proper."""
    g = np.repeat(np.arange(9), [3] * 8 + [8])
    one = (g < 8).astype(float)
    y = np.tile([1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 0.0, 2.0], 4)  # the last 8 are one threshold's prior
    columns = {"g": g, "one": one, "x": generator(13).normal(size=g.size) * one, "y": y}
    text = "DATA: t; CLUSTERID: g; ORDINAL: y; FIXED: one x; OPTIONS: prior1; MODEL: y ~ 1@0 one@c x@a | 1@0 one;"
    return Probit(text + COEFFICIENTS, columns)


def logit():
    columns = design(size=4)
    columns["y"] = np.tile([0.0, 1.0], columns["y"].size // 2)
    text = "DATA: t; CLUSTERID: g; ORDINAL: y; FIXED: x; OPTIONS: prior1; MODEL: logit(y) ~ 1@c x@a | x;"
    return Logit(text + COEFFICIENTS, columns)


def count():
    columns = design(size=4)
    columns["y"] = np.tile([0.0, 1.0, 3.0, 2.0], columns["y"].size // 4)
    text = "DATA: t; CLUSTERID: g; COUNT: y; FIXED: x; OPTIONS: prior1; MODEL: y ~ 1@c x@a;"
    toy = Count(text + COEFFICIENTS, columns)
    row = toy.plan.newtons[0]
    toy.planned.store[row[p.NEWTON_PRIOR] + 2 * row[p.NEWTON_SIZE]] = 0.25  # counts of 0 alone say nothing
    return toy


def series():
    columns = design(size=6)
    columns["t"] = np.tile(np.arange(6.0), 8)
    columns["y"][[0, 7, 8, 13, 17, 18, 19, 29, 33, 40]] = np.nan
    text = "DATA: t; CLUSTERID: g; TIMEID: t; LATENT: g = mu; MODEL: lagged = y.lag - mu; y ~ 1@mu lagged@a; mu ~ 1@c;"
    text += "y@s; mu@v; PARAMETERS: a ~ normal(.3, .09); c ~ normal(.5, 1); s ~ ig(4, 3); v ~ ig(4, 3);"
    return Series(text, columns)


SPREAD = "PARAMETERS: " + " ".join(f"{name} ~ normal(.3, .5);" for name in "cade")


def spread(variance: str, latent: str = "") -> Spread:
    text = "DATA: t; CLUSTERID: g; FIXED: x z; OPTIONS: prior1;" + latent
    return Spread(text + f"MODEL: y ~ 1@c x@a | 1@0; {variance}" + SPREAD, design(size=5))


def latent_log_variance():
    return spread("l ~ 1@d; var(y) ~ 1@l z@e;", "LATENT: g = l;")


def random_log_variance():
    return spread("var(y) ~ 1@d z@e | 1;")


def random_slope_of_a_log_variance():
    return spread("var(y) ~ 1@d z@e | 1@0 z;")


HETEROGENEOUS = {
    f.__name__: f for f in (latent_log_variance, random_log_variance, random_slope_of_a_log_variance)
}
CATEGORICAL = {f.__name__: f for f in (probit, logit, count)}
TOYS = {f.__name__: f for f in (two_levels, three_levels, predictor, cells, responses)}


@pytest.mark.parametrize("name", TOYS)
def test_sweeps_leave_the_joint_distribution_alone(name):
    found = p_values(TOYS[name](), COUNT)
    assert min(found.values()) > ALPHA, found


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categorical_outcomes_leave_the_joint_distribution_alone(name):
    toy = CATEGORICAL[name]()
    assert acceptance(toy) > 0.08  # else the step would do nothing and pass
    found = p_values(toy, 1500, rounds=2)
    assert min(found.values()) > ALPHA, found


@pytest.mark.parametrize("name", HETEROGENEOUS)
def test_log_variances_leave_the_joint_distribution_alone(name):
    toy = HETEROGENEOUS[name]()
    memories = [*toy.plan.newtons[:, p.NEWTON_MEMORY], *toy.plan.modulators[:, p.MODULATOR_MEMORY]]
    assert min(accepted_share(toy, memory) for memory in memories) > 0.1
    found = p_values(toy, 1500, rounds=2)
    assert min(found.values()) > ALPHA, found


def test_series_leave_the_joint_distribution_alone():
    """Without new data in between: of a series with gaps the observed part alone would have to be drawn."""
    found = p_values(series(), 1500, rounds=1, sweeps=4)
    assert min(found.values()) > ALPHA, found


# ------------------------------------------------------------------ planted errors
@pytest.mark.slow
def test_a_missing_jacobian_of_thresholds_is_caught():
    """Data whose thresholds are flat on the scale on which they are proposed: the sampler must not keep to that."""
    toy = probit()
    toy.jacobian = 0.0
    assert caught(toy, rounds=5)


@pytest.mark.slow
def test_a_wrong_sd_of_responses_is_caught():
    """Coefficients and thresholds are moved as if responses had the SD 0.6."""
    toy = probit()
    newtons = toy.plan.newtons.copy()
    newtons[0, p.NEWTON_SD] = toy.planned.store.size
    assert caught(
        toy, plan=toy.plan._replace(newtons=newtons), rounds=5, extra=[0.6] * newtons[0, p.NEWTON_UNITS]
    )


@pytest.mark.slow
def test_the_wrong_sign_of_working_responses_is_caught():
    toy = logit()
    toy.reverse = True
    assert caught(toy, rounds=2)


@pytest.mark.slow
def test_a_wrong_dispersion_of_working_responses_is_caught():
    toy = count()
    responses = toy.plan.responses.copy()
    responses[0, p.RESPONSE_CUTS] = toy.planned.store.size
    plan = without(toy, p.STEP_NEWTON)._replace(responses=responses)  # which heals the coefficients
    assert caught(toy, plan=plan, extra=(0.1,), rounds=8)


def test_a_wrong_precision_of_first_values_is_caught():
    toy = series()
    row = toy.plan.series[0]
    toy.planned.store[row[p.SERIES_PRIOR] :][: row[p.SERIES_PLACES]] *= 3.0
    assert caught(toy, rounds=1)


def test_a_wrong_slope_of_a_random_log_variance_is_caught():
    toy = random_log_variance()
    modulated = toy.plan.modulated.copy()
    modulated[0, p.MODULATED_SLOPE] = toy.planned.store.size
    rows = toy.columns["x"].size
    assert caught(toy, plan=toy.plan._replace(modulated=modulated), extra=[0.6] * rows)


def test_a_wrong_prior_in_the_step_of_a_log_variance_is_caught():
    """Of the standard deviation of random log variances, whose conjugate draw is left out."""
    toy = random_log_variance()
    prior = toy.plan.index[toy.plan.newtons[0, p.NEWTON_GROUPS] + 3]
    toy.planned.store[prior] += 4.0
    assert caught(toy, plan=without(toy, p.STEP_WISHART))


def caught(toy, rounds: int = 3, **mutation) -> bool:
    found = p_values(toy, COUNT, rounds=rounds, **mutation)
    return min(found.values()) < ALPHA


def without(toy, *codes: int) -> p.Plan:
    """The plan without some kinds of steps, so that an error in another is not healed."""
    keep = ~np.isin(toy.plan.steps[:, 0], codes)
    return toy.plan._replace(steps=np.ascontiguousarray(toy.plan.steps[keep]))


def test_degrees_of_freedom_of_the_conjugate_draw_are_caught():
    toy = two_levels()
    plan = without(toy, p.STEP_COLLAPSED, p.STEP_INTERWEAVE)
    groups = plan.groups.copy()
    groups[0, p.GROUP_DF] = toy.planned.store.size
    assert caught(toy, plan=plan._replace(groups=groups), extra=(4.0, 1.0), rounds=6)


@pytest.mark.slow
def test_shape_of_the_variance_draw_is_caught():
    toy = two_levels()
    variances = toy.plan.variances.copy()
    variances[0, p.VARIANCE_COUNT] -= 2
    plan = without(toy, p.STEP_COLLAPSED)._replace(variances=variances)
    assert caught(toy, plan=plan, rounds=6)


@pytest.mark.slow
def test_missing_jacobian_in_the_collapsed_step_is_caught():
    """The density of the variance instead of that of its logarithm: one power too many."""
    toy = two_levels()
    plan = without(toy, p.STEP_VARIANCE)
    shape, scale = 4.0, 3.0
    extra = (shape + 1.0, scale)
    variances = plan.variances.copy()
    variances[0, p.VARIANCE_PRIOR] = toy.planned.store.size
    assert caught(toy, plan=plan._replace(variances=variances), extra=extra, sweeps=20)


def test_unfolded_collapsed_steps_without_other_steps_are_right():
    """The same cut plan without the error passes."""
    toy = two_levels()
    found = p_values(toy, COUNT, plan=without(toy, p.STEP_VARIANCE, p.STEP_CONJUGATE, p.STEP_INTERWEAVE))
    assert min(found.values()) > ALPHA, found


@pytest.mark.parametrize("learned", [0.0, 1.0])
def test_random_walks_of_the_collapsed_step_are_right(learned):
    """The fall-backs after burn-in: without a learned proposal, and where independence proposals fail."""
    toy = two_levels()
    row = toy.plan.collapsed[0]
    d, memory = row[p.COLLAPSED_SIZE], toy.planned.store[row[p.COLLAPSED_MEMORY] :]
    memory[0], memory[4] = learned, 1.0
    factor = 0.3 * np.eye(d)
    factor[2, 0] = factor[1, 0] = 0.3  # correlated
    memory[p.COLLAPSED_HEAD + d : p.COLLAPSED_HEAD + d + d * d] = factor.ravel()
    plan = without(toy, p.STEP_VARIANCE, p.STEP_CONJUGATE, p.STEP_INTERWEAVE)
    found = p_values(toy, COUNT, plan=plan, sweeps=8)
    assert min(found.values()) > ALPHA, found


def test_interweaving_alone_is_right():
    toy = two_levels()
    found = p_values(toy, COUNT, plan=without(toy, p.STEP_COLLAPSED, p.STEP_CONJUGATE))
    assert min(found.values()) > ALPHA, found


def test_wrong_sign_in_a_map_is_caught():
    toy = predictor()
    maps = toy.plan.maps.copy()
    row = toy.plan.tiers[toy.plan.blocks[0, p.BLOCK_FIRST] + 1]  # the latent means
    scale = toy.planned.store[maps[row[p.TIER_MAPS], p.MAP_SCALE]]
    maps[row[p.TIER_MAPS], p.MAP_SCALE] = toy.planned.store.size
    assert caught(toy, plan=toy.plan._replace(maps=maps), extra=(-scale,))


def test_wrong_precision_in_a_mix_is_caught():
    toy = predictor()
    mixes = toy.plan.mixes.copy()
    tier = toy.plan.tiers[toy.plan.blocks[0, p.BLOCK_FIRST]]
    mixes[tier[p.TIER_MIXES] : tier[p.TIER_MIXES_END], p.MIX_PRECISION] = toy.planned.store.size
    assert caught(toy, plan=toy.plan._replace(mixes=mixes), extra=(1.0,))

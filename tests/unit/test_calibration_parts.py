"""Calibration without sampling: stand-in priors, refusals, simulation, ranks, the file of results, the report."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from modelling import built
from rates import ALPHA
from scipy import stats

from mlbayes.calibrate import report
from mlbayes.calibrate.coherent import coherent_variant
from mlbayes.calibrate.fit import DRAWS, Simulation, generator
from mlbayes.calibrate.ledger import Ledger
from mlbayes.calibrate.prior_draws import draw_correlations
from mlbayes.calibrate.priors import with_proper_priors
from mlbayes.calibrate.quantities import DATA, quantities
from mlbayes.calibrate.ranks import outside_probability, smallest_tail, uniformity
from mlbayes.calibrate.simulate import observed, simulate, simulate_once
from mlbayes.calibrate.world import Unusable
from mlbayes.model.model import Model
from mlbayes.problems import ProblemError

GOLDEN = Path(__file__).parents[1] / "golden" / "calibration_report.txt"
TWO = "DATA: d; MISSING: NA; CLUSTERID: pupil; "


def proper(text: str) -> Model:
    return with_proper_priors(coherent_variant(built(text)).model)[0]


def refusal(text: str) -> str:
    with pytest.raises(ProblemError) as caught:
        coherent_variant(built(text))
    return caught.value.problems[0].message


# ------------------------------------------------------------------ the model
def test_improper_priors_are_replaced_on_the_scale_of_the_data():
    model = built(TWO + "FIXED: z; MODEL: y ~ z@a w | z; PARAMETERS: a ~ normal(1, 2);")
    changed, stand_ins = with_proper_priors(model)
    y, w = (np.std(model.variables[name].values) for name in "yw")
    assert changed.parameters["a"] == model.parameters["a"]  # a stated prior stays
    assert changed.parameters["y ~ w"].prior.arguments[1] == pytest.approx((0.5 * y / w) ** 2, rel=0.01)
    assert [one.what for one in stand_ins] == [
        "y ~ Intercept",
        "y ~ w",
        "y residual",
        "y: random effects Intercept z (level 2)",
    ]
    assert stand_ins[2].prior.startswith("ig(4, ") and stand_ins[3].prior.endswith(" I)")


def test_proper_priors_are_left_alone():
    text = TWO + "FIXED: z; ORDINAL: b; OPTIONS: prior1; MODEL: b ~ z | z;"
    assert with_proper_priors(built(text))[1] == ()


def test_a_bound_at_infinity_is_replaced():
    text = TWO + "FIXED: z; MODEL: y ~ z@a; PARAMETERS: a ~ truncate(0, Inf);"
    lower, upper = proper(text).parameters["a"].prior.arguments
    assert lower == 0.0 and 0.5 < upper < 3.0


def test_several_predictors_are_calibrated_in_their_joint_model():
    coherent = coherent_variant(built(TWO + "MODEL: y ~ x z;"))
    assert "joint" in coherent.model.settings.options
    assert "OPTIONS: joint for the predictors z x" in coherent.changes[0]
    assert coherent_variant(built(TWO + "FIXED: z; MODEL: y ~ x z;")).changes == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NOMINAL: g; CENTER: z; MODEL: y ~ x z g;", "belongs to no joint density"),
        ("FIXED: z; MODEL: sqrt(c) ~ z;", "is bounded"),
        ("CENTER: z; MODEL: y ~ z; z ~ m;", "count twice"),
    ],
)
def test_what_has_no_coherent_variant_is_refused_with_the_reason(text, reason):
    assert reason in refusal(TWO + text)


# ------------------------------------------------------------------ simulation
def test_data_keep_their_holes_and_fixed_variables():
    model = proper(TWO + "FIXED: z; MODEL: y ~ x z | z;")
    world, _ = simulate(model, generator(1, 0, 0))
    drawn = observed(world).variables
    np.testing.assert_array_equal(drawn["x"].missing, model.variables["x"].missing)
    np.testing.assert_array_equal(drawn["z"].values, model.variables["z"].values)
    assert not np.array_equal(drawn["y"].values, model.variables["y"].values)
    assert np.isfinite(list(quantities(world).values())).all()


def test_a_draw_depends_on_its_number_alone():
    model = proper(TWO + "FIXED: z; MODEL: y ~ z;")
    found = [quantities(simulate(model, generator(1, k, 0))[0]) for k in (3, 3, 4)]
    assert found[0] == found[1] != found[2]


def test_residuals_are_those_of_the_equation():
    """An outcome less its linear predictor has the residual variance, its effects their matrix."""
    world = simulate_once(proper(TWO + "FIXED: z w; MODEL: y ~ z w z*w | z;"), generator(2, 0, 0))
    rest = world.data["y"] - world.fitted(0)
    assert stats.kstest(rest / np.sqrt(world.parameters["y residual"]), "norm").pvalue > ALPHA
    effects = np.linalg.solve(np.linalg.cholesky(world.matrices[0, None, 2]), world.effects[0, None, 2])
    assert stats.kstest(effects.ravel(), "norm").pvalue > ALPHA
    values = stats.norm.logpdf(rest, 0.0, np.sqrt(world.parameters["y residual"]))
    assert quantities(world)[DATA] == pytest.approx(float(values.sum()))


def test_the_chain_of_predictors_has_the_inverse_wishart_prior():
    """Residual variance and slopes of the chain are those of a matrix with the prior IW(p + 1, I)."""
    model = proper("DATA: d; MISSING: NA; OPTIONS: joint; MODEL: y ~ x z m;")
    found = []
    for number in range(400):
        world = simulate_once(model, generator(3, number, 0))
        order = [m.variable for m in model.predictor_models]
        steps = np.eye(3)
        for k, name in enumerate(order):
            steps[k, :k] = -world.slopes[name, 0]
        inverse = np.linalg.inv(steps)
        s = inverse @ np.diag([world.residuals[name, 0] for name in order]) @ inverse.T
        found.append([s[2, 2], s[2, 0] / np.sqrt(s[2, 2] * s[0, 0])])
    law = stats.invwishart(4, np.eye(3)).rvs(4000, random_state=np.random.default_rng(4))
    expected = [law[:, 2, 2], law[:, 2, 0] / np.sqrt(law[:, 2, 2] * law[:, 0, 0])]
    for ours, theirs in zip(np.array(found).T, expected, strict=True):
        assert stats.ks_2samp(ours, theirs).pvalue > ALPHA


def test_lags_follow_the_occasions():
    text = "DATA: d; CLUSTERID: pupil; TIMEID: t; MODEL: y ~ y.lag@a | 1@0; PARAMETERS: a ~ normal(.5, .01);"
    world = simulate_once(proper(text), generator(5, 0, 0))
    y, lag = world.data["y"].reshape(40, 4), world.lag("y", 1).reshape(40, 4)
    np.testing.assert_array_equal(lag[:, 1:], y[:, :-1])
    np.testing.assert_array_equal(lag[:, 0], world.before["y"][:, -1])


def test_correlations_that_are_fixed_stay():
    matrix = draw_correlations(3, {(0, 2): 0.4}, np.random.default_rng(6))
    assert matrix[2, 0] == matrix[0, 2] == 0.4
    with pytest.raises(Unusable):
        draw_correlations(2, {(0, 1): 1.5}, np.random.default_rng(6))


# ------------------------------------------------------------------ ranks
def test_the_probability_of_leaving_the_band_is_exact():
    rng = np.random.default_rng(7)
    found = np.sort([smallest_tail(row) for row in rng.random((4000, 20))])
    for level in (0.3, 0.03, 0.005):
        share = float((found <= level).mean())
        expected = outside_probability(20, level)
        assert abs(share - expected) < 4.5 * np.sqrt(expected * (1.0 - expected) / 4000)
    assert outside_probability(1, 0.3) == pytest.approx(0.3)
    # ends of a sample of two: 1 - P(U1 in (a, b), U2 in (c, d)) in closed form
    a, b = 1 - np.sqrt(1 - 0.05), 1 - np.sqrt(0.05)
    c, d = np.sqrt(0.05), np.sqrt(1 - 0.05)
    inside = 2.0 * ((b - a) * (d - c) - 0.5 * max(b - c, 0.0) ** 2)
    assert outside_probability(2, 0.1) == pytest.approx(1.0 - inside)


@pytest.mark.parametrize("change", [lambda z: 1.6 * z, lambda z: z / 1.8, lambda z: z + 0.6])
def test_posteriors_too_narrow_too_wide_or_shifted_are_noticed(change):
    z = np.random.default_rng(8).normal(size=200)
    assert uniformity(stats.norm.cdf(change(z)), z).p < 1e-4 < 0.01 < uniformity(stats.norm.cdf(z), z).p


# ------------------------------------------------------------------ the file of results
def results(number: int) -> Simulation:
    return Simulation(number, {"a": number % 7}, {"a": 0.1}, {"a": -0.5}, 4, 80.0)


def ledger_at(path, model, seed=1):
    settings = {"seed": seed, "burn": 500, "draws": 99}
    return Ledger(path, "calibration", model, settings, lambda line: Simulation(**line))


def test_results_are_continued_and_a_torn_line_is_dropped(tmp_path):
    model, path = proper(TWO + "FIXED: z; MODEL: y ~ z;"), tmp_path / "r.jsonl"
    ledger = ledger_at(path, model)
    for number in range(3):
        ledger.add(results(number))
    whole = path.read_bytes()
    for cut in (1, 20, len(whole.splitlines()[-1])):
        path.write_bytes(whole[:-cut])
        again = ledger_at(path, model)
        assert [one.number for one in again.done] == [0, 1]
        again.add(results(2))
        assert path.read_bytes() == whole
    path.write_bytes(whole[:10])  # killed in the first line of all
    assert ledger_at(path, model).done == []


def test_results_of_something_else_are_not_mixed_in(tmp_path):
    model, path = proper(TWO + "FIXED: z; MODEL: y ~ z;"), tmp_path / "r.jsonl"
    ledger_at(path, model)
    with pytest.raises(ProblemError, match="another seed"):
        ledger_at(path, model, 2)
    with pytest.raises(ProblemError, match="another model or data"):
        ledger_at(path, proper(TWO + "FIXED: z; MODEL: y ~ z w;"))
    path.write_text("g,y\n1,2\n")
    with pytest.raises(ProblemError, match="no results of a calibration"):
        ledger_at(path, model)
    assert path.read_text() == "g,y\n1,2\n"


@pytest.mark.parametrize(
    ("damage", "message"), [(b"{1}\n", "line 3 is damaged"), (b"{}\n", "line 3 is no result")]
)
def test_damaged_results_are_not_continued(tmp_path, damage, message):
    model, path = proper(TWO + "FIXED: z; MODEL: y ~ z;"), tmp_path / "r.jsonl"
    ledger = ledger_at(path, model)
    for number in range(3):
        ledger.add(results(number))
    lines = path.read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:2], damage, *lines[3:]])
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=message):
        ledger_at(path, model)
    assert path.read_bytes() == content


def test_results_without_a_file_are_kept_in_memory():
    ledger = ledger_at(None, proper(TWO + "FIXED: z; MODEL: y ~ z;"))
    ledger.add(results(0))
    assert ledger.done == [results(0)]


# ------------------------------------------------------------------ the report
def calibration() -> report.Calibration:
    rng = np.random.default_rng(9)
    found = []
    for number in range(200):
        rank = {"y ~ x": int(rng.integers(100)), "y: Cov(Intercept,time) classroom": int(rng.integers(100))}
        rank["y residual"] = int(min(99, rng.integers(120)))
        places = {name: (value + rng.random()) / (DRAWS + 1) for name, value in rank.items()}
        z = {name: float(stats.norm.ppf(place)) for name, place in places.items()}
        found.append(Simulation(number, rank, places, z, 8, 70.0))
    changes = ("OPTIONS: joint for the predictors x z: the default belongs to no joint density",)
    stand_ins = (("y ~ x", "normal(0, 0.5)"),)
    return report.made_calibration("model.inp", changes, stand_ins, found, 42, 0.01)


def test_the_report_is_as_it_was(pytestconfig):
    text = report.render(calibration())
    if pytestconfig.getoption("--update-golden"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_simulations_without_a_fit_are_no_success():
    good = [dataclasses.replace(results(k), places={"a": (k + 0.5) / 50}) for k in range(50)]
    assert report.made_calibration("m", (), (), good, 1, 0.01).passed
    bad = [*good, Simulation(50, {}, {}, {}, failure="a matrix is not positive definite")]
    found = report.made_calibration("m", (), (), bad, 1, 0.01)
    assert not found.passed and "undecided" in report.verdict(found)
    assert "1 simulation(s) without a fit: a matrix" in report.render(found)


def test_json_has_everything():
    content = json.loads(report.as_json(calibration()))
    assert content["not_calibrated"] == ["y residual"] and not content["passed"]
    assert len(content["ranks"]["y ~ x"]) == content["simulations"] == 200


def test_correlated_residuals_with_a_modelled_variance():
    """Divided by their own standard deviations they have the matrix of the block, and the density is of these."""
    model = proper(TWO + "FIXED: z; MODEL: y ~ z; m ~ z; var(y) ~ z; y ~~ m;")
    rng = np.random.default_rng(3)
    total = np.zeros((2, 2))
    rows = 0
    for _ in range(60):
        world = simulate_once(model, rng)
        (matrix,) = world.covariances.values()
        at = [next(k for k, e in enumerate(model.equations) if e.title == name) for name in "ym"]
        assert matrix[0, 0] == 1.0 and matrix[1, 1] == pytest.approx(world.parameters["m residual"])
        residuals = np.stack([world.data[name] - world.fitted(k) for name, k in zip("ym", at, strict=True)])
        v = next(k for k, e in enumerate(model.equations) if e.title == "var(y)")
        residuals[0] /= np.exp(0.5 * world.fitted(v))
        whole = np.linalg.solve(np.linalg.cholesky(matrix), residuals)
        total += whole @ whole.T
        rows += whole.shape[1]
        seen = ~(model.variables["y"].missing | model.variables["m"].missing)
        law = stats.multivariate_normal(np.zeros(2), matrix)
        expected = law.logpdf(residuals[:, seen].T).sum() - 0.5 * world.fitted(v)[seen].sum()
        assert quantities(world)[DATA] == pytest.approx(expected)
    np.testing.assert_allclose(total / rows, np.eye(2), atol=6.0 * np.sqrt(2.0 / rows))

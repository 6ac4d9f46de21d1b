"""Calibration of what has no joint density as it is run, or draws its own pattern of missing values; refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelling import built
from places import require_places
from scipy.stats import norm
from toys import generator as philox
from toys import model_of, two_level

from mlbayes.calibrate.blocks import Replicate, compare
from mlbayes.calibrate.coherent import coherent_variant
from mlbayes.calibrate.fit import generator
from mlbayes.calibrate.patterns import after_first, with_drawn_patterns
from mlbayes.calibrate.priors import with_proper_priors
from mlbayes.calibrate.quantities import DATA, log_outcome, quantities
from mlbayes.calibrate.run import prepare
from mlbayes.calibrate.simulate import observed, simulate
from mlbayes.calibrate.world import Unusable
from mlbayes.model.expressions import Centring, references
from mlbayes.model.model import Model
from mlbayes.plan import plan as p
from mlbayes.plan.choose import make_plan
from mlbayes.plan.weights import row_weights
from mlbayes.problems import ProblemError
from mlbayes.source import Source

TWO = "DATA: d; MISSING: NA; CLUSTERID: pupil; "


def proper(model: Model) -> Model:
    return with_proper_priors(coherent_variant(model).model)[0]


# ------------------------------------------------------------------ weights
def weighted(names: str) -> Model:
    columns = two_level()
    rng = philox(3)
    columns["v"] = rng.uniform(0.5, 2.0, columns["g"].size)
    columns["u"] = rng.uniform(0.5, 3.0, 14)[columns["g"].astype(int)]
    return model_of(f"DATA: d; CLUSTERID: g; FIXED: x; WEIGHT: {names}; MODEL: y ~ x | x;", columns)


def test_weights_of_clusters_are_left_out_and_told():
    coherent = coherent_variant(weighted("v u"))
    assert coherent.model.weights == ("v",)
    assert coherent.changes == (
        "WEIGHT: without the weights of clusters u, with the residual variance of a row divided by its weight v:"
        " the sampler with weights of clusters belongs to no joint density",
    )
    assert coherent_variant(weighted("v")).changes == ()
    assert coherent_variant(weighted("u")).model.weights == ()


def test_the_variant_without_weights_of_clusters_is_simulated_and_fitted():
    """It has the joint steps of other models, and residuals of the variance over the weights of rows."""
    model = proper(weighted("v u"))
    assert "weights" not in make_plan(model).describe() and "weights" in make_plan(weighted("v u")).describe()
    found = []
    for number in range(60):
        world, _ = simulate(model, generator(1, number, 0))
        rest = (world.data["y"] - world.fitted(0)) ** 2 / world.parameters["y residual"]
        found.append(rest * row_weights(model))
    average = np.mean(found, axis=0)
    assert abs(average.mean() - 1.0) < 5.0 * np.sqrt(2.0 / np.size(found))
    scaled = row_weights(model)
    light = scaled < np.median(scaled)
    assert abs(average[light].mean() - average[~light].mean()) < 5.0 * np.sqrt(8.0 / np.size(found))


# ------------------------------------------------------------------ centred categorical predictors
@pytest.mark.parametrize("name", ["b", "o"])
def test_an_ordinal_predictor_is_centred_at_the_expected_code_of_its_cluster(name):
    model = proper(built(TWO + f"ORDINAL: {name}; CENTER: groupmean = {name}; MODEL: y ~ {name};"))
    world, _ = simulate(model, generator(2, 0, 0))
    (term,) = [t for t in model.equations[0].terms if t.label == name]
    edges = np.concatenate([[-np.inf], world.cuts[name], [np.inf]])
    shares = np.diff(norm.cdf(edges - world.means[name, 2][:, None]), axis=1)
    centre = shares @ np.array(model.variables[name].codes)
    expected = world.data[name] - centre[model.hierarchy.parents[0]]
    np.testing.assert_allclose(world.evaluate(term.expression, 1), expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "kind"), [("o", "ORDINAL"), ("g", "NOMINAL")])
def test_categorical_predictors_are_not_centred_at_grand_means_and_told(name, kind):
    text = f"FIXED: z; {kind}: {name}; CENTER: grandmean = {name} z; MODEL: y ~ {name} z {name}*z | z;"
    coherent = coherent_variant(built(TWO + text))
    told = (
        f"CENTER: without the grand mean of the categorical predictor {name}: it is sampled with raw values"
    )
    assert len(coherent.changes) == 1 and coherent.changes[0].startswith(told)
    used = [r for e in coherent.model.equations for t in e.terms for r in references(t.expression)]
    assert {r.centring for r in used if r.variable == name} == {Centring.NONE}
    assert {r.centring for r in used if r.variable == "z"} == {Centring.GRAND}
    model = with_proper_priors(coherent.model)[0]
    make_plan(observed(simulate(model, generator(2, 0, 0))[0]))


# ------------------------------------------------------------------ patterns of missing values
SELECTION = "FIXED: z; MODEL: x ~ z; x.missing ~ x@s z; PARAMETERS: s ~ normal(0, .5);"


def test_values_are_missing_where_the_drawn_indicator_says_so():
    model = proper(built(TWO + SELECTION))
    patterns = set()
    for number in range(5):
        world, _ = simulate(model, generator(3, number, 0))
        drawn = observed(world).variables
        np.testing.assert_array_equal(drawn["x"].missing, drawn["x.missing"].values == 1.0)
        seen = ~drawn["x"].missing
        np.testing.assert_array_equal(drawn["x"].values[seen], world.data["x"][seen])
        assert 0 < seen.sum() < seen.size and np.isfinite(list(quantities(world).values())).all()
        patterns.add(drawn["x"].missing.tobytes())
    assert len(patterns) == 5


def test_the_log_likelihood_is_of_what_the_drawn_pattern_leaves():
    world, _ = simulate(proper(built(TWO + SELECTION)), generator(3, 0, 0))
    at = {e.outcome: k for k, e in enumerate(world.model.equations)}
    seen = world.data["x.missing"] == 0.0
    expected = log_outcome(world, at["x"])[seen].sum() + log_outcome(world, at["x.missing"]).sum()
    assert quantities(world)[DATA] == pytest.approx(expected)


def test_a_pattern_without_an_equation_is_held_fixed():
    model = proper(built(TWO + "FIXED: z; MODEL: y ~ z x; m ~ x.missing;"))
    world, _ = simulate(model, generator(3, 0, 0))
    assert world.model is model
    np.testing.assert_array_equal(observed(world).variables["x"].missing, model.variables["x"].missing)


def test_a_variable_without_observed_values_is_no_data():
    model = proper(built(TWO + SELECTION))
    data = {name: np.ones(variable.values.size) for name, variable in model.variables.items()}
    with pytest.raises(Unusable):
        with_drawn_patterns(model, data)


def test_a_constant_indicator_is_drawn_again():
    """x is hardly ever missing, so that most data have a complete x, which nobody would model the missingness of."""
    text = "FIXED: z; MODEL: x ~ z; x.missing ~ 1@a z@0; PARAMETERS: a ~ normal(-3, .0001);"
    model = proper(built(TWO + text))
    redrawn = 0
    for number in range(10):
        world, tries = simulate(model, generator(4, number, 0))
        assert 0 < observed(world).variables["x"].missing.sum() < 160
        redrawn += tries
    assert redrawn > 0


# ------------------------------------------------------------------ dropout
def dropout(folder: Path, more: str = "", model: str = "y ~ t; quit ~ 1@a y@b | 1@0;") -> Source:
    """20 persons of up to 5 occasions; person 0 has a gap, person 1 stays, the others drop out at occasion 3."""
    rng = philox(5)
    lines = ["id,t,y"]
    for person in range(20):
        for t in range(5):
            gone = person > 1 and t >= 3
            gap = person in (0, 5) and t == 1
            lines.append(f"{person},{t},{'NA' if gone or gap else round(rng.normal(), 3)}")
    (folder / "d.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Source(
        folder / "m.inp",
        "DATA: d.csv; MISSING: NA; CLUSTERID: id; TIMEID: t; DROPOUT: quit = y; FIXED: t; SEED: 1;\n"
        f"{more}MODEL: {model}\nPARAMETERS: a ~ normal(-1, .1); b ~ normal(0, .1);\n",
    )


def by_person(model: Model, name: str) -> list[list[float]]:
    values, own = model.variables[name].values, model.hierarchy.parents[0]
    return [values[own == person].tolist() for person in range(20)]


@pytest.mark.parametrize(("more", "rows"), [("", [4] * 18), ("OPTIONS: nodrop;\n", [5] * 18)])
def test_after_a_drawn_dropout_nothing_is_observed(tmp_path, more, rows):
    model = prepare(dropout(tmp_path, more)).model
    dropped = set()
    for number in range(8):
        world, _ = simulate(model, generator(6, number, 0))
        drawn = observed(world)
        y, quit_ = by_person(drawn, "y"), by_person(drawn, "quit")
        assert [len(one) for one in y] == [5, 5, *rows]
        for person, (values, events) in enumerate(zip(y, quit_, strict=True)):
            last = events.index(1.0) if 1.0 in events else len(events)
            assert events == pytest.approx(
                [0.0] * last + [1.0][: len(events) - last] + _nan(events, last), nan_ok=True
            )
            gap = [1] if person in (0, 5) else []
            assert np.flatnonzero(np.isnan(values)).tolist() == sorted(
                {*(g for g in gap if g < last), *range(last, len(events))}
            )
            dropped.add(last)
    assert len(dropped) > 2  # at other occasions than in the data


def _nan(events: list[float], last: int) -> list[float]:
    return [np.nan] * max(len(events) - last - 1, 0)


def test_rows_after_an_event_are_found_in_each_group():
    happened = np.array([0, 1, 0, 1, 0, 0, 1, 0], dtype=bool)
    groups = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert after_first(happened, groups).tolist() == [False, False, True, True, False, False, False, True]


def test_dropout_with_lags_is_prepared_and_drawn(tmp_path):
    model = prepare(dropout(tmp_path, model="y ~ y.lag; quit ~ 1@a y@b y.lag | 1@0;")).model
    world, _ = simulate(model, generator(7, 0, 0))
    quit_ = observed(world).variables["quit"]
    assert set(quit_.values[~quit_.missing]) == {0.0, 1.0}
    make_plan(observed(world))


def test_a_draw_of_a_pattern_depends_on_its_number_alone(tmp_path):
    model = prepare(dropout(tmp_path)).model
    found = [observed(simulate(model, generator(8, k, 0))[0]).variables["y"].values for k in (3, 3, 4)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2], equal_nan=True)


# ------------------------------------------------------------------ blocks
def test_the_step_of_selection_models_runs_with_the_responses_it_leaves_out():
    from mlbayes.calibrate.units import units

    world, _ = simulate(proper(built(TWO + SELECTION)), generator(3, 0, 0))
    planned = make_plan(observed(world))
    (unit,) = [u for u in units(planned) if "values missing not at random" in u.name]
    codes = sorted(int(planned.plan.steps[s, 0]) for s in unit.steps)
    assert codes == [p.STEP_RESPONSES, p.STEP_SELECTION]


def test_quantities_that_some_patterns_do_not_have_are_not_compared():
    rng = np.random.default_rng(9)
    found = []
    for number in range(30):
        more = {"quit: missing values": 0.5} if number % 2 else {}
        found.append(Replicate({"a": rng.normal()} | more, {"step": {"a": rng.normal()} | more}))
    (unit,) = compare(found)
    assert list(unit.p) == ["a"]


# ------------------------------------------------------------------ refusals
REFUSED = [
    ("NOMINAL: k;\nMODEL: y ~ x z\n  k;", "belongs to no joint density", 3, "k"),
    ("FIXED: x;\nMODEL: m ~ x;\nsqrt(c) ~ x;", "is bounded", 3, "sqrt(c) ~ x"),
    ("CENTER: grandmean = z;\nMODEL: y ~ x z; z ~ x;", "count twice", 2, "z"),
    ("CENTER: grandmean = z;\nMODEL: y ~ x; var(y) ~ z;", "is centred at an estimated mean", 2, "z"),
    (
        "FIXED: x; ORDINAL: k;\nCENTER: grandmean = k;\nMODEL: y ~ k*x;",
        "'k' cannot be run in 'y'",
        3,
        "y ~ k*x",
    ),
    ("BYGROUP: k;\nMODEL: y ~ x;", "one is calibrated at a time", 1, "BYGROUP"),
]


@pytest.mark.parametrize(("text", "reason", "line", "marked"), REFUSED)
def test_every_refusal_has_its_place(tmp_path, text, reason, line, marked):
    rng = philox(10)
    columns = {
        "y": rng.normal(size=60),
        "x": rng.normal(size=60),
        "z": rng.normal(size=60),
        "m": rng.normal(size=60),
    }
    columns |= {"c": rng.uniform(1.0, 4.0, 60), "k": np.resize([1.0, 2.0, 3.0], 60)}
    columns["z"][3] = np.nan
    lines = [
        ",".join(columns),
        *(
            ",".join("NA" if np.isnan(v) else str(v) for v in row)
            for row in zip(*columns.values(), strict=True)
        ),
    ]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = Source(tmp_path / "m.inp", f"{text}\nDATA: d.csv; MISSING: NA;")
    with pytest.raises(ProblemError, match=reason) as caught:
        prepare(source)
    require_places(caught.value.problems, source)
    for problem in caught.value.problems:
        assert problem.span is not None
        assert source.line_and_column(problem.span.start)[0] == line
        assert source.text[problem.span.start : problem.span.end].startswith(marked)


def test_a_script_that_only_simulates_is_refused_at_its_place(tmp_path):
    source = Source(
        tmp_path / "m.inp",
        "SEED: 1;\nSIMULATE:\n  row(1) = 30;\n  row:\n    x = normal(0, 1);\nVARIABLES: x;\nSAVE: dataset = s.csv;\n",
    )
    with pytest.raises(ProblemError, match="only simulates") as caught:
        prepare(source)
    (problem,) = caught.value.problems
    assert problem.span is not None and source.line_and_column(problem.span.start)[0] == 2


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("y ~ t; quit ~ 1@a y@b | 1@0; y.missing ~ y;", "both say when 'y' is missing"),
    ],
)
def test_indicators_that_contradict_each_other_are_refused(tmp_path, model, reason):
    source = dropout(tmp_path, model=model)
    with pytest.raises(ProblemError, match=reason) as caught:
        prepare(source)
    (problem,) = caught.value.problems
    assert problem.span is not None
    assert source.text[problem.span.start : problem.span.end].startswith("quit")

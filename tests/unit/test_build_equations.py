"""Statements of MODEL -> equations: what is added, in what order, under which names."""

from __future__ import annotations

import pytest
from modelling import built, equation, labels, messages, printed

from mlbayes.model.expressions import Centring, Constant, Form, Operation, ParameterReference, Reference
from mlbayes.model.model import Distribution, Family


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("MODEL: y ~ z;", ["y ~ Intercept z"]),
        ("MODEL: y ~ 1 z;", ["y ~ Intercept z"]),
        ("MODEL: y ~ 1;", ["y ~ Intercept"]),
        ("MODEL: y ~ 0;", ["y ~ Intercept@0"]),
        ("MODEL: y ~ 0 z;", ["y ~ z"]),
        ("MODEL: y ~ 1@0 z;", ["y ~ z"]),
        ("MODEL: y ~ 1@-3 z@0.5 m@b1;", ["y ~ Intercept@-3 z@0.5 m@b1"]),
        ("MODEL: y ~ z; y ~ m;", ["y ~ Intercept z m"]),
        ("MODEL: y ~ z*m z (z^2) m;", ["y ~ Intercept z m z*m (z^2)"]),
        ("MODEL: y ~ (z - 2)*m ln(z + 9) (t == 1);", ["y ~ Intercept (z-2)*m ln(z+9) (t==1)"]),
        ("MODEL: y ~ (z - (m - 1)) (z - m - 1);", ["y ~ Intercept (z-(m-1)) (z-m-1)"]),
        ("MODEL: y z m ~ t;", ["m ~ Intercept t", "y ~ Intercept z m t", "z ~ Intercept m t"]),
        ("MODEL: { y z } ~ t;", ["y ~ Intercept t", "z ~ Intercept t"]),
        (
            "MODEL: second: y ~ z; first: m ~ z; y ~ t;",
            ["second: y ~ Intercept z t", "first: m ~ Intercept z"],
        ),
        ("ORDINAL: b; MODEL: logit(b) ~ z;", ["logit(b) ~ Intercept z"]),
        ("NOMINAL: b; MODEL: b ~ z;", ["logit(b) ~ Intercept z"]),
        ("MODEL: yjt(y - 9) ~ z;", ["yjt(y-9) ~ Intercept z"]),
        ("MODEL: (1/(y + 9)) ~ z; ln(m + 9) ~ z;", ["ln(m+9) ~ Intercept z", "(1/(y+9)) ~ Intercept z"]),
        ("MODEL: y ~ z; var(y) ~ 1@0 z;", ["y ~ Intercept z", "var(y) ~ Intercept@0 z"]),
        ("MODEL: x.missing ~ y;", ["x.missing ~ Intercept y"]),
        ("MODEL: y ~ z@z;", ["y ~ Intercept z*z@1"]),
    ],
)
def test_printed_models(script: str, expected: list[str]) -> None:
    assert printed(script) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "LATENT: f; MODEL: f -> y z m;",
            ["f ~ Intercept@0", "m ~ Intercept f", "y ~ Intercept f@1", "z ~ Intercept f"],
        ),
        ("LATENT: f; MODEL: f@1; f -> y@l1 z;", ["f ~ Intercept@0", "y ~ Intercept f@l1", "z ~ Intercept f"]),
        ("LATENT: f; MODEL: f ~ t; f -> y z;", ["f ~ t", "y ~ Intercept f@1", "z ~ Intercept f"]),
        ("LATENT: f; MODEL: f ~ 1 t; y ~ f;", ["f ~ Intercept t", "y ~ Intercept f"]),
        ("MODEL: 1 -> y z@m1;", ["y ~ Intercept", "z ~ Intercept@m1"]),
        ("MODEL: t t*m -> y z;", ["y ~ Intercept t t*m", "z ~ Intercept t t*m"]),
    ],
)
def test_latent_variables_and_loadings(script: str, expected: list[str]) -> None:
    assert printed(script) == expected


def test_latent_variables_as_coefficients_have_a_mean_and_replace_the_random_intercept() -> None:
    text = "CLUSTERID: pupil; LATENT: pupil = a s; MODEL: s ~ w; a ~~ s; y ~ 1@a z@s m;"
    model = built(text)
    assert printed(text) == ["a ~ Intercept", "s ~ Intercept w", "y ~ a@1 m z*s@1", "a <-> s"]
    assert equation(model, "y").random == ()
    assert model.parameters["y ~ a"].fixed == 1.0
    assert model.warnings == (
        "Automatically specifying intercept only model for the following variables: a s",
    )


def test_a_latent_predictor_leaves_the_random_intercept() -> None:
    model = built("CLUSTERID: pupil; LATENT: pupil = f; MODEL: y ~ f; z ~ f; f@1;")
    assert [r.labels for r in equation(model, "y").random] == [("Intercept",)]
    assert model.parameters["f residual"].fixed == 1.0


def test_a_stated_intercept_of_a_coefficient_is_left_alone() -> None:
    text = "CLUSTERID: pupil; LATENT: pupil = a; MODEL: a ~ 1@0; y ~ z z@a | 1@0;"
    assert printed(text) == ["a ~ Intercept@0", "y ~ Intercept z z*a@1"]
    assert built(text).warnings == ()


def test_nominal_predictors_become_dummy_codes_also_in_products() -> None:
    model = built("NOMINAL: g(2); MODEL: y ~ g g*z;")
    y = equation(model, "y")
    assert labels(y) == ["Intercept", "g.1", "g.3", "g.1*z", "g.3*z"]
    assert y.terms[1].expression == Reference("g", 1, Form.DUMMY, 1)
    assert built("NOMINAL: g; MODEL: y ~ g.2@b2 g.3;").parameters["b2"].labelled


def test_centring_stands_on_every_reference_to_a_predictor_but_not_on_outcomes() -> None:
    model = built("CLUSTERID: pupil; CENTER: groupmean = z; grandmean = m y; MODEL: y ~ z z*m | z; x ~ y;")
    y = equation(model, "y")
    assert y.left == Reference("y", 1)
    assert y.terms[1].expression == Reference("z", 1, centring=Centring.GROUP)
    product = Operation(
        "*", (Reference("z", 1, centring=Centring.GROUP), Reference("m", 1, centring=Centring.GRAND))
    )
    assert y.terms[2].expression == product
    means = [m for m in model.predictor_models if m.means_only]
    assert [m.variable for m in means] == ["y"]
    assert [part.level for part in means[0].parts] == [1, 2]


def test_cluster_means() -> None:
    model = built("CLUSTERID: pupil; CENTER: groupmean = z; grandmean = z.mean; MODEL: y ~ z z.mean;")
    mean = equation(model, "y").terms[2]
    assert mean.label == "z.mean[pupil]"
    assert mean.expression == Reference("z", 2, Form.MEAN, 0, Centring.GRAND)
    upper = built("CLUSTERID: pupil school; MODEL: y ~ z.mean[school];")
    assert equation(upper, "y").terms[1].expression == Reference("z", 3, Form.MEAN)


def test_definitions_are_inserted_and_keep_their_name_in_print() -> None:
    text = "MODEL: d = z + mu; e = d*2; y ~ e@b1 d*m; m ~ 1@mu;"
    model = built(text)
    assert printed(text)[-1] == "y ~ Intercept e@b1 (d)*m"
    inner = Operation("+", (Reference("z", 1), ParameterReference("mu")))
    assert equation(model, "y").terms[1].expression == Operation("*", (inner, Constant(2.0)))
    assert [(name, text) for name, _, text in model.definitions] == [("d", "z+mu"), ("e", "d*2")]


def test_distributions() -> None:
    text = "ORDINAL: o b; NOMINAL: g; COUNT: c;"
    text += "MODEL: o ~ t; logit(b) ~ t; g ~ t; c ~ t; yjt(y) ~ t; var(z) ~ t;"
    model = built(text)
    assert {e.title: e.distribution for e in model.equations} == {
        "o": Distribution.PROBIT,
        "logit(b)": Distribution.LOGIT,
        "logit(g)": Distribution.MULTINOMIAL,
        "c": Distribution.NEGATIVE_BINOMIAL,
        "yjt(y)": Distribution.YEO_JOHNSON,
        "z": Distribution.NORMAL,
        "var(z)": Distribution.LOG_VARIANCE,
    }
    assert [t.category for t in equation(model, "logit(g)").terms] == [2, 2, 3, 3]
    assert model.parameters["o ~ t"].prior.family is Family.NORMAL
    assert model.parameters["c ~ t"].prior.family is Family.FLAT
    assert equation(model, "o").residual is None
    assert equation(model, "z").residual is None  # modelled by var(z)


def test_residual_variances() -> None:
    model = built("MODEL: y ~ t; z ~ t; m ~ t; y@v; z@v; m ~~ m@2;")
    assert equation(model, "y").residual == equation(model, "z").residual == "v"
    assert model.parameters["v"].prior.arguments == (-1.0, 0.0)
    assert model.parameters["m residual"].fixed == 2.0
    first = built("OPTIONS: prior1; MODEL: y ~ t;")
    assert first.parameters["y residual"].prior.arguments == (1.0, 0.5)


def test_covariances_are_merged_and_fill_in_equations() -> None:
    text = "MODEL: one: y ~~ z; two: m ~~ y z@r;"
    model = built(text)
    (block,) = model.covariances
    assert block.members == ("y", "z", "m")
    assert block.block == "two"
    assert block.correlations == {(1, 2): "r"}
    assert block.prior.arguments == (-4.0, 0.0)
    assert printed(text) == [
        "one: y ~ Intercept",
        "one: z ~ Intercept",
        "two: m ~ Intercept",
        "two: y z m <-> y z m",
    ]
    separate = built("MODEL: y ~~ z; m ~~ t;")
    assert [b.members for b in separate.covariances] == [("y", "z"), ("m", "t")]


def test_what_is_added_is_recorded_with_its_reason() -> None:
    model = built("CLUSTERID: pupil; MODEL: y ~ x z; y ~~ m; SEED: 3;")
    added = [addition.what for addition in model.additions]
    assert "y has an intercept" in added
    assert "y has random intercepts over pupil" in added
    assert "equation m ~ Intercept" in added
    assert "a joint distribution of the predictors z x" in added
    assert "latent cluster means of z x" in added
    assert "SEED: 1" not in added
    assert all(addition.because for addition in model.additions)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("CLUSTERID: pupil; MODEL: x.mean ~ w;", "x.mean"),
        ("CLUSTERID: pupil; LATENT: pupil = f; MODEL: f -> x.mean y;", "x.mean"),
        ("CLUSTERID: pupil; TIMEID: t; MODEL: y.lag ~ w;", "y.lag"),
        ("MODEL: y.latent ~ w;", "y.latent"),
        ("CLUSTERID: pupil; MODEL: ln(x.mean + 9) ~ w;", "x.mean"),
    ],
)
def test_other_forms_of_a_variable_are_no_outcomes(script: str, name: str) -> None:
    assert f"'{name}' cannot be an outcome" in messages(script)

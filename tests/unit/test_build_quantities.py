"""PARAMETERS, WALDTEST, SIMPLE and the settings of a run."""

from __future__ import annotations

import numpy as np
import pytest
from modelling import attempt, built, equation, messages

from mlbayes.language.commands import FUNCTIONS, RESERVED, Function
from mlbayes.model.describe import describe
from mlbayes.model.expressions import Constant, Operation, ParameterReference, Reference
from mlbayes.model.model import At, ConditionalEffect, ConditionalQuantity, Family
from mlbayes.results.expressions import evaluate


def test_generated_quantities_in_order() -> None:
    model = built("MODEL: y ~ z@b1 m@b2; PARAMETERS: d = b1 - b2; r = d / y.totalvar;")
    assert [q.printed for q in model.generated] == ["d = b1-b2", "r = d/y.totalvar"]
    assert model.generated[0].expression == Operation(
        "-", (ParameterReference("b1"), ParameterReference("b2"))
    )


def test_a_definition_of_a_label_is_a_constraint() -> None:
    model = built("MODEL: y ~ z@b1 m@b2; PARAMETERS: half = b1 / 2; b2 = half + 1;")
    half = Operation("/", (ParameterReference("b1"), Constant(2.0)))
    assert model.parameters["b2"].definition == Operation("+", (half, Constant(1.0)))
    assert [q.name for q in model.generated] == ["half"]
    assert describe(model).parameters["Outcome Models"] == 3


def test_sums_and_means_are_the_additions_they_stand_for() -> None:
    model = built("MODEL: y ~ z@b1 m@b2; PARAMETERS: d = mean(b1, b2, 1);")
    total = Operation(
        "+", (Operation("+", (ParameterReference("b1"), ParameterReference("b2"))), Constant(1.0))
    )
    assert model.generated[0].expression == Operation("/", (total, Constant(3.0)))
    assert model.generated[0].printed == "d = mean(b1,b2,1)"
    short, long = built("MODEL: y ~ mean(z, m) sum(z, m);"), built("MODEL: y ~ ((z + m)/2) (z + m);")
    assert [t.expression for t in short.equations[0].terms] == [t.expression for t in long.equations[0].terms]


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if not f.only], ids=lambda f: f.name)
def test_every_function_of_quantities_can_be_computed(function: Function) -> None:
    arguments = ", ".join(["b1", "b2", "b1"][: function.least])
    model = built(f"MODEL: y ~ z@b1 m@b2; PARAMETERS: d = {function.name}({arguments});")
    values = {"b1": np.array([[0.3, 0.6]]), "b2": np.array([[0.2, 0.7]])}
    found = evaluate(model.generated[0].expression, values.__getitem__)
    assert found.shape == (1, 2) and np.isfinite(found).all()


def test_priors() -> None:
    model = built(
        "MODEL: y ~ z@b1 m@b2; y@v; PARAMETERS: b1 ~ normal(0, 4); b2 ~ truncate(0, inf); v ~ ig(2, 1);"
    )
    assert model.parameters["b1"].prior.family is Family.NORMAL
    assert model.parameters["b2"].prior.arguments == (0.0, float("inf"))
    assert model.parameters["v"].prior.stated
    assert describe(model).priors == ["b1 ~ normal(0, 4)", "b2 ~ truncate(0, inf)", "v ~ ig(2, 1)"]


def test_wald_tests() -> None:
    model = built(
        "MODEL: y ~ z@b1 m@b2 t@b3; WALDTEST: b1:b2 = 0; b3 = 1; WALDTEST: b1 = b2:b3; WALDTEST: y ~ z;"
    )
    first, second, nested = model.wald_tests
    assert first.constraints == (({"b1": 1.0}, 0.0), ({"b2": 1.0}, 0.0), ({"b3": 1.0}, 1.0))
    assert second.constraints == (({"b1": 1.0, "b2": -1.0}, 0.0), ({"b1": 1.0, "b3": -1.0}, 0.0))
    assert second.printed == ("b1 = b2", "b1 = b3")
    assert nested.constraints == (({"b2": 1.0}, 0.0), ({"b3": 1.0}, 0.0))
    assert nested.restricted == "y ~ Intercept z"


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("b1 = 0; b1 = 1;", "the constraints of this test contradict each other"),
        ("b1 = 0; b2 = b1; b2 = 1;", "the constraints of this test contradict each other"),
        ("half = 0;", "'half' is a fixed number: there is nothing to test"),
        ("{ y m } ~ z;", "a nested model is a single equation"),
        ("y ~ z@0 m;", "the nested model changes the coefficient of 'z'"),
        ("y ~ 1@0 z m;", "the nested model changes the coefficient of 'Intercept'"),
        ("y ~ m;", "the coefficient of 't' is a fixed number: there is nothing to test"),
    ],
)
def test_wald_tests_without_an_answer_are_refused(test: str, message: str) -> None:
    script = "MODEL: y ~ z@b1 m@b2 t@0.5 x@half; PARAMETERS: half = 1/2;"
    assert message in messages(f"{script} WALDTEST: {test}")


def test_a_nested_model_may_repeat_the_tags_of_the_full_one() -> None:
    (test,) = built("MODEL: y ~ z@b1 m@b2 t@0.5; WALDTEST: y ~ z@b1 t@0.5;").wald_tests
    assert test.constraints == (({"b2": 1.0}, 0.0),)
    latent = "LATENT: pupil = level slope; MODEL: y ~ 1@level z@slope m@b1; level ~ 1; slope ~ 1;"
    (test,) = built(f"CLUSTERID: pupil; {latent} WALDTEST: y ~ 1@level z@slope;").wald_tests
    assert test.constraints == (({"b1": 1.0}, 0.0),)


def test_a_nested_model_has_the_left_side_of_the_full_one() -> None:
    (problem,) = attempt("ORDINAL: b; MODEL: logit(b) ~ z m; WALDTEST: b ~ z;")[1]
    assert problem.hint == "write it as MODEL does: logit(b) ~ ...;"


def test_wald_tests_may_say_things_twice() -> None:
    model = built(
        "MODEL: y ~ z@b1 m@b2 x@b3; PARAMETERS: b3 = b1/2; WALDTEST: b1 = 0; b2 = b1; b2 = 0; b3 = 0;"
    )
    assert len(model.wald_tests[0].constraints) == 4


def test_conditional_effects() -> None:
    model = built(
        "ORDINAL: b; FIXED: z t b; CENTER: z m; MODEL: y ~ z m b z*m z*b z*m*b t z*t;"
        "SIMPLE: z | m; z | m and b; z | m @ quartile; z | m @ 2;"
    )
    one, two, quartile, number = model.conditional_effects
    assert isinstance(one, ConditionalEffect)
    assert isinstance(two, ConditionalEffect)
    assert one.focal_label == "z"
    assert one.slopes == ((1, ()), (5, (0,)))
    assert one.intercepts == ((0, ()), (2, (0,)))
    assert [(m.label, m.at, m.values) for m in two.moderators] == [
        ("m", At.SD, ()),
        ("b", At.CODES, (0.0, 1.0)),
    ]
    assert two.slopes == ((1, ()), (5, (0,)), (6, (1,)), (7, (0, 1)))
    assert two.intercepts == ((0, ()), (2, (0,)), (3, (1,)))
    assert quartile.moderators[0].at is At.QUARTILE
    assert number.moderators[0].values == (2.0,)
    assert isinstance(one.focal, Reference)
    assert one.focal.centring.value == "grand mean"


def test_powers_of_moderators_count_as_often_as_they_stand() -> None:
    model = built("MODEL: y ~ z m (m^2) z*m z*(m^2); SIMPLE: z | m;")
    (effect,) = model.conditional_effects
    assert isinstance(effect, ConditionalEffect)
    assert effect.slopes == ((1, ()), (4, (0,)), (5, (0, 0)))
    assert effect.intercepts == ((0, ()), (2, (0,)), (3, (0, 0)))
    assert model.warnings == ("The focal predictor z is not centered: conditional intercepts are at z = 0.",)


def test_conditional_quantities_and_values_by_name() -> None:
    model = built(
        "MODEL: y ~ z@b1 m z*m@b3; PARAMETERS: half = b1/2;"
        "SIMPLE: (b1 + b3*m)*half | m @ quartile; b1 | m; z | m @ half; z | m @ b1;"
    )
    quantity, label, at_quantity, at_label = model.conditional_effects
    assert isinstance(quantity, ConditionalQuantity)
    assert quantity.printed == "(b1+b3*m)*half"
    assert quantity.moderators[0].at is At.QUARTILE
    assert isinstance(label, ConditionalQuantity)
    assert label.expression == ParameterReference("b1")
    assert isinstance(at_quantity, ConditionalEffect)
    assert [spec.parameter for e in (at_quantity, at_label) for spec in e.moderators] == ["half", "b1"]


def test_a_term_of_a_variable_as_focal_predictor() -> None:
    model = built("MODEL: d = ln(z^2 + 1); y ~ d m (z - 3) d*m (z - 3)*m; SIMPLE: d | m; (z - 3) | m;")
    definition, bracket = model.conditional_effects
    assert isinstance(definition, ConditionalEffect)
    assert isinstance(bracket, ConditionalEffect)
    labels = [term.label for term in equation(model, "y").terms]
    assert [labels[i] for i, _ in definition.slopes] == ["d", "(d)*m"]
    assert [labels[i] for i, _ in bracket.slopes] == ["(z-3)", "(z-3)*m"]
    assert [labels[i] for i, _ in bracket.intercepts] == ["Intercept", "m"]


def test_settings_and_their_defaults() -> None:
    model = built(
        "MODEL: y ~ z; SEED: 5; BURN: 100; ITER: 50; CHAINS: 2; NIMPS: 4;"
        "OPTIONS: joint; SAVE: stacked = a.csv;"
    )
    settings = model.settings
    assert (settings.seed, settings.burn, settings.iterations, settings.chains) == (5, 100, 50, 2)
    assert (settings.imputations, settings.options) == (4, {"joint"})
    assert settings.saves == (("stacked", "a.csv"),)
    silent = built("MODEL: y ~ z;")
    assert (silent.settings.seed, silent.settings.burn, silent.settings.iterations) == (1, 2000, 10000)
    assert "SEED: 1" in [addition.what for addition in silent.additions]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("MODEL: y ~ z@b1; PARAMETERS: q = b2;", "'b2' is not known"),
        ("MODEL: y ~ z@b1; PARAMETERS: q = r; r = b1;", "'r' is used before it is defined"),
        ("MODEL: y ~ z@b1; PARAMETERS: q = b1; q = 2;", "'q' is defined twice"),
        ("MODEL: y ~ z@b1; PARAMETERS: b1 = b1 + 1;", "the constraint on 'b1' uses 'b1' itself"),
        ("MODEL: y ~ z@b1; PARAMETERS: b2 ~ normal(0, 1);", "no parameter is labelled 'b2'"),
        ("MODEL: y ~ z@b1; PARAMETERS: q = z.totalvar;", "'z' has no equation, so there is no 'z.totalvar'"),
        ("MODEL: y ~ z@b1; y@b1;", "the label 'b1' names a coefficient and a variance"),
        ("MODEL: y ~ z@b1; WALDTEST: b2 = 0;", "no parameter is labelled 'b2'"),
        ("MODEL: y ~ z; WALDTEST: y ~ z m;", "'m' is not in the equation of 'y'"),
        ("MODEL: y ~ z; WALDTEST: z ~ y;", "MODEL has no equation of 'z'"),
        ("MODEL: y ~ z m; SIMPLE: z | m;", "no equation has 'z' and its product with m"),
        ("MODEL: y ~ z m z^2; SIMPLE: z | z;", "'z' cannot be its own moderator"),
        ("MODEL: y ~ z; SIMPLE: z | m;", "'m' is in the data but not in MODEL"),
        ("MODEL: y ~ z m z*m; SIMPLE: z | m @ half;", "'half' is not known"),
        ("MODEL: y ~ z m z*m; SIMPLE: z | m @ z;", "'z' is not a value at which 'm' can be held"),
        ("MODEL: y ~ z@b m z*m; SIMPLE: b + c2*m | m;", "'c2' is not known"),
        ("MODEL: y ~ z@b m z*m; SIMPLE: b + z | m;", "no equation has '(b+z)' and its product with m"),
        (
            "MODEL: y ~ z@b m z*m; SIMPLE: b*m.totalvar | m;",
            "'m' has no equation, so there is no 'm.totalvar'",
        ),
        ("MODEL: y ~ z; OPTIONS: prior1 prior3;", "OPTIONS has both prior1 and prior3"),
        ("MODEL: y ~ z; ITER: 2;", "ITER is 2 in total for 4 chains"),
        (
            "MODEL: y ~ z; CHAINS: 2; ITER: 10; NIMPS: 11;",
            "NIMPS asks for more data sets than there are draws",
        ),
        (
            "MODEL: y ~ z; CHAINS: 2; ITER: 100; NIMPS: 10; THIN: 11;",
            "the data sets of a chain are 10 iterations apart, and THIN asks for 11",
        ),
    ],
)
def test_mistakes(script: str, message: str) -> None:
    assert message in messages(script)


@pytest.mark.parametrize("wanted", ["NIMPS: 4; THIN: 5;", "NIMPS: 11;", "NIMPS: 3; THIN: 7;"])
def test_the_iterations_that_are_named_as_enough_are(wanted: str) -> None:
    start = f"MODEL: y ~ z; CHAINS: 2; {wanted}"
    (problem,) = attempt(start + "ITER: 10;")[1]
    words = problem.hint.partition(" is enough for ")
    assert words[0].startswith("ITER: ") and words[1]
    enough = int(words[0].removeprefix("ITER: "))
    assert attempt(f"{start} ITER: {enough};")[1] == []
    assert attempt(f"{start} ITER: {enough - 2};")[1]  # a draw less in each chain


@pytest.mark.parametrize("setting", ["ITER: 2;", "CHAINS: 6000000;"])
def test_settings_that_do_not_fit_are_shown(setting: str) -> None:
    script = f"MODEL: y ~ z; {setting}"
    span = attempt(script)[1][0].span
    assert span is not None and script[span.start :].startswith(setting.split(":")[0])


def test_defaults_of_settings_are_those_of_the_manual() -> None:
    settings = built("MODEL: y ~ z;").settings
    found = (
        settings.seed,
        settings.burn,
        settings.iterations,
        settings.thin,
        settings.chains,
        settings.imputations,
    )
    commands = ("SEED", "BURN", "ITER", "THIN", "CHAINS", "NIMPS")
    assert found == tuple(int(RESERVED[name].default) for name in commands)


def test_a_label_that_is_no_coefficient_exists_by_its_prior() -> None:
    model = built("MODEL: y ~ 1@low (exp(-rate*z))@gap; PARAMETERS: top = low + gap; rate ~ truncate(0, 5);")
    assert model.parameters["rate"].prior.arguments == (0.0, 5.0)
    assert [q.printed for q in model.generated] == ["rate", "top = low+gap"]
    counts = describe(model).parameters
    assert (counts["Outcome Models"], counts["Generated Parameters"]) == (4, 1)
    constrained = built("MODEL: y ~ z@b1; PARAMETERS: b1 = exp(-rate); rate ~ normal(0, 1);")
    assert constrained.parameters["rate"].labelled


def test_a_label_without_prior_or_use_is_an_error() -> None:
    assert messages("MODEL: y ~ 1 (exp(-rate*z));") == ["'rate' is not known"]
    assert messages("MODEL: y ~ z; PARAMETERS: rate ~ normal(0, 1);") == ["no parameter is labelled 'rate'"]
    misspelt = messages("MODEL: y ~ 1 (exp(-rate*z)); PARAMETERS: rat ~ normal(0, 1);")
    assert misspelt == ["'rate' is not known", "no parameter is labelled 'rat'"]
    of_variance = messages("MODEL: y ~ (exp(rate*z)); PARAMETERS: rate ~ ig(2, 1);")
    assert of_variance == ["'rate' is a coefficient; ig is a prior of variances"]

"""Random effects: defaults, slopes, chosen levels, removed intercepts."""

from __future__ import annotations

import pytest
from modelling import built, equation, labels, messages, printed

from mlbayes.model.model import Model, RandomEffects


def effects(model: Model, title: str = "y") -> list[tuple[int, tuple[str, ...], tuple[int, ...]]]:
    return [(r.level, r.labels, r.terms) for r in equation(model, title).random]


@pytest.mark.parametrize(
    ("right", "expected", "shown"),
    [
        ("z", [(2, ("Intercept",), (0,))], "y ~ Intercept z"),
        ("z | 1", [(2, ("Intercept",), (0,))], "y ~ Intercept z | Intercept"),
        ("z | z", [(2, ("Intercept", "z"), (0, 1))], "y ~ Intercept z | Intercept z"),
        ("z | 1@0", [], "y ~ Intercept z"),
        ("z | 0", [], "y ~ Intercept z"),
        ("z | 1@0 z", [(2, ("z",), (1,))], "y ~ Intercept z | z"),
        ("z | z m", [(2, ("Intercept", "z", "m"), (0, 1, 2))], "y ~ Intercept z | Intercept z m"),
        ("z | z 1 z; y ~ z | 1", [(2, ("Intercept", "z"), (0, 1))], "y ~ Intercept z | Intercept z"),
        ("w | 1@0 w", [(2, ("w",), (1,))], "y ~ Intercept w | w"),
        ("1@0 z | 1", [(2, ("Intercept",), (0,))], "y ~ z | Intercept"),
    ],
)
def test_two_levels(right: str, expected: list[object], shown: str) -> None:
    script = f"CLUSTERID: pupil; MODEL: y ~ {right};"
    assert effects(built(script)) == expected
    assert printed(script) == [shown]


def test_hidden_terms_carry_effects_without_a_coefficient() -> None:
    model = built("CLUSTERID: pupil; MODEL: y ~ 1@0 z | m;")
    y = equation(model, "y")
    assert [(t.label, t.hidden) for t in y.terms] == [("Intercept", True), ("z", False), ("m", True)]
    assert [model.parameters[t.coefficient].fixed for t in y.terms] == [0.0, None, 0.0]
    assert labels(y) == ["z"]


def test_three_levels() -> None:
    model = built("OPTIONS: prior1; CLUSTERID: school pupil; MODEL: y ~ z | z; w ~ v;")
    assert effects(model) == [(2, ("Intercept", "z"), (0, 1)), (3, ("Intercept", "z"), (0, 1))]
    assert effects(model, "w") == [(3, ("Intercept",), (0,))]
    assert model.hierarchy.identifiers == ("pupil", "school")


def test_chosen_levels() -> None:
    script = "CLUSTERID: pupil school; MODEL: y ~ z v | 1[pupil] 1[school] z[pupil];"
    assert effects(built(script)) == [
        (2, ("Intercept[pupil]", "z[pupil]"), (0, 1)),
        (3, ("Intercept[school]",), (0,)),
    ]
    assert printed(script) == ["y ~ Intercept z v | Intercept[pupil] Intercept[school] z[pupil]"]
    only = built("CLUSTERID: pupil school; MODEL: y ~ z | z[school];")
    assert effects(only) == [(3, ("z[school]",), (1,))]


def test_default_priors_of_the_covariance_matrices() -> None:
    def prior(option: str) -> tuple[float, ...]:
        model = built(f"OPTIONS: {option}; CLUSTERID: pupil; MODEL: y ~ z | z;")
        random: RandomEffects = equation(model, "y").random[0]
        return random.prior.arguments

    assert prior("prior1") == (3.0, 1.0)
    assert prior("prior2") == (-3.0, 0.0)
    assert prior("prior3") == (0.0, 0.0)


def test_labelled_intercept_variance() -> None:
    script = "CLUSTERID: pupil; MODEL: y ~ z | 1@v; m ~ z | 1@v;"
    model = built(script)
    assert [equation(model, title).random[0].variance for title in ("y", "m")] == ["v", "v"]
    assert printed(script)[0] == "m ~ Intercept z | Intercept@v"


def test_named_random_effects() -> None:
    model = built(
        "CLUSTERID: pupil; RANDOMEFFECT: u0 = y | 1 [pupil]; u1 = y | z [pupil]; MODEL: y ~ z | z; w ~ u0 u1;"
    )
    assert [(e.name, e.outcome, e.label, e.level) for e in model.named_effects] == [
        ("u0", "y", "Intercept", 2),
        ("u1", "y", "z", 2),
    ]
    assert messages("CLUSTERID: pupil; RANDOMEFFECT: u1 = y | z [pupil]; MODEL: y ~ z; w ~ u1;") == [
        "'y' has no random effect of 'z' over 'pupil'"
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("MODEL: y ~ z | z;", "random effects need CLUSTERID"),
        (
            "CLUSTERID: pupil; MODEL: w ~ v | 1;",
            "'w' varies at the highest level and cannot have random effects",
        ),
        ("CLUSTERID: pupil; MODEL: y ~ z | 1[scool];", "'y' cannot have random effects over 'scool'"),
        (
            "CLUSTERID: pupil school; MODEL: y ~ v | v[pupil];",
            "'v' is the same in all clusters of a cluster of 'pupil'",
        ),
    ],
)
def test_mistakes(script: str, message: str) -> None:
    assert messages(script) == [message]


@pytest.mark.parametrize(
    ("slopes", "others", "outcome"),
    [
        ("z m t", "", "fine"),  # p = 4, q = 1: 10 of the 20 clusters would do
        ("z m t x b c o", "", "warning"),  # p = 8, q = 1: 18
        ("z m t x b c o g", "", "warning"),  # p = 9, q = 1: 20
        ("z m t x b c o g", "v", "error"),  # p = 9, q = 2: 21
        ("z m t x b c o g", "v*z", "error"),
    ],
)
def test_clusters_needed_by_a_flat_prior(slopes: str, others: str, outcome: str) -> None:
    script = f"CLUSTERID: school; MODEL: y ~ {slopes} {others} | {slopes};"
    if outcome == "error":
        assert messages(script) == [
            "9 random effect(s) of 'y' over 20 clusters of 'school': "
            "the flat prior of (co)variances needs at least 21"
        ]
    else:
        assert bool(built(script).warnings) is (outcome == "warning")
    assert built(script + "OPTIONS: prior1;").warnings == ()

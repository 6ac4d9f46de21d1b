"""Warnings of models that are not identified: each with a near neighbour that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelling import built
from scripts import CONFORMANCE, MODELS, source_of, title

from mlbayes import pipeline
from mlbayes.model.build import build_model
from mlbayes.model.moments import draw_diagram, moments

SIGNS = ("identified", "is not measured", "is not set", "set twice", "free parameters")

F = "LATENT: f; MODEL: "
FH = "LATENT: f h; MODEL: "
TWO = "CLUSTERID: pupil; LATENT: f; pupil = h; MODEL: "
PUPIL = "CLUSTERID: pupil; LATENT: pupil = h; MODEL: "
SLOPES = "CLUSTERID: pupil; LATENT: pupil = h s; MODEL: "


def doubts(text: str) -> list[str]:
    """The warnings of a script that are about identification."""
    return [w for w in built(text).warnings if any(sign in w for sign in SIGNS)]


# ------------------------------------------------------------------ each warning and a neighbour without it
SCALE = "The scale of the latent variable '{}' (line 1) is not set"
TWICE = "The scale of the latent variable '{}' (line 1) is set twice"
MEAN = "The mean of the latent variable '{}' (line 1) is not identified"
UNMEASURED = "The latent variable '{}' (line 1) is not measured"
APART = "are not identified: they can change together"


@pytest.mark.parametrize(
    ("wrong", "sign", "right"),
    [
        # scale
        (F + "y ~ f; z ~ f; m ~ f;", SCALE.format("f"), F + "f -> y z m;"),
        (F + "f -> y@l z m;", SCALE.format("f"), F + "f -> y@l z m; f@1;"),
        (F + "f -> y@l z@l m@l;", SCALE.format("f"), F + "f -> y@1 z@1 m@1;"),
        (F + "f -> y@l z m; PARAMETERS: l ~ truncate(0, Inf);", SCALE.format("f"),
         F + "f -> y@l z m; PARAMETERS: l ~ normal(1, 1);"),
        (F + "f -> y@l z@k m; f ~ x;", SCALE.format("f"), F + "f -> y@l z@k m; PARAMETERS: l = 2 - k;"),
        (FH + "f -> y z m; h -> x@l t; w ~ f h f*h;", SCALE.format("h"), FH + "f -> y z m; h -> x t; w ~ f h f*h;"),
        ("ORDINAL: b o; " + F + "f -> b@l o y;", SCALE.format("f"), "ORDINAL: b o; " + F + "f -> b o y;"),
        (TWO + "f -> y z m; h -> y@l z m;", SCALE.format("h"), TWO + "f -> y z m; h -> y z m;"),
        (F + "f -> y z m; f@1;", TWICE.format("f"), F + "y ~ f@1; z m ~ f; f@1;"),
        # mean
        (F + "f -> y z m; f ~ 1;", MEAN.format("f"), F + "f -> y z m; f ~ 1; y ~ 1@0;"),
        (FH + "f -> y z m; h -> x t; w ~ h f*h; f ~ 1;", MEAN.format("f"),
         FH + "f -> y z m; h -> x t; w ~ f*h; f ~ 1;"),
        (SLOPES + "y ~ 1@h z z@s;", MEAN.format("s"), SLOPES + "y ~ 1@h z z@s; s ~ 1@0;"),
        # measures
        (FH + "f -> y z m; f ~~ h;", UNMEASURED.format("h"), FH + "f -> y z m; h -> x t; f ~~ h;"),
        (FH + "f -> y z m; h ~ f;", UNMEASURED.format("h"), FH + "f -> y z m; h ~ f; h -> x; x@1;"),
        # more parameters than moments
        (F + "f -> y z;", "The model of y z (line 1) has 6 free parameters, but these variables have only 5",
         F + "f -> y z; f ~ x;"),
        (FH + "f -> y z; h -> m x;", "The model of m x (line 1) has 6 free parameters",
         FH + "f -> y z; h -> m x; f ~~ h;"),
        (F + "f -> y;", f"The variance of 'f' and the residual variance of 'y' (line 1) {APART}", F + "f -> y; y@1;"),
        ("MODEL: y ~ z; z ~ 1; y ~~ z;", "The model of y z (line 1) has 6 free parameters",
         "MODEL: y ~ z; z ~ m; y ~~ z;"),
        # levels
        (PUPIL + "h -> w;", f"The variance of 'h' and the residual variance of 'w' (line 1) {APART}",
         PUPIL + "y ~ 1@h; w ~ h;"),
        (PUPIL + "y ~ h@1;", "The variance of 'h' and the variance of random intercepts in the equation of 'y'",
         PUPIL + "y ~ h@1 | 1@0;"),
        (TWO + "f -> y z; h -> y z m;", "The coefficient of 'f' in the equation of 'z'",
         TWO + "f -> y z x; h -> y z m;"),
        (SLOPES + "y ~ 1@h z@s | z;", "The variance of 's'", SLOPES + "y ~ 1@h z@s;"),
    ],
)  # fmt: skip
def test_a_warning_and_its_neighbour(wrong: str, sign: str, right: str) -> None:
    assert any(sign in text for text in doubts(wrong)), doubts(wrong)
    assert doubts(right) == []


@pytest.mark.parametrize(
    "text",
    [
        PUPIL + "y ~ 1@h;",
        PUPIL + "y ~ 1@h; h ~ 1 w;",
        SLOPES + "y ~ 1@h z@s; h ~~ s;",
        SLOPES + "y ~ 1@h (z - h)@s;",
        "CLUSTERID: pupil; LATENT: pupil = s; MODEL: y ~ z z@s; s ~ 1@0;",
        "CLUSTERID: pupil school; LATENT: pupil = h; school = k; MODEL: y ~ 1@h; h ~ 1@k; k ~ 1 v;",
        "CLUSTERID: pupil; MODEL: y ~ z m x z*m | z m x;",
        "CLUSTERID: pupil school; MODEL: y ~ z t | z t;",
        "CLUSTERID: pupil; LATENT: pupil = h; MODEL: y ~ 1@h; var(z) ~ 1@h;",
    ],
)
def test_identified_models(text: str) -> None:
    assert doubts(text) == []


@pytest.mark.parametrize("path", [*MODELS, *CONFORMANCE], ids=title)
def test_no_warning_of_a_published_model(path: Path) -> None:
    script, problems = pipeline.parse(source_of(path))
    assert problems == []
    table, rows, _ = pipeline.load(script)
    model, problems = build_model(script, table, rows)
    assert model is not None
    assert problems == []
    assert [w for w in model.warnings if any(sign in w for sign in SIGNS)] == []


# ------------------------------------------------------------------ the derivatives behind them
def test_undetermined_sets_are_the_smallest() -> None:
    """Two factors with one measure each: each pair of variances is found on its own."""
    diagram = draw_diagram(built(FH + "f -> y; h -> z; f ~~ h;"))
    (component,) = diagram.components()
    told = moments(diagram, component)
    assert told is not None
    assert told.number == 5
    pairs = {frozenset(names) - {"Cor(f,h)"} for names in told.undetermined}
    assert pairs == {frozenset({"f residual", "y residual"}), frozenset({"h residual", "z residual"})}


def test_derivatives_against_differences() -> None:
    """Moments of a made-up cluster move with each parameter as their derivatives say."""
    from mlbayes.model.moments import _Cluster  # the moments themselves are nobody else's business

    text = "CLUSTERID: pupil; LATENT: f; pupil = h s; MODEL: f -> y z m; y ~ 1@h x@s; h ~~ s; h ~ 1 w; z ~ h | t;"
    diagram = draw_diagram(built(text + "y ~~ m;"))
    (component,) = diagram.components()
    nodes = [diagram.nodes[name] for name in component]
    names = [a.coefficient for n in nodes for a in n.arrows] + [n.variance for n in nodes]
    names = [*names, *diagram.correlations.values()]
    known = {name: diagram.parameters[name] for name in names}
    free = [name for name, value in known.items() if value is None]
    rng = np.random.default_rng(3)
    values = {name: value if value is not None else rng.uniform(0.2, 0.6) for name, value in known.items()}

    def cluster(shifted: str | None = None, by: float = 0.0) -> _Cluster:
        moved = {**values, **({shifted: values[shifted] + by} if shifted else {})}
        return _Cluster(diagram, nodes, moved, free, (1, 2), np.random.default_rng(4))

    means, covariances = cluster().mean_derivatives(), cluster().covariance_derivatives()
    seen = cluster().observed
    rows, columns = np.tril_indices(len(seen))
    for k, name in enumerate(free):
        up, down = cluster(name, 1e-5), cluster(name, -1e-5)
        mean = (up.mean - down.mean)[seen] / 2e-5
        covariance = (up.covariance - down.covariance)[np.ix_(seen, seen)][rows, columns] / 2e-5
        assert np.allclose(means[:, k], mean, atol=1e-7), name
        assert np.allclose(covariances[:, k], covariance, atol=1e-7), name

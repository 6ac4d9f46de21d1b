"""What the planner cannot run yet is refused with its place."""

import numpy as np
import pytest
from modelling import attempt, example_table

from mlbayes import pipeline
from mlbayes.plan.starts import start_state
from mlbayes.problems import ProblemError, ProblemKind
from mlbayes.source import Source

DATA = "y,x,z\n" + "\n".join(f"{i % 7},{i % 5},{(i * i) % 11 + 1}" for i in range(40)) + "\n,1,2\n3,,4\n"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("MODEL: y ~ x@a z@b; y@v; PARAMETERS: b = sqrt(v);", "variance 'v'"),
        ("MODEL: y ~ x@a z@b; PARAMETERS: b = sqrt(y.totalvar);", "'y.totalvar'"),
        ("MODEL: y ~ x@a z@b; PARAMETERS: b = ifelse(a > 1, a, 1);", "'ifelse' of labels"),
        ("MODEL: y ~ z@a (exp(a*x));", "function of labels and of 'x'"),
        ("MODEL: y ~ z; x ~ z; y@v; x@w; PARAMETERS: w = 2*v;", "constraint on the variance 'w'"),
        ("MODEL: y ~ (exp(x)) z;", "function of 'x'"),
        ("COUNT: x; MODEL: x ~ 1; WEIGHT: z;", "sampling weights are not defined"),
        ("MODEL: var(y) ~ x@a z; y ~ x@a;", "'a' in 'var(y)'"),
        ("MODEL: var(y) ~ x z; y ~ x x^2;", "a power of 'x'"),
        ("ORDINAL: x; MODEL: y ~ 1; z ~ 1; y ~~ z; var(y) ~ x;", "incomplete ordinal 'x'"),
    ],
)
def test_refusals_have_a_place(tmp_path, model, words):
    (tmp_path / "data.csv").write_text(DATA)
    text = f"DATA: data.csv; {model} SEED: 1;"
    path = tmp_path / "model.inp"
    path.write_text(text)
    with pytest.raises(ProblemError) as caught:
        built, _ = pipeline.understand(Source(path, text))
        pipeline.plan(built)
    problem = caught.value.problems[0]
    assert problem.kind is ProblemKind.UNSUPPORTED
    assert words in problem.message
    assert problem.span is not None


def test_weights_of_clusters_and_named_effects_are_refused():
    """An equation with weighted clusters is drawn by itself."""
    table = example_table()
    table.columns["w"].values[:] = np.exp(table.columns["w"].values)
    text = "CLUSTERID: pupil; WEIGHT: w; RANDOMEFFECT: u = y | z [pupil]; MODEL: y ~ z | z; m ~ u;"
    built, problems = attempt(text, table)
    assert problems == []
    with pytest.raises(ProblemError) as caught:
        pipeline.plan(built)
    (problem,) = caught.value.problems
    assert "the random effect 'u'" in problem.message
    assert problem.span is not None


def test_functions_without_starting_values_have_a_place(tmp_path):
    """A function of labels that is nowhere finite within the bounds of its labels."""
    (tmp_path / "data.csv").write_text(DATA)
    path = tmp_path / "model.inp"
    text = "DATA: data.csv; FIXED: z; MODEL: y ~ 1 (ln(rate - 5 - z)); PARAMETERS: rate ~ truncate(0, 5);"
    path.write_text(text)
    built, _ = pipeline.understand(Source(path, text))
    with pytest.raises(ProblemError) as caught:
        start_state(pipeline.plan(built), np.random.default_rng(1))
    (problem,) = caught.value.problems
    assert problem.kind is ProblemKind.NUMERICAL
    assert "functions of rate" in problem.message
    assert problem.span is not None

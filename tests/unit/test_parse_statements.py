"""Statements as nodes."""

from pathlib import Path

import pytest

from mlbayes.language.nodes import (
    Binary,
    Call,
    Centre,
    Constraint,
    Covariance,
    Definition,
    Dropout,
    Latent,
    Loading,
    Moderator,
    Name,
    Nominal,
    Number,
    Prior,
    RandomEffect,
    RandomTerm,
    Regression,
    Simple,
    SimulateStatement,
    Term,
    Unary,
    Variance,
    WaldTest,
    Word,
)
from mlbayes.language.parse import parse_script
from mlbayes.language.printer import print_formula, print_term
from mlbayes.source import Source


def parse(text):
    script, problems = parse_script(Source(Path("model.imp"), text))
    assert not problems
    return script


def model(text):
    return parse(f"MODEL: {text};").model


def equation(text):
    (regression,) = model(text)
    return [print_term(term.expression, term.tag) for term in regression.terms]


X, Y, Z, ONE = Name("x"), Name("y"), Name("z"), Name("intercept")


@pytest.mark.parametrize("operator", ["~", "<-"])
def test_regression(operator):
    assert model(f"y {operator} 1@-3 x@b z") == (
        Regression((Y,), (Term(ONE, Number(-3.0)), Term(X, Name("b")), Term(Z))),
    )


def test_outcomes():
    assert model("a b ~ x")[0].outcomes == (Name("a"), Name("b"))
    assert model("{ a1:a2 b } ~ x")[0].outcomes == (Name("a1"), Name("a2"), Name("b"))
    assert model("{a b} ~ x")[0].parallel
    assert model("logit(y) ~ 1@0")[0].outcomes == (Call("logit", (Y,)),)
    assert model("ln (y+1) ~ x")[0].outcomes == (Call("ln", (Binary("+", Y, Number(1.0)),)),)
    assert print_formula(model("(1/(y+1)) ~ x")[0].outcomes[0]) == "1/(y+1)"
    assert model("y.missing ~ x")[0].outcomes == (Name("y.missing"),)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("y ~ 0", ["0"]),
        ("y ~ intercept x", ["Intercept", "x"]),
        ("y ~ x1:x3@b", ["x1@b", "x2@b", "x3@b"]),
        ("y ~ x (week==1)@h (week>0)*y.lag", ["x", "(week==1)@h", "(week>0)*y.lag1"]),
        ("y ~ x^2 (x**2) drug*week^2 x*y*z", ["(x^2)", "(x^2)", "drug*(week^2)", "x*y*z"]),
        ("y ~ (x<-1) (x <- 1)@b", ["(x<-1)", "(x<-1)@b"]),
        ("y ~ (y.lag – mu)@phi x.mean[school]@.5", ["(y.lag1-mu)@phi", "x.mean[school]@0.5"]),
        ("y ~ x1:+:x3 n.2@b2", ["(x1+x2+x3)", "n.2@b2"]),
        ("y ~ ifelse(t <= 1, 0, y.lag) sqrt (x)", ["ifelse(t<=1,0,y.lag1)", "sqrt(x)"]),
    ],
)
def test_terms(text, terms):
    assert equation(text) == terms


@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("x", (RandomTerm(X),)),
        ("0", (RandomTerm(Number(0.0)),)),
        ("1@0 x", (RandomTerm(ONE, tag=Number(0.0)), RandomTerm(X))),
        ("1[a] intercept [b]@v", (RandomTerm(ONE, "a"), RandomTerm(ONE, "b", Name("v")))),
        ("x1:x2[a]@v", (RandomTerm(Name("x1"), "a", Name("v")), RandomTerm(Name("x2"), "a", Name("v")))),
        ("x*z[a]", (RandomTerm(Binary("*", X, Z), "a"),)),
    ],
)
def test_random_terms(text, random):
    assert model(f"y ~ x | {text}")[0].random == random
    assert model("y ~ x")[0].random is None


@pytest.mark.parametrize("arrow", ["->", "=~", "–>"])
def test_loadings(arrow):
    assert model(f"f {arrow} i1@l1 i2:i3") == (
        Loading((Term(Name("f")),), (Term(Name("i1"), Name("l1")), Term(Name("i2")), Term(Name("i3")))),
    )
    assert model(f"1 z*f {arrow} y")[0].left == (Term(ONE), Term(Binary("*", Z, Name("f"))))
    assert model(f"f {arrow} yjt(y)@1")[0].targets == (Term(Call("yjt", (Y,)), Number(1.0)),)


@pytest.mark.parametrize("arrow", ["~~", "<->"])
def test_covariances(arrow):
    assert model(f"x y {arrow} y@r z@1") == (Covariance((X, Y), (Term(Y, Name("r")), Term(Z, Number(1.0)))),)


def test_variances():
    assert model("y0:y1@v") == (Variance((Name("y0"), Name("y1")), Name("v")),)
    assert model("x y@2") == (Variance((X, Y), Number(2.0)),)
    assert model("x@1 y@v") == (Variance((X,), Number(1.0)), Variance((Y,), Name("v")))


def test_definitions_and_precedence():
    assert model("d = -x^2 + y*z") == (
        Definition("d", Binary("+", Unary("-", Binary("^", X, Number(2.0))), Binary("*", Y, Z))),
    )
    (definition,) = model("d = x<-1 and y >= 2 or z != 3")
    assert print_formula(definition.expression) == "x<-1 and y>=2 or z!=3"


def test_loops():
    assert [r.outcomes[0].name for r in model("{ t in 2:3 } : y[t]w ~ y[t-1]@ar")] == ["y2w", "y3w"]
    nodes = model("{ v in a b, i in 1:2 }: r[v][i] = [v][i] - f[v][school]")
    assert [(node.name, print_formula(node.expression)) for node in nodes] == [
        ("ra1", "a1-fa[school]"),
        ("ra2", "a2-fa[school]"),
        ("rb1", "b1-fb[school]"),
        ("rb2", "b2-fb[school]"),
    ]
    (first, second) = model("m: { I in 1:2 } : f ~ (study==[i])@[i-1] | x[i]")
    assert first.terms[0] == Term(Binary("==", Name("study"), Number(1.0)), Number(0.0))
    assert second.random == (RandomTerm(Name("x2")),)
    assert first.block == "m"
    assert parse("PARAMETERS: { i in 1:2 }: p[i] = phi(b[i]);").parameters[1].name == "p2"


def test_nodes_of_a_loop_have_its_place():
    text = "MODEL: { t in 2:3 } : y[t] ~ x;"
    script = parse(text)
    for node in script.model:
        assert text[node.span.start : node.span.end] == "{ t in 2:3 } : y[t] ~ x"
        assert node.terms[0].span == node.span


def test_places():
    text = "MODEL: b: y ~ x (z - 1)@c | q[s];"
    (regression,) = parse(text).model
    parts = [regression, regression.terms[1], regression.terms[1].tag, regression.random[0]]
    assert [text[part.span.start : part.span.end] for part in parts] == [
        "y ~ x (z - 1)@c | q[s]",
        "(z - 1)@c",
        "c",
        "q[s]",
    ]


def test_lists():
    script = parse(
        """VARIABLES: id y1_i:y2_i v2_j:v3_j m.1:m.2 x08:x10;
        NOMINAL: arm(3) n1:n2; CENTER: cgm = x; cwc = z; groupmean = q; grandmean = x.mean[s]; y;
        LATENT: f1 f2; school = b; RANDOMEFFECT: u0 = y | 1 [school]; u1 = y | x [school];
        DROPOUT: quit = y; TRANSFORM: l = ln(v); FILTER: x<-1;"""
    )
    assert " ".join(name.name for name in script.variables) == "id y1_i y2_i v2_j v3_j m.1 m.2 x08 x09 x10"
    assert script.nominal == (Nominal(Name("arm"), 3), Nominal(Name("n1")), Nominal(Name("n2")))
    assert [centre.kind for centre in script.centre] == ["grand", "group", "group", "grand", ""]
    assert script.centre[3] == Centre(Name("x.mean", "s"), "grand")
    assert script.latent[1:] == (Latent(Name("f2"), None), Latent(Name("b"), Word("school")))
    assert script.random_effects[0] == RandomEffect(Name("u0"), Y, ONE, Word("school"))
    assert script.random_effects[1].predictor == X
    assert script.dropout == (Dropout(Name("quit"), Y),)
    assert script.transform == (Definition("l", Call("ln", (Name("v"),))),)
    assert script.filter == (Binary("<", X, Unary("-", Number(1.0))),)


def test_parameters():
    nodes = parse(
        "PARAMETERS: ab = a*b; b1:b2 ~ normal(0, 10); l ~ trunc(0, Inf); v ~ ig(1, .5); s ~ iw(3, 1);"
    ).parameters
    assert nodes[0] == Definition("ab", Binary("*", Name("a"), Name("b")))
    assert nodes[1:3] == (Prior(Name("b1"), "normal", (0.0, 10.0)), Prior(Name("b2"), "normal", (0.0, 10.0)))
    assert [(prior.family, *prior.arguments) for prior in nodes[3:]] == [
        ("truncate", 0.0, float("inf")),
        ("ig", 1.0, 0.5),
        ("iw", 3.0, 1.0),
    ]


def test_wald_tests():
    tests = parse("WALDTEST: b1:b2 = 0; c = d1:d2; e = -.5; WALDTEST: y ~ x | x;").wald_tests
    b1, b2, c, d1, d2 = map(Name, ("b1", "b2", "c", "d1", "d2"))
    assert tests[0] == WaldTest(
        (
            Constraint((b1, b2), Number(0.0)),
            Constraint((c,), (d1, d2)),
            Constraint((Name("e"),), Number(-0.5)),
        )
    )
    assert tests[1].nested == Regression((Y,), (Term(X),), (RandomTerm(X),))


def test_simple():
    script = parse("SIMPLE: x | m @ quantile and z @ -1; b1 + b2*m | m @ quartiles; x | d.1;")
    assert script.simple[0] == Simple(X, (Moderator(Name("m"), Name("quantile")), Moderator(Z, Number(-1.0))))
    assert script.simple[1].moderators == (Moderator(Name("m"), Name("quartile")),)
    assert print_formula(script.simple[1].focal) == "b1+b2*m"
    assert script.simple[2].moderators == (Moderator(Name("d.1")),)


def test_simulate():
    statements = parse(
        """SIMULATE: wave(1) = 5 * 200; person(2) = 200; define: rel = .7; mu := 2; a ~~ b = .3;
        person: x1:x2 <- normal(0, 1);"""
    ).simulate
    assert [(s.operator, s.level, s.block) for s in statements] == [
        ("=", 1, None),
        ("=", 2, None),
        ("=", None, "define"),
        (":=", None, "define"),
        ("~~", None, "define"),
        ("~", None, "person"),
    ]
    assert statements[4] == SimulateStatement((Name("a"), Name("b")), Number(0.3), "~~", None, "define")
    assert statements[5].targets == (Name("x1"), Name("x2"))

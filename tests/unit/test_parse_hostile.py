"""Whatever the text, parsing returns a script and problems, and does so quickly."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbayes.language.commands import COMMANDS, FUNCTIONS
from mlbayes.language.nodes import Script
from mlbayes.language.parse import MAX_PROBLEMS, parse_script
from mlbayes.language.syntax import blimp_grammar
from mlbayes.problems import render
from mlbayes.source import Source

GOOD = """VARIABLES: id t y x1:x6; CLUSTERID: id; LATENT: id = a b; CENTER: cgm = x1 x2.mean;
MODEL: one: y ~ 1@a x1*x2@b1 (x3 - 2)@b x4^2 | 1[id] x1[id]@v; f -> x1@l x2:x3; a ~~ b@r; f@1;
{ i in 1:3, v in p q } : var([v][i]) ~ 1@[i-1] (t==[i]); d = ifelse(t <= 1, 0, y.lag - x1:+:x3);
PARAMETERS: c = phi(b1) + 1 / .5; b1 ~ truncate(0, Inf); SIMPLE: x1 | x2 @ quantile and x3 @ 1;
WALDTEST: b1 = 0; b1:b3 = c; SIMULATE: n = 5; n: u ~ normal(0, 1); a ~~ b := .3; NOMINAL: g(3);
SEED: 1; BURN: 10; CHAINS: 2 processors 2; OPTIONS: hev; SAVE: stacked = a.csv; FILTER: x<-1 and y;
"""
WORDS = (
    [command.name + ":" for command in COMMANDS]
    + [function.name + "(" for function in FUNCTIONS]
    + "~ ~~ <- <-> -> =~ = := == < <= | @ ( ) [ ] { } , ; : :+: + - * / ^ ** and or in # \" ' 1 0 .5 1e9 "
    "x y x1 x1:x3 x.lag [i] {i in 1:3}: one: – \n \t \0 é ² ٣ 1 y[t-1]".split(" ")
)


def check(text):
    source = Source(Path("fuzz.imp"), text)
    script, problems = parse_script(source)
    assert isinstance(script, Script)
    assert len(problems) <= MAX_PROBLEMS + 1
    for problem in problems:
        assert render(problem, source)
        assert problem.span is None or 0 <= problem.span.start <= problem.span.end <= len(text)
    repr(script), hash(script.model), script == script  # noqa: B015  deep trees can be walked


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_random_words(words):
    check(" ".join(words))
    check("".join(words))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(COMMANDS), st.lists(st.sampled_from(WORDS), max_size=12))
def test_random_bodies(command, words):
    check(f"{command.name}: {' '.join(words)};")


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.sampled_from([*WORDS, ""])),
        min_size=1,
        max_size=5,
    )
)
def test_mutations(edits):
    text = GOOD
    for place, removed, inserted in edits:
        text = text[:place] + inserted + text[place + removed :]
    check(text)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=80))
def test_any_text(text):
    check(text)
    check("MODEL: " + text)


def test_the_good_script_is_good():
    assert parse_script(Source(Path("good.imp"), GOOD))[1] == []


MANY = 20_000
HOSTILE = {
    "open parentheses": "MODEL: y ~ " + "(" * MANY,
    "nested parentheses": "MODEL: y ~ " + "(" * 201 + "x" + ")" * 201 + ";",
    "nested calls": "TRANSFORM: y = " + "ln(" * MANY + "x" + ")" * MANY + ";",
    "long sum": "TRANSFORM: y = " + "x+" * MANY + "x;",
    "signs": "TRANSFORM: y = " + "-" * MANY + "x;",
    "powers": "TRANSFORM: y = " + "x^" * MANY + "x;",
    "long product": "MODEL: y ~ " + "x*" * MANY + "x;",
    "many digits": "SEED: " + "9" * 5000 + "; MODEL: y ~ x@" + "9" * 5000 + ";",
    "digits in a range": "VARIABLES: x1:x" + "9" * 5000 + ";",
    "ranges": "VARIABLES: " + "x1:x99999 " * 2000 + ";",
    "loops": "MODEL: " + "{ i in 1:9999 } : y[i] ~ x;" * 300,
    "loop of loops": "MODEL: { i in 1:99, j in 1:99, k in 1:99, l in 1:99 } : y ~ x[i];",
    "long name": "MODEL: " + "x" * 1_000_000 + " ~ y;",
    "blanks": "CHAINS: 4" + " " * 500_000 + "x; MODEL: x" + " " * 500_000 + "y;",
    "labels": "MODEL: " + "a:" * 200_000,
    "commands": "DATA: x " * 50_000,
    "semicolons": ";" * 1_000_000,
    "quotes": 'DATA: "' * MANY,
    "hashes": "#" * 500_000,
    "statements in error": "MODEL: " + "y ~ ;" * 50_000,
    "unknown commands": "ORDINAL: x; " + "FIX: z; " * MANY,
    "brackets": "MODEL: { i in 1:2 } : y ~ " + "[" * MANY + "i" + "]" * MANY + ";",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scripts_take_little_time(name):
    blimp_grammar()
    started = time.process_time()
    check(HOSTILE[name])
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["open parentheses", "nested parentheses", "long sum", "signs", "powers"])
def test_depth_has_its_own_error(name):
    problems = parse_script(Source(Path("deep.imp"), HOSTILE[name]))[1]
    assert any("200 deep" in problem.message for problem in problems)

"""A script with errors of syntax is still held against its data, without false alarms."""

from pathlib import Path

import pytest

from mlbayes.language.parse import parse_script
from mlbayes.language.recovery import Damage
from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Source, Span


def damage(text):
    source = Source(Path("model.inp"), text)
    problems = parse_script(source)[1]
    return source, problems, Damage(source, problems)


def at(source, word, message="unknown"):
    start = source.text.rindex(word)
    return Problem(message, Span(start, start + len(word)))


def test_a_sound_script_hides_nothing():
    source, problems, found = damage("DATA: a.csv; MODEL: y ~ x;")
    later = [at(source, "x"), Problem("without a place")]
    assert problems == [] and found.spares_the_data and found.independent(later) == later


def test_consequences_are_held_back_and_others_told():
    source, problems, found = damage(
        "DATA: a.csv; MODEL: y ~ x@lab +; z ~ other; PARAMETERS: p = lab + wrong;"
    )
    assert len(problems) == 1 and found.spares_the_data
    other, wrong, lab = at(source, "other"), at(source, "wrong"), at(source, "lab")
    assert found.independent([other, wrong, lab, Problem("no place")]) == [other, wrong]
    assert found.independent([at(source, "p = lab + wrong", "'lab' is not defined")]) == []
    ragged = Problem("ragged", kind=ProblemKind.DATA, place="a.csv, line 3")
    assert found.independent([ragged]) == [ragged]


def test_what_a_broken_definition_would_have_defined():
    source, _, found = damage("DATA: f; TRANSFORM: a = nofunction(x); b = a + 1; d = x; MODEL: y ~ b d;")
    assert found.words == {"a", "b"}
    assert found.independent([at(source, "d"), at(source, "b")]) == [at(source, "d")]


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("DATA: a.csv; VARIABLES: x y z!; MODEL: y ~ x;", False),
        ("DATA: a.csv; VARIABELS: x y z; MODEL: y ~ x;", False),
        ("DATA: a.csv; BRUN: 10; MODEL: y ~ x;", True),
        ("DATA: a.csv; VARIABLES: x y MODEL: y ~ x;", True),
        ("DATA: a.csv; MODEL: y ~ x; BURN: many;", True),
    ],
)
def test_the_data_are_read_where_their_commands_are_sound(text, readable):
    _, problems, found = damage(text)
    assert problems and found.spares_the_data is readable

"""The tables of words and what is generated from them."""

from dataclasses import fields

from mlbayes.language.commands import COMMANDS, FUNCTIONS, OPTIONS, SAVE
from mlbayes.language.nodes import Script
from mlbayes.language.reference import render_reference


def test_every_row_is_in_the_reference():
    text = render_reference()
    for row in (*COMMANDS, *OPTIONS, *SAVE, *FUNCTIONS):
        starts = (f"| `{row.name}`", f"| `{row.name}:`")
        assert any(line.startswith(starts) and row.help in line for line in text.splitlines()), row.name
    for command in COMMANDS:
        for alias in command.aliases:
            assert f"`{alias}:`" in text


def test_every_command_has_a_place_in_the_script():
    attributes = {field.name for field in fields(Script)} - {"source", "command_spans"}
    assert {command.field for command in COMMANDS} == attributes


def test_no_word_is_listed_twice():
    for table in (COMMANDS, OPTIONS, SAVE):
        words = [word for row in table for word in (row.name, *row.aliases)]
        assert len(words) == len(set(words))

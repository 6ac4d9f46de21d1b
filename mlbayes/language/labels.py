"""The word before a colon at the beginning of a statement: a block label, a range or a misspelt command."""

from __future__ import annotations

import difflib
import re

from mlbayes.language.commands import OTHER_COMMANDS, RESERVED, SAVE, find_keyword
from mlbayes.language.expand import is_range
from mlbayes.language.split import Statement, nearest_command, shortened
from mlbayes.problems import Problem, ProblemError

_LABEL = re.compile(r"\s*(?P<label>[\w.]+)(?P<blank>\s*):(?![+=])(?P<next>[\w.]*)")

_DEFINITION = re.compile(r"[\w.]+\s*=(?![=~])")
_DEFINING = ("parameters", "transform", "save")


def take_label(statement: Statement) -> tuple[str | None, Statement]:
    """The block label in front of a statement, and the statement without it.

    `y1:y4` without a blank is a range when its ends fit together, otherwise `y1` is a label.
    """
    label: str | None = None
    end = 0
    while match := _LABEL.match(statement.text, end):
        if not match["blank"] and is_range(match["label"], match["next"]):
            break
        label = match["label"].lower()
        end = match.end("blank") + 1
    return label, statement.after(end)


def begins_unknown_command(statement: Statement) -> bool:
    """Whether a statement that takes no label begins with a misspelt command: not `x1:x3`, not `C:/file`."""
    match = _LABEL.match(statement.text)
    if match is None or not match["blank"] and is_range(match["label"], match["next"]):
        return False
    following = statement.text[match.end("blank") + 1 :][:1]
    return not following.strip() or nearest_command(match["label"]) != ""


def lacks_colon(statement: Statement) -> bool:
    """Whether a statement that could not be read begins with the name of a command in capitals, without its colon."""
    word = statement.text.split(None, 1)[0] if statement.text else ""
    return word.isupper() and word in RESERVED


def check_label(label: str, statement: Statement) -> None:
    """Refuse a label that is one letter away from a command in which the statement could stand as well.

    After MODEL, `PARAMETER: c = a*b;` would otherwise silently define a variable of the model.
    """
    if difflib.get_close_matches(label, _DEFINING, n=1, cutoff=0.8) and _DEFINITION.match(statement.text):
        message = f"'{label}:' is too close to the name of a command for a block label"
        raise ProblemError([Problem(message, statement.span)])


def foreign_command(word: str) -> str:
    """A hint for a word that is a command in another program, or a keyword of SAVE."""
    if find_keyword(SAVE, word):
        return f"entries of SAVE look like '{word.lower()} = file.csv'"
    return OTHER_COMMANDS.get(word.upper(), "")


def unknown_command(statement: Statement) -> Problem:
    """The problem of a statement that belongs to no command."""
    match = re.match(r"([\w.]+)(\s*:)?", statement.text)
    if match is None:
        return Problem("this belongs to no command", statement.span, "commands look like 'DATA: file.dat;'")
    place, word = statement.place(0, len(match[1])), match[1]
    if match[2]:
        hint = foreign_command(word) or nearest_command(word)
        return Problem(f"there is no command '{shortened(word)}'", place, hint)
    if word.upper() in RESERVED:
        return Problem(f"a ':' is missing after '{word}'", place)
    hint = nearest_command(word) or "commands look like 'DATA: file.dat;'"
    return Problem(f"'{shortened(word)}' belongs to no command", place, hint)

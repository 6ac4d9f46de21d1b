"""Bodies that are words rather than expressions: file names, codes, whole numbers and keywords."""

from __future__ import annotations

import re

from mlbayes.language.build_expressions import problem
from mlbayes.language.commands import OPTIONS, SAVE, Command, find_keyword, spellings
from mlbayes.language.nodes import Save, Setting, Word
from mlbayes.language.split import Statement, shortened
from mlbayes.problems import Problem, nearest
from mlbayes.source import Span

MAX_SETTING = 10**12

_WORD = re.compile(r'"[^"]*"|[^\s,"]+')
_WHOLE_NUMBER = re.compile(r"[0-9]+")
_ALMOST_WHOLE = re.compile(r"[0-9][0-9.,'_ e+]*", re.IGNORECASE)
_PROCESSORS = re.compile(r"([0-9]+)\s+processors\s+[0-9]+", re.IGNORECASE)
_SAVE = re.compile(r"([\w.]+)\s*=\s*(.+)", re.DOTALL)


def read_words(statement: Statement) -> tuple[Word, ...]:
    """Words separated by blanks or commas, as written."""
    return tuple(
        Word(match[0].strip('"'), statement.place(match.start(), match.end()))
        for match in _WORD.finditer(statement.text)
    )


def read_file(statement: Statement) -> Word:
    """A file name; it may contain blanks and may stand in quotes."""
    text = statement.text.strip('"').strip()
    if not text or "\n" in text:
        raise problem("expected one file name", statement.span)
    return Word(text, statement.span)


def read_setting(command: Command, statement: Statement) -> Setting:
    """A whole number within the bounds of its command; CHAINS may add `processors k`."""
    text = statement.text
    if command.name == "CHAINS":  # the number of processors is no business of the script
        match = _PROCESSORS.fullmatch(text)
        text = match[1] if match else text
    span = statement.place(0, len(text))
    digits = text.lstrip("0") or text[-1:]
    if not _WHOLE_NUMBER.fullmatch(text):
        hint = "write it in digits alone, as in 10000" if _ALMOST_WHOLE.fullmatch(text) else ""
        raise problem(f"{command.name} takes a whole number, found '{shortened(text)}'", span, hint)
    if len(digits) > len(str(MAX_SETTING)) or int(digits) > MAX_SETTING:
        raise problem(f"the number of {command.name} is too large", span)
    if int(digits) < command.least:
        raise problem(f"{command.name} must be at least {command.least}", span)
    return Setting(int(digits), span)


def read_options(statement: Statement) -> tuple[list[Word], list[Problem]]:
    """Keywords of OPTIONS in their first spelling, and the words that are none."""
    known: list[Word] = []
    problems: list[Problem] = []
    for word in read_words(statement):
        row = find_keyword(OPTIONS, word.text)
        if row is None:
            message = f"there is no option '{shortened(word.text.lower())}'"
            problems.append(Problem(message, word.span, nearest(word.text[:40], spellings(OPTIONS))))
        else:
            known.append(Word(row.name, word.span))
    return known, problems


def read_save(statement: Statement) -> Save:
    """`keyword = file`."""
    match = _SAVE.fullmatch(statement.text)
    if match is None:
        raise problem("SAVE takes entries of the form 'keyword = file'", statement.span, "stacked = imps.csv")
    span = statement.place(*match.span(1))
    row = find_keyword(SAVE, match[1])
    if row is None:
        hint = nearest(match[1][:40], spellings(SAVE))
        raise problem(f"SAVE has no keyword '{shortened(match[1].lower())}'", span, hint)
    start, end = match.span(2)
    file = Statement(match[2], statement.start + start)
    if "=" in match[2] and "\n" in match[2]:
        raise problem("a ';' is missing between two entries of SAVE", _last_of_line(statement, start, end))
    return Save(Word(row.name, span), read_file(file))


def _last_of_line(statement: Statement, start: int, end: int) -> Span:
    line = statement.text[start:end].split("\n")[0].rstrip()
    return statement.place(start + len(line) - 1, start + len(line))

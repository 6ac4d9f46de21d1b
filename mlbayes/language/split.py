"""From the text of a script to its commands and statements; nothing is parsed here.

Every step keeps the length of the text, so that offsets refer to the script as the user sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mlbayes.language.commands import RESERVED, Command
from mlbayes.problems import Problem, nearest
from mlbayes.source import Span

# A word processor turns "-" and "->" into dashes; blanks of all kinds are left to the grammar.
_DASHES = str.maketrans({"–": "-", "—": "-", "−": "-", "\ufeff": " "})
_COMMENT = re.compile(r'"[^"\n]*"|#[^\n]*')
_PIECE = re.compile(r'"[^"\n]*"|;|(?P<word>[\w.]+)(?P<colon>\s*:(?![=+]))?')


@dataclass(frozen=True)
class Statement:
    """The text between two semicolons without blanks around it; `start` is its offset in the script.

    A statement made by a loop has another text than the script: then `loop` is the place of the loop.
    """

    text: str
    start: int
    loop: Span | None = None

    @property
    def span(self) -> Span:
        """The place of the statement in the script."""
        return self.loop or Span(self.start, self.start + len(self.text))

    def place(self, start: int, end: int) -> Span:
        """The place in the script of a stretch of the statement's text."""
        return self.loop or Span(self.start + start, self.start + end)

    def after(self, offset: int) -> Statement:
        """The statement without its first `offset` characters and the blanks that follow."""
        rest = self.text[offset:]
        return Statement(rest.lstrip(), self.start + offset + len(rest) - len(rest.lstrip()), self.loop)


@dataclass
class Section:
    """A command of the script with its statements; `command` is None before the first command."""

    command: Command | None
    word: str
    span: Span
    statements: list[Statement] = field(default_factory=list)


def clean_text(text: str) -> str:
    """The script with comments blanked out and typographic dashes made plain."""
    return _COMMENT.sub(_blank_comment, text.translate(_DASHES))


def _blank_comment(match: re.Match[str]) -> str:
    return " " * len(match[0]) if match[0].startswith("#") else match[0]


def split_script(text: str) -> tuple[list[Section], list[Problem]]:
    """Cut a cleaned script into commands and statements; report missing semicolons.

    The name of a command wins wherever a colon follows it, in the middle of a statement as well:
    then the semicolon before it was forgotten.
    """
    sections = [Section(None, "", Span(0, 0))]
    problems: list[Problem] = []
    start = 0
    for match in _PIECE.finditer(text):
        if match[0] == ";":
            _add_statement(sections[-1], text, start, match.start())
            start = match.end()
        elif match["colon"] and match["word"].upper() in RESERVED:
            if _add_statement(sections[-1], text, start, match.start()):
                where = f"before '{match['word']}:'"
                problems.append(_missing_semicolon(text, start, match.start(), where))
            command = RESERVED[match["word"].upper()]
            word = Span(match.start("word"), match.end("word"))
            sections.append(Section(command, match["word"], word))
            start = match.end()
    if _add_statement(sections[-1], text, start, len(text)):
        problems.append(_missing_semicolon(text, start, len(text), "at the end of the script"))
    return sections, problems


def _add_statement(section: Section, text: str, start: int, end: int) -> bool:
    statement = Statement(text[start:end].rstrip(), start).after(0)
    if statement.text:
        section.statements.append(statement)
    return bool(statement.text)


def _missing_semicolon(text: str, start: int, end: int, where: str) -> Problem:
    last = start + len(text[start:end].rstrip())
    return Problem(f"a ';' is missing {where}", Span(last - 1, last))


def nearest_command(word: str, likeness: float = 0.6) -> str:
    """A hint that names the command closest to a misspelt one; `likeness`: from 0 to 1, how close it must be."""
    hint = nearest(word[:40], [name.lower() for name in RESERVED], likeness)
    return re.sub(r"'(\w+)'", lambda match: f"'{match[1].upper()}:'", hint)


def shortened(text: str) -> str:
    """A text that fits into a message."""
    return text if len(text) <= 40 else text[:37] + "..."

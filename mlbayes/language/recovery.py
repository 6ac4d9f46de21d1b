"""Which problems of later stages are worth telling of a script that has errors of syntax.

A statement in error is left out of the tree, so whatever it declared is unknown later.  A problem that
mentions a word of such a statement may be a mere consequence and is held back until the statement
is mended; all others stand on their own and are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlbayes.language.commands import LABELLED
from mlbayes.language.labels import begins_unknown_command, lacks_colon
from mlbayes.language.parse import MAX_PROBLEMS
from mlbayes.language.split import Section, clean_text, nearest_command, split_script
from mlbayes.problems import Problem, ProblemKind
from mlbayes.source import Source, Span

DATA_COMMANDS = frozenset({"DATA", "VARIABLES", "MISSING", "CLUSTERID", "SIMULATE"})


_DEFINITION = re.compile(r"\s*([\w.]+)\s*=(?![=>])")


class Damage:
    """What the syntax errors of a script have cost.

    `words`: names that may be unknown or mean something else: what a broken definition defines, every
    word of another broken statement, and what is defined by means of these.  `commands`: where statements
    are missing.
    """

    def __init__(self, source: Source, problems: Iterable[Problem]) -> None:
        self._source = source
        sections, forgiven = split_script(clean_text(source.text))  # a missing semicolon costs nothing
        found = list(problems)
        broken = [problem for problem in found if problem not in forgiven]
        self.words: set[str] = set()
        self.commands: set[str] = set()
        self._unread = len(found) > MAX_PROBLEMS  # of what stands behind them nothing is known
        for problem in broken:
            for section in sections:
                if problem.span is not None and _contains(section, problem.span):
                    self._add(section, problem.span)
        statements = [statement.text for section in sections for statement in section.statements]
        while grown := _defined_by(statements, self.words) - self.words:
            self.words |= grown

    def _add(self, section: Section, place: Span) -> None:
        text = " ".join(_texts(section, place))
        definition = _DEFINITION.match(text)
        self.words.update([definition[1].lower()] if definition and "@" not in text else _words(text))
        misspelt = re.match(r"([\w.]+)\s*:", text)
        if misspelt:  # it only seems to belong to the command before it
            self.commands |= DATA_COMMANDS & set(re.findall(r"\w+", nearest_command(misspelt[1]).upper()))
        elif section.command is not None:
            self.commands.add(section.command.name)

    @property
    def spares_the_data(self) -> bool:
        """Can the data be read as the script means it."""
        return not self._unread and not self.commands & DATA_COMMANDS

    def independent(self, later: Iterable[Problem]) -> list[Problem]:
        """The problems of later stages that no statement in error can have caused."""
        return [problem for problem in later if not self._doubtful(problem)]

    def _doubtful(self, problem: Problem) -> bool:
        if problem.span is None:
            return bool(self.words) and problem.kind is not ProblemKind.DATA
        text = self._source.text[problem.span.start : problem.span.end]
        if text.upper() in self.commands:
            return True  # what it lacks may be what is in error
        return bool(self.words & {*_words(text), *quoted(problem)})


def quoted(problem: Problem) -> list[str]:
    """The names that a problem mentions."""
    return _words(" ".join(re.findall(r"'([^']*)'", problem.message)))


def _contains(section: Section, place: Span) -> bool:
    starts = [section.span, *(statement.span for statement in section.statements)]
    return any(span.start <= place.start <= span.end for span in starts)


def _texts(section: Section, place: Span) -> Iterator[str]:
    """The statement at a place; from a command on whose name was not understood, all that follows it."""
    labelled = section.command is not None and section.command.body in LABELLED
    lost = False
    for statement in section.statements:
        here = statement.span.start <= place.start <= statement.span.end
        unknown = lacks_colon(statement) or not labelled and begins_unknown_command(statement)
        lost = lost or here and unknown
        if here or lost:
            yield statement.text


def _defined_by(statements: Iterable[str], words: set[str]) -> set[str]:
    """The names whose definitions use any of the words."""
    definitions = ((_DEFINITION.match(text), text) for text in statements)
    return {match[1].lower() for match, text in definitions if match and words & set(_words(text))}


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z_][\w.]*", text.lower())

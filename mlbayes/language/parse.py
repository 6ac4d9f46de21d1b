"""A script file to its syntax tree, with everything that is wrong in it.

`parse_script` never raises: each statement is parsed for itself, and a statement in error is
reported and left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlbayes.language.build_script import build_nodes
from mlbayes.language.commands import LABELLED, LOOPED, SINGLE_STATEMENT, Body, Command
from mlbayes.language.expand import Budget, expand_loop
from mlbayes.language.labels import (
    begins_unknown_command,
    check_label,
    lacks_colon,
    take_label,
    unknown_command,
)
from mlbayes.language.nodes import Constraint, Name, Regression, Script, WaldTest
from mlbayes.language.split import Section, Statement, clean_text, split_script
from mlbayes.language.syntax import parse_statement
from mlbayes.language.syntax_help import with_label_hint
from mlbayes.language.words import read_file, read_options, read_save, read_setting, read_words
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.source import Source, Span

MAX_PROBLEMS = 100
MAX_BYTES = 1_000_000


def read_source(path: Path) -> Source:
    """Read a script file; raises ProblemError when it cannot be read as text."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # not all: the path may name an endless device
        if len(content) > MAX_BYTES:
            raise _unreadable(path, f"a script has at most {MAX_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file") from None
    except IsADirectoryError:
        raise _unreadable(path, "this is a folder, expected a script file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        start = error.object.rfind(b"\n", 0, error.start) + 1
        message = f"byte {error.start - start + 1} of this line is not UTF-8 text"
        raise _unreadable(path, message, "save the script as UTF-8", line) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unreadable(path, "this is not a text file (it contains NUL characters)", line=line)
    return Source(path, text.replace("\r\n", "\n").replace("\r", "\n"))


def _unreadable(path: Path, message: str, hint: str = "", line: int = 0) -> ProblemError:
    place = f"{path}, line {line}" if line else str(path)
    return ProblemError([Problem(message, hint=hint, kind=ProblemKind.FILE, place=place)])


def parse_script(source: Source) -> tuple[Script, list[Problem]]:
    """The syntax tree of a script and every problem found, in the order of the text."""
    sections, problems = split_script(clean_text(source.text))
    reader = _Reader(source, problems)
    for section in sections:
        if len(problems) < MAX_PROBLEMS:
            reader.read(section)
    problems += _repeated(reader.collected.get("variables", []), source)
    problems.sort(key=lambda problem: problem.span.start if problem.span else 0)
    if len(problems) >= MAX_PROBLEMS:
        message = f"after {MAX_PROBLEMS} errors the rest was not read"
        problems[MAX_PROBLEMS:] = [Problem(message, problems[MAX_PROBLEMS - 1].span)]
    return Script(source, **reader.fields(), command_spans=reader.command_spans), problems


class _Reader:
    """Collects the nodes of a script, command by command."""

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        self.budget = Budget()
        self.command_spans: dict[str, Span] = {}
        self.collected: dict[str, list[Any]] = {}
        self.once: dict[str, Any] = {}

    def fields(self) -> dict[str, Any]:
        """The collected nodes by the attribute of the script they belong to."""
        return {**{field: tuple(nodes) for field, nodes in self.collected.items()}, **self.once}

    def read(self, section: Section) -> None:
        """Read a command with all its statements."""
        command = section.command
        if command is None:
            self.problems += [unknown_command(statement) for statement in section.statements[:1]]
            return
        earlier = self.command_spans.get(command.name.lower())
        if earlier is not None and command.once:
            line, _ = self.source.line_and_column(earlier.start)
            message = f"{command.name} is given twice; the first one is in line {line}"
            self.problems.append(Problem(message, section.span))
            return
        self.command_spans.setdefault(command.name.lower(), section.span)
        if command.once and not section.statements:
            message = f"{command.name} is empty; expected a {command.body.form}"
            self.problems.append(Problem(message, section.span))
        if command.body is Body.WALDTEST:
            self._read_wald_test(command, section)
        else:
            nodes = self._read_statements(command, section)
            if not command.once:
                self.collected.setdefault(command.field, []).extend(nodes)
            elif nodes:
                self.once[command.field] = nodes[0]

    def _read_statements(self, command: Command, section: Section) -> list[Any]:
        nodes: list[Any] = []
        block: str | None = None
        for number, statement in enumerate(section.statements):
            second = number > 0 and command.body in SINGLE_STATEMENT
            if second or command.body not in LABELLED and begins_unknown_command(statement):
                self.problems.append(unknown_command(statement))
                break
            label, rest = take_label(statement) if command.body in LABELLED else (None, statement)
            block = label or block
            if len(self.problems) >= MAX_PROBLEMS:
                break
            try:
                if label:
                    check_label(label, rest)
                nodes += self._read_statement(command, rest, block)
            except ProblemError as error:
                if lacks_colon(statement):
                    self.problems.append(unknown_command(statement))
                    break
                self.problems += [
                    with_label_hint(problem, label) if label else problem for problem in error.problems
                ]
        return nodes

    def _read_statement(self, command: Command, statement: Statement, block: str | None) -> list[Any]:
        match command.body:
            case _ if not statement.text:
                return []
            case Body.FILE:
                return [read_file(statement)]
            case Body.WORDS:
                return list(read_words(statement))
            case Body.SETTING:
                return [read_setting(command, statement)]
            case Body.SAVE:
                return [read_save(statement)]
            case Body.OPTIONS:
                words, problems = read_options(statement)
                self.problems += problems
                return list(words)
            case Body.NAMES:
                return _checked_names(command, statement, self._parsed(command, statement, None))
            case body if body in LOOPED:
                expanded = expand_loop(statement, self.budget)
                return [node for text in expanded for node in self._parsed(command, text, block)]
            case _:
                return self._parsed(command, statement, block)

    def _parsed(self, command: Command, statement: Statement, block: str | None) -> list[Any]:
        tree = parse_statement(statement, command.body.value)
        nodes = build_nodes(tree, statement, self.budget, block)
        return list(nodes) if isinstance(nodes, tuple) else [nodes]

    def _read_wald_test(self, command: Command, section: Section) -> None:
        """One command is one test: constraints, or a nested equation on its own."""
        nodes = self._read_statements(command, section)
        constraints = tuple(node for node in nodes if isinstance(node, Constraint))
        nested = [node for node in nodes if isinstance(node, Regression)]
        if nested and len(nodes) > 1:
            message = "a nested equation must be the only statement of its WALDTEST"
            self.problems.append(Problem(message, nested[-1].span, "begin each test with 'WALDTEST:'"))
        elif nodes:
            test = WaldTest(constraints, nested[0] if nested else None, section.span)
            self.collected.setdefault(command.field, []).append(test)


def _repeated(variables: list[Name], source: Source) -> list[Problem]:
    """The names that VARIABLES gives to a second column."""
    problems, first = [], dict[str, Name]()
    for name in variables:
        if first.setdefault(name.name, name) is not name:
            line, column = source.line_and_column(first[name.name].span.start)
            message = f"VARIABLES has '{name.name}' twice; the first one is in line {line}, column {column}"
            problems.append(Problem(message, name.span, "every column needs a name of its own"))
    return problems


def _checked_names(command: Command, statement: Statement, names: list[Name]) -> list[Name]:
    if command.most is not None and len(names) > command.most:
        allowed = "one name" if command.most == 1 else f"at most {command.most} names"
        raise ProblemError([Problem(f"{command.name} takes {allowed}, found {len(names)}", statement.span)])
    return names

"""One statement of the script through the grammar: text to lark tree, or a Problem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from mlbayes.language.commands import FUNCTION_TABLE, WORDLIKE, Body
from mlbayes.language.split import Statement
from mlbayes.language.syntax_help import explain_character, explain_token
from mlbayes.problems import Problem, ProblemError

MAX_DEPTH = 200
MAX_TOKENS = 100_000
MAX_OPERATORS = 20_000  # of a statement: no expression that is not too deep needs more
STARTS = [body.value for body in Body if body not in WORDLIKE]

_PARENTHESIS = re.compile(r"\s*\(")
_OPERATORS = {"PLUS", "MINUS", "TIMES", "DIVIDE", "POWER", "COMPARISON", "AND", "OR"}
_OPENING, _CLOSING = {"LPAR", "LBRACE", "LSQB"}, {"RPAR", "RBRACE", "RSQB"}


@cache
def blimp_grammar() -> Lark:
    """The LALR parser of Blimp statements, with a start rule for each kind of command body."""
    text = _grammar_text("expressions.lark") + _grammar_text("blimp.lark")
    return Lark(
        text, start=STARTS, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False
    )


def _grammar_text(name: str) -> str:
    try:
        return resources.files("mlbayes.grammar").joinpath(name).read_text(encoding="utf-8")
    except ModuleNotFoundError:  # a source tree that is not installed: the folder lies beside the package
        return (Path(__file__).parents[2] / "grammar" / name).read_text(encoding="utf-8")


def parse_statement(statement: Statement, start: str) -> Tree[Token]:
    """The tree of a statement, its tokens placed in the script; raises ProblemError."""
    parser = blimp_grammar().parse_interactive(statement.text, start=start)
    seen: list[Token] = []
    try:
        for token in _tokens(parser.lexer_thread.lex(parser.parser_state), statement, start):
            parser.feed_token(token)
            seen.append(token)
        tree: Tree[Token] = parser.feed_eof(seen[-1] if seen else None)
    except UnexpectedCharacters as error:
        raise ProblemError([explain_character(statement, error.pos_in_stream or 0)]) from None
    except UnexpectedToken as error:
        raise ProblemError([explain_token(statement, start, seen, error.token, parser.accepts())]) from None
    _check_depth(tree, statement)
    return tree


def _tokens(lexed: Iterator[Token], statement: Statement, start: str) -> Iterator[Token]:
    """The tokens of a statement with places in the script; settles what the lexer alone cannot.

    Within parentheses and right of `=` there are no regressions, so `x<-1` compares with -1 there.
    There a name before a parenthesis is a function even if a blank stands between them.
    """
    depth, operators, computing = 0, 0, start == Body.FILTER.value
    for number, token in enumerate(lexed):
        operators += token.type in _OPERATORS
        if operators > MAX_OPERATORS:
            raise ProblemError([_too_deep(statement)])
        if number >= MAX_TOKENS:
            hint = "write several statements"
            message = f"the statement has more than {MAX_TOKENS:,} words and signs"
            raise ProblemError([Problem(message, statement.span, hint)])
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
        computing = computing or token.type in ("EQUALS", "ASSIGN")
        if depth > MAX_DEPTH:
            raise ProblemError([_too_deep(statement)])
        begin = token.start_pos or 0
        if token.type == "REGRESSES" and token == "<-" and (depth or computing):
            yield _placed("COMPARISON", "<", begin, statement)
            yield _placed("MINUS", "-", begin + 1, statement)
            continue
        kind = token.type
        if kind == "NAME" and (depth or computing or token.lower() in FUNCTION_TABLE):
            kind = "FUNCTION" if _PARENTHESIS.match(statement.text, begin + len(token)) else kind
        yield _placed(kind, str(token), begin, statement)


def _placed(kind: str, text: str, begin: int, statement: Statement) -> Token:
    span = statement.place(begin, begin + len(text))
    return Token(kind, text, start_pos=span.start, end_pos=span.end)


def _check_depth(tree: Tree[Token], statement: Statement) -> None:
    """Refuse trees so deep that recursive functions could not walk them (long chains of operators)."""
    layer: list[Tree[Token]] = [tree]
    for _ in range(MAX_DEPTH):
        layer = [child for node in layer for child in node.children if isinstance(child, Tree)]
        if not layer:
            return
    raise ProblemError([_too_deep(statement)])


def _too_deep(statement: Statement) -> Problem:
    hint = "compute parts of it under names of their own"
    return Problem(f"the expression is nested or chained more than {MAX_DEPTH} deep", statement.span, hint)

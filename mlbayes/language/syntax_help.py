"""The wording of syntax errors: what was found, what may stand there, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lark import Token

from mlbayes.language.split import Statement, nearest_command, shortened
from mlbayes.problems import Problem
from mlbayes.source import Span

_WORDS = {
    "NAME": "a name",
    "RANGE": "a range",
    "NUMBER": "a number",
    "FUNCTION": "a function",
    "REGRESSES": "'~'",
    "COVARIES": "'~~'",
    "LOADS": "'->'",
    "EQUALS": "'='",
    "ASSIGN": "':='",
    "BAR": "'|'",
    "AT": "'@'",
    "COMMA": "','",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "AND": "'and'",
    "$END": "the end of the statement",
}
_OPERATORS = {"PLUS", "MINUS", "TIMES", "DIVIDE", "POWER", "COMPARISON", "OR"}
_RELATIONS = {"REGRESSES", "COVARIES", "LOADS", "EQUALS", "ASSIGN"}

LIKE_A_COMMAND = 0.75  # likeness to a command from which on a block label may be a misspelt one

_FORMS = {
    "model": "a statement of MODEL",
    "parameters": "a statement of PARAMETERS, such as 'c = a*b' or 'b ~ normal(0, 1)'",
    "transformation": "a statement such as 'new = ln(x)'",
    "filter": "a condition such as 'x > 0'",
    "simple": "a statement such as 'x | m'",
    "waldtest": "a constraint such as 'b1 = 0', or an equation",
    "simulate": "a statement such as 'x = normal(0, 1)'",
    "names": "a list of names",
    "nominal": "a list of names, each with an optional '(reference)'",
    "center": "a list such as 'grandmean = x1 x2'",
    "latent": "a list such as 'school = a b'",
    "randomeffect": "a statement such as 'u0 = y | 1 [school]'",
    "dropout": "a statement such as 'quit = y'",
}


@dataclass(frozen=True)
class Situation:
    """Where the parser stopped: the tokens before, the one it could not use, and those it could."""

    statement: Statement
    start: str
    seen: Sequence[Token]
    token: Token
    accepted: set[str]

    @property
    def previous(self) -> Token | None:
        """The last token that was understood."""
        return self.seen[-1] if self.seen else None

    def depth(self, opening: str = "LPAR", closing: str = "RPAR") -> int:
        """How many parentheses are open."""
        kinds = [token.type for token in self.seen]
        return kinds.count(opening) - kinds.count(closing)


@dataclass(frozen=True)
class Hint:
    """A hint for the situations in which `applies` holds; the first row that applies is used.

    `<end>` stands for the last token before the line break.
    """

    applies: Callable[[Situation], bool]
    text: str


def _second_statement(situation: Situation) -> bool:
    """Whether an operator that makes a statement comes a second time."""
    return _is(situation.token, *_RELATIONS) and any(_is(token, *_RELATIONS) for token in situation.seen)


def _on_new_line(situation: Situation) -> bool:
    """Whether the last name began a new line, so that a statement may have ended before it."""
    if situation.statement.loop or len(situation.seen) < 2 or not _second_statement(situation):
        return False
    before, name = situation.seen[-2:]
    start = situation.statement.start
    return "\n" in situation.statement.text[(before.end_pos or 0) - start : (name.start_pos or 0) - start]


def _is(token: Token | None, *kinds: str) -> bool:
    return token is not None and token.type in kinds


def _in_list(situation: Situation) -> bool:
    """Whether the token stands among predictors or measures, outside parentheses."""
    return situation.depth() == 0 and any(_is(t, "REGRESSES", "LOADS", "COVARIES") for t in situation.seen)


_LIST_STARTS = {"names", "nominal", "center", "latent"}

HINTS = (
    Hint(lambda s: _is(s.token, "EQUALS") and (s.depth() > 0 or s.start == "filter"),
         "two values are compared with '=='"),
    Hint(lambda s: s.start == "simulate" and _is(s.token, "LPAR") and _is(s.previous, "NAME"),
         "no blank stands before a bracket: row(1) = 1000"),
    Hint(lambda s: _is(s.token, "COMMA") and s.depth() == 0, "the items of a list are separated by blanks"),
    Hint(lambda s: _is(s.token, "RPAR") and s.depth() == 0, "there is no '(' for this ')'"),
    Hint(lambda s: s.depth() > 0 and _is(s.token, "$END", "AT", "BAR", *_RELATIONS), "a ')' is missing"),
    Hint(lambda s: s.depth("LBRACE", "RBRACE") > 0 and not _is(s.token, "$END"),
         "outcomes in braces look like '{ y1 y2 } ~ x'"),
    Hint(lambda s: _is(s.token, "RANGE") and "FUNCTION" in s.accepted and "RANGE" not in s.accepted,
         "a range cannot stand in an expression; its sum is written x1:+:x3"),
    Hint(_on_new_line, "is a ';' missing after '<end>'?"),
    Hint(_second_statement, "is a ';' missing before this statement?"),
    Hint(lambda s: s.depth("LSQB", "RSQB") > 0 or (_is(s.token, "LSQB") and _is(s.previous, "AT")),
         "brackets hold the identifier of a level or, in a loop, an index: { i in 1:4 } : y[i] ~ x"),
    Hint(lambda s: not s.seen and _is(s.token, "TIMES", "DIVIDE"), "comments begin with '#'"),
    Hint(lambda s: _in_list(s) and _is(s.token, "PLUS"),
         "predictors stand side by side: y ~ x m; what is computed stands in parentheses: (x + m)"),
    Hint(lambda s: _in_list(s) and _is(s.token, "MINUS"),
         "a range is written x1:x6, arithmetic stands in parentheses: (x - m)"),
    Hint(lambda s: _in_list(s) and _is(s.token, *_OPERATORS),
         "arithmetic in a list of predictors stands in parentheses: (x - m)"),
    Hint(lambda s: s.start == "model" and _is(s.token, "NAME", "RANGE", "BAR", "AT") and s.depth() == 0
         and any(_is(t, "EQUALS") for t in s.seen),
         "'=' defines one expression; a regression is written with '~': y ~ x m"),
    Hint(lambda s: s.start == "model" and _is(s.token, "BAR") and not any(_is(t, "REGRESSES") for t in s.seen),
         "a regression is written with '~': y ~ x | x"),
    Hint(lambda s: s.start == "model" and _is(s.token, "EQUALS") and "REGRESSES" in s.accepted,
         "a regression is written with '~': y ~ x m"),
    Hint(lambda s: _is(s.token, "EQUALS") and s.start == "nominal",
         "a reference category stands in parentheses: group(1)"),
    Hint(lambda s: _is(s.token, "EQUALS") and s.start in _LIST_STARTS, "is a ';' missing before this entry?"),
    Hint(lambda s: _is(s.previous, "AT"), "after '@' stands a number or the name of a parameter"),
)  # fmt: skip


def explain_token(
    statement: Statement, start: str, seen: Sequence[Token], token: Token, accepted: set[str]
) -> Problem:
    """The problem of a token that cannot stand where it does (`$END`: the statement is too short)."""
    situation = Situation(statement, start, seen, token, accepted)
    hint = next((hint.text for hint in HINTS if hint.applies(situation)), "")
    hint = hint.replace("<end>", str(seen[-2]) if len(seen) > 1 else "")
    expected = _expectation(situation)
    if token.type == "$END":
        end = statement.place(len(statement.text) - 1, len(statement.text))
        after = f" after '{shortened(seen[-1])}'" if seen else ""
        message = f"the statement ends too early{after}; expected {expected}"
        return Problem(message, end, hint or _form_hint(situation))
    place = statement.loop or _token_span(token, statement)
    where = f"in '{shortened(statement.text)}'" if statement.loop else "here"
    message = f"'{shortened(token)}' cannot stand {where}; expected {expected}"
    return Problem(message, place, hint or _form_hint(situation))


def _token_span(token: Token, statement: Statement) -> Span:
    start = statement.start if token.start_pos is None else token.start_pos
    return Span(start, start + len(token))


def _expectation(situation: Situation) -> str:
    if not situation.seen:
        return _FORMS.get(situation.start, "a statement")
    accepted = situation.accepted
    words = [text for kind, text in _WORDS.items() if kind in accepted]
    if {"PLUS", "TIMES"} <= accepted and "NAME" not in accepted:
        words.insert(0, "an operator")
    if {"FUNCTION", "LPAR"} <= accepted:
        words = [word for word in words if word not in ("'('", "a function", "a range")]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "something else"


def _form_hint(situation: Situation) -> str:
    if situation.start in ("model", "names") or not situation.seen:
        return ""
    return f"what stands here is {_FORMS[situation.start]}"


_CHARACTERS = {
    "&": "conditions are joined with 'and'",
    "'": "file names and words need no quotes",
    '"': "only file names may stand in quotes",
    ":": "a block label stands at the beginning of a statement; a range joins two names: x1:x6",
    "!": "comments begin with '#'; 'not equal' is written '!='",
    "%": "comments begin with '#'",
    "$": "comments begin with '#'",
    "\\": "comments begin with '#'",
}


def explain_character(statement: Statement, offset: int) -> Problem:
    """The problem of text in which no word, number or operator begins."""
    text = statement.text[offset:]
    number = re.match(r"[.]?[0-9][\w.]{0,30}", text)
    if number:
        place = statement.place(offset, offset + len(number[0]))
        return Problem(f"'{number[0]}' is neither a number nor a name", place, "names begin with a letter")
    place = statement.place(offset, offset + 1)
    return Problem(f"the character '{text[:1]}' cannot stand here", place, _CHARACTERS.get(text[:1], ""))


def with_label_hint(problem: Problem, label: str) -> Problem:
    """Point to a misspelt command when a statement fails whose block label resembles one."""
    nearest = nearest_command(label, LIKE_A_COMMAND)
    if not nearest or not label.isalpha():  # `model.1` and the like are common labels
        return problem
    hint = f"'{label}:' is read as a block label; {nearest}"
    return replace(problem, hint=f"{problem.hint}; {hint}" if problem.hint else hint)

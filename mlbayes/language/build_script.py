"""Statements of all other commands as nodes; completes the builder of the Blimp language.

Every start rule of the grammar has a method of the same name (or of its alternatives' names) that
returns what the statement adds to the script.
"""

from __future__ import annotations

import math
from typing import Any

from lark import Token, Tree, v_args
from lark.exceptions import VisitError
from lark.tree import Meta

from mlbayes.language.build_expressions import name_of, number_of, problem, span_of, token_span
from mlbayes.language.build_statements import StatementBuilder
from mlbayes.language.commands import CENTRE_KINDS, PRIOR_FAMILIES
from mlbayes.language.expand import Budget
from mlbayes.language.nodes import (
    Centre,
    Definition,
    Dropout,
    Expression,
    Latent,
    Moderator,
    Name,
    Nominal,
    Number,
    Prior,
    RandomEffect,
    Simple,
    SimulateStatement,
    Word,
)
from mlbayes.language.split import Statement, shortened
from mlbayes.problems import ProblemError, nearest


def build_nodes(tree: Tree[Token], statement: Statement, budget: Budget, block: str | None) -> Any:
    """The nodes of a parsed statement; raises ProblemError."""
    builder = ScriptBuilder(statement, budget)
    builder.block = block
    try:
        return builder.transform(tree)
    except VisitError as error:  # lark wraps what the methods raise
        if isinstance(error.orig_exc, ProblemError):
            raise error.orig_exc from None
        raise


@v_args(inline=True, meta=True)
class ScriptBuilder(StatementBuilder):
    """Builds the statements of every command."""

    # -------------------------------------------------------------- lists
    def names(self, meta: Meta, *tokens: Token) -> tuple[Name, ...]:
        """A list of names and ranges."""
        return tuple(name for token in tokens for name in self._names_of(token))

    def nominal(self, meta: Meta, *entries: tuple[Nominal, ...]) -> tuple[Nominal, ...]:
        """The list of NOMINAL."""
        return tuple(entry for group in entries for entry in group)

    def nominal_entry(self, meta: Meta, token: Token, code: Number | None = None) -> tuple[Nominal, ...]:
        """A name, a range, or a name with its reference code."""
        if code is None:
            return tuple(Nominal(name) for name in self._names_of(token))
        if code.value != int(code.value):
            raise problem("a reference code must be a whole number", code.span)
        return (Nominal(name_of(token), int(code.value)),)

    def keyword(self, meta: Meta, name: Token, equals: Token) -> Token:
        """The word before `=` of a list."""
        return name

    def centred(self, meta: Meta, item: Name | Token) -> tuple[Name, ...]:
        """A name of CENTER, or the names of a range."""
        return self._names_of(item) if isinstance(item, Token) else (item,)

    def center(self, meta: Meta, *items: Any) -> tuple[Centre, ...]:
        """A statement of CENTER."""
        kind = ""
        if isinstance(items[0], Token):
            word = items[0].lower()
            if word not in CENTRE_KINDS:
                hint = nearest(word[:40], CENTRE_KINDS)
                raise problem(f"'{shortened(word)}' is no way of centring", token_span(items[0]), hint)
            kind, items = CENTRE_KINDS[word], items[1:]
        return tuple(Centre(name, kind) for group in items for name in group)

    def latent(self, meta: Meta, *items: Any) -> tuple[Latent, ...]:
        """A statement of LATENT."""
        level = Word(items[0].lower(), token_span(items[0])) if isinstance(items[0], Token) else None
        return tuple(Latent(name, level) for name in items[-1])

    def randomeffect(
        self, meta: Meta, new: Token, _: Token, outcome: Token, bar: Token, predictor: Token, level: str
    ) -> tuple[RandomEffect]:
        """A statement of RANDOMEFFECT."""
        if predictor.type == "NUMBER" and number_of(predictor).value != 1:
            raise problem("only '1' (the intercept) or a name has a random effect", token_span(predictor))
        effect = name_of(predictor)
        if predictor.type == "NUMBER":
            effect = Name("intercept", None, effect.span)
        span = span_of(meta)
        return (RandomEffect(name_of(new), name_of(outcome), effect, Word(level, span), span),)

    def dropout(self, meta: Meta, new: Token, equals: Token, outcome: Token) -> tuple[Dropout]:
        """The statement of DROPOUT."""
        return (Dropout(name_of(new), name_of(outcome)),)

    # -------------------------------------------------------------- expressions
    def transformation(self, meta: Meta, definition: Definition) -> tuple[Definition]:
        """A statement of TRANSFORM."""
        return (definition,)

    def filter(self, meta: Meta, expression: Expression) -> tuple[Expression]:
        """The condition of FILTER."""
        return (expression,)

    def parameters(self, meta: Meta, definition: Definition) -> tuple[Definition]:
        """A generated quantity."""
        return (definition,)

    def bound(self, meta: Meta, *tokens: Token) -> float:
        """An argument of a prior: a number, or infinity."""
        sign, token = -1.0 if tokens[0].type == "MINUS" else 1.0, tokens[-1]
        if token.type == "NUMBER":
            return number_of(token, sign).value
        if token.lower() not in ("inf", "infinity"):
            message = f"'{shortened(token)}' is not a number"
            raise problem(message, token_span(token), "priors take numbers, or Inf")
        return sign * math.inf

    def prior(self, meta: Meta, labels: tuple[Name, ...], _: Token, family: Token, *arguments: float) -> Any:
        """`label ~ family(a, b)`."""
        known = PRIOR_FAMILIES.get(family.lower())
        if known is None:
            hint = nearest(family[:40], PRIOR_FAMILIES) or "the families are normal, truncate, ig and iw"
            raise problem(f"there is no prior '{shortened(family.lower())}'", token_span(family), hint)
        if len(arguments) != 2:
            raise problem(f"the prior '{known}' takes two numbers, found {len(arguments)}", span_of(meta))
        if known == "normal" and not arguments[1] > 0:
            raise problem("the variance of a normal prior must be positive", span_of(meta))
        if known == "truncate" and not arguments[0] < arguments[1]:
            raise problem("the lower bound of a truncation must be below the upper one", span_of(meta))
        return tuple(Prior(label, known, arguments, span_of(meta)) for label in labels)

    def moderator(self, meta: Meta, name: Token, at: Number | Token | None = None) -> Moderator:
        """A moderator of SIMPLE with its value."""
        if not isinstance(at, Token):
            return Moderator(name_of(name), at)
        value = name_of(at)
        if value.name in ("quartiles", "quantiles"):
            value = Name(value.name[:-1], None, value.span)
        return Moderator(name_of(name), value)

    def simple(self, meta: Meta, focal: Expression, *items: Moderator | Token) -> tuple[Simple]:
        """A statement of SIMPLE."""
        moderators = tuple(item for item in items if isinstance(item, Moderator))
        return (Simple(focal, moderators, span_of(meta)),)

    # -------------------------------------------------------------- SIMULATE
    def assignment(self, meta: Meta, names: tuple[Name, ...], operator: Token, value: Expression) -> Any:
        """A draw, a value or the size of a single-level sample."""
        sign = "~" if operator.type == "REGRESSES" else str(operator)
        return (SimulateStatement(names, value, sign, None, self.block, span_of(meta)),)

    def size(self, meta: Meta, name: Token, level: Token, equals: Token, value: Expression) -> Any:
        """The number of units of a level."""
        number = number_of(level).value
        if number not in (1, 2, 3):
            raise problem("a level is 1, 2 or 3", token_span(level))
        return (SimulateStatement((name_of(name),), value, "=", int(number), self.block, span_of(meta)),)

    def partner(self, meta: Meta, token: Token) -> tuple[Name, ...]:
        """An item on the right of `~~`."""
        return self._names_of(token)

    def correlation(self, meta: Meta, first: Token, _: Token, *items: Any) -> tuple[SimulateStatement, ...]:
        """`a ~~ b = r`; with a list on the right one correlation each."""
        *groups, _, value = items
        partners = [name for group in groups for name in group]
        if any(name.name == first.lower() for name in partners):
            raise problem(f"'{shortened(first)}' cannot be correlated with itself", span_of(meta))
        return tuple(
            SimulateStatement((name_of(first), name), value, "~~", None, self.block, span_of(meta))
            for name in partners
        )

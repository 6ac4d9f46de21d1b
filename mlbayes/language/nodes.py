"""The syntax tree: frozen dataclasses close to what was written, without meaning.

Names are in lower case (the language does not tell cases apart).  Ranges (`x1:x6`) and loops are
expanded, since they are shorthand of the text; a node made from one carries the span of the
shorthand.  Spans do not take part in comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlbayes.source import Source, Span

NOWHERE = Span(0, 0)


def _span() -> Span:
    return field(default=NOWHERE, compare=False, repr=False)


# ------------------------------------------------------------------ expressions
@dataclass(frozen=True)
class Number:
    """A number."""

    value: float
    span: Span = _span()


@dataclass(frozen=True)
class Name:
    """A name with its suffix as written (`x`, `x.mean`, `n.2`, `y.lag`); `level` is the id in brackets.

    In term lists `1` and `intercept` are both the name `intercept`.
    """

    name: str
    level: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Call:
    """A function with its arguments: `ln(x)`, `ifelse(a, b, c)`; on the left also `logit(y)`, `var(y)`."""

    function: str
    arguments: tuple[Expression, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Unary:
    """A sign: operator `-` or `+`."""

    operator: str
    operand: Expression
    span: Span = _span()


@dataclass(frozen=True)
class Binary:
    """Operators `+ - * / ^ == != < <= > >= and or` (`**` is read as `^`)."""

    operator: str
    left: Expression
    right: Expression
    span: Span = _span()


Expression = Number | Name | Call | Unary | Binary


def names_in(expression: Expression) -> Iterator[Name]:
    """Every name of an expression, from left to right."""
    match expression:
        case Name():
            yield expression
        case Call():
            for argument in expression.arguments:
                yield from names_in(argument)
        case Unary():
            yield from names_in(expression.operand)
        case Binary():
            yield from names_in(expression.left)
            yield from names_in(expression.right)


# ------------------------------------------------------------------ statements of MODEL
Tag = Number | Name
"""What follows `@`: a number, or the name of a label or variable."""


@dataclass(frozen=True)
class Term:
    """A predictor: an expression with an optional tag."""

    expression: Expression
    tag: Tag | None = None
    span: Span = _span()


@dataclass(frozen=True)
class RandomTerm:
    """A term right of `|`; `level` is the identifier in brackets, `Number(0)` as expression is `| 0`."""

    expression: Expression
    level: str | None = None
    tag: Tag | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Regression:
    """`outcomes ~ terms | random`; `parallel` when the outcomes stand in braces.

    `random` is None when there is no bar.
    """

    outcomes: tuple[Expression, ...]
    terms: tuple[Term, ...]
    random: tuple[RandomTerm, ...] | None = None
    parallel: bool = False
    block: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Loading:
    """`left -> targets`; a target is an outcome expression with an optional tag."""

    left: tuple[Term, ...]
    targets: tuple[Term, ...]
    block: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Covariance:
    """`left ~~ right`; tags belong to the items on the right."""

    left: tuple[Name, ...]
    right: tuple[Term, ...]
    block: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Variance:
    """`names@tag`: a residual variance that is fixed or labelled."""

    names: tuple[Name, ...]
    tag: Tag = Number(1.0)
    block: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Definition:
    """`name = expression` in MODEL, TRANSFORM or PARAMETERS."""

    name: str
    expression: Expression
    block: str | None = None
    span: Span = _span()


ModelStatement = Regression | Loading | Covariance | Variance | Definition


# ------------------------------------------------------------------ the other commands
@dataclass(frozen=True)
class Word:
    """A word, file name or number of a command, as text."""

    text: str
    span: Span = _span()


@dataclass(frozen=True)
class Nominal:
    """A nominal variable with its reference code, if one was written: `arm(3)`."""

    name: Name
    reference: int | None = None


@dataclass(frozen=True)
class Centre:
    """An entry of CENTER: `kind` is "grand", "group" or "" (no keyword)."""

    name: Name
    kind: str


@dataclass(frozen=True)
class Latent:
    """An entry of LATENT: the identifier of its level, or None for level 1."""

    name: Name
    level: Word | None


@dataclass(frozen=True)
class RandomEffect:
    """`new = outcome | predictor [level]` (`predictor` is `intercept` for `1`)."""

    name: Name
    outcome: Name
    predictor: Expression
    level: Word
    span: Span = _span()


@dataclass(frozen=True)
class Dropout:
    """`new = outcome`."""

    name: Name
    outcome: Name


@dataclass(frozen=True)
class Prior:
    """`label ~ family(arguments)`; families: normal, truncate, ig, iw (arguments as expressions)."""

    label: Name
    family: str
    arguments: tuple[float, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Moderator:
    """A moderator of SIMPLE: a number, a label, "quantile", "quartile", or nothing after `@`."""

    name: Name
    at: Number | Name | None = None


@dataclass(frozen=True)
class Simple:
    """`focal | moderator and moderator`; the focal part may be an expression of labels."""

    focal: Expression
    moderators: tuple[Moderator, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Constraint:
    """Labels that a Wald test sets equal to a number or to each other (ranges are expanded).

    `labels = 0` tests each label; `a = b c` tests a = b and a = c.
    """

    labels: tuple[Name, ...]
    value: Number | tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True)
class WaldTest:
    """One WALDTEST command: constraints, or a nested equation."""

    constraints: tuple[Constraint, ...] = ()
    nested: Regression | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Save:
    """`keyword = file`."""

    keyword: Word
    file: Word


@dataclass(frozen=True)
class SimulateStatement:
    """A statement of SIMULATE: a size `name(level) = expr`, a draw or assignment, or `a ~~ b = r`.

    `operator`: `=`, `:=` or `~` (`~~` for a correlation, whose targets are a pair).  `level`: of a size.
    """

    targets: tuple[Name, ...]
    expression: Expression
    operator: str = "="
    level: int | None = None
    block: str | None = None
    span: Span = _span()


@dataclass(frozen=True)
class Setting:
    """A whole number of a command (SEED, BURN, ITER, THIN, CHAINS, NIMPS)."""

    value: int
    span: Span = _span()


@dataclass(frozen=True)
class Script:
    """A whole script.  Commands that did not occur are None or empty.

    `command_spans` has the place of every command name that occurred.
    """

    source: Source
    data: Word | None = None
    variables: tuple[Name, ...] = ()
    missing: tuple[Word, ...] = ()
    cluster_ids: tuple[Name, ...] = ()
    time_id: Name | None = None
    by_group: Name | None = None
    ordinal: tuple[Name, ...] = ()
    nominal: tuple[Nominal, ...] = ()
    count: tuple[Name, ...] = ()
    fixed: tuple[Name, ...] = ()
    latent: tuple[Latent, ...] = ()
    random_effects: tuple[RandomEffect, ...] = ()
    centre: tuple[Centre, ...] = ()
    transform: tuple[Definition, ...] = ()
    filter: tuple[Expression, ...] = ()
    dropout: tuple[Dropout, ...] = ()
    weights: tuple[Name, ...] = ()
    fcs: tuple[Name, ...] = ()
    model: tuple[ModelStatement, ...] = ()
    parameters: tuple[Definition | Prior, ...] = ()
    simple: tuple[Simple, ...] = ()
    wald_tests: tuple[WaldTest, ...] = ()
    simulate: tuple[SimulateStatement, ...] = ()
    seed: Setting | None = None
    burn: Setting | None = None
    iterations: Setting | None = None
    thin: Setting | None = None
    chains: Setting | None = None
    imputations: Setting | None = None
    options: tuple[Word, ...] = ()
    output: tuple[Word, ...] = ()
    save: tuple[Save, ...] = ()
    command_spans: dict[str, Span] = field(default_factory=dict, compare=False)

    @property
    def only_simulates(self) -> bool:
        """Does the script simulate data and have no model."""
        return bool(self.simulate) and not (self.model or self.fcs)

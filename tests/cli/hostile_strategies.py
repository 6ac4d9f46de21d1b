"""Hostile scripts and data as strategies of hypothesis: from the grammar, models that make sense, and damaged ones.

`hypothesis.extra.lark` puts no bound on depth, and most expressions that it draws grow until they are thrown away
(0.7 s for one of FILTER); hence `Sentences`, which walks the same rules within a budget.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from hostile_scripts import CELLS, COLUMNS, JUNK, LATENTS, Careful, Writer, data_text, pieces
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from lark.grammar import NonTerminal, Symbol
from scripts import EXAMPLES, source_of

from mlbayes.language.commands import COMMANDS, FUNCTIONS, OPTIONS, SAVE, WORDLIKE, Body, Command
from mlbayes.language.syntax import blimp_grammar

PLACES = st.integers(0, 2**20)  # counted round the end of what is edited


@dataclass(frozen=True)
class Case:
    """What is tried: the bytes of a script and of a data file, and whether to run it.

    `origin`: the script that was damaged; without `data` those of this script are taken.
    """

    script: bytes
    data: bytes | None = None
    run: bool = False
    origin: Path | None = None

    def data_file(self) -> tuple[bytes, str]:
        """The content of the data file and its name."""
        path = data_of(self.origin) if self.origin is not None else None
        content = self.data if self.data is not None else path.read_bytes() if path is not None else b""
        return content, path.name if path is not None else "data.csv"


@cache
def data_of(script: Path) -> Path | None:
    """The data file of a script; None where it simulates them."""
    source = source_of(script)
    named = re.search(r"(?m)^DATA:\s*([\w.]+)\s*;", source.text)
    return source.path.parent / named[1] if named else None


# ------------------------------------------------------------------ from the grammar
PLAIN: dict[str, SearchStrategy[str]] = {
    "NAME": st.sampled_from("y x z m i1 i2 i3 y x z m b o c w v d".split()),
    "NUMBER": st.sampled_from(("1", "1", "0")),
    "RANGE": st.sampled_from(("i1:i3", "i1:i2")),
    "RANGE_SUM": st.just("i1:+:i3"),
    "FUNCTION": st.sampled_from(("exp", "abs", "phi", "sqrt", "yjt", "logit", "probit", "var")),
    "AND": st.just("and"),
    "OR": st.just("or"),
}
WILD: dict[str, SearchStrategy[str]] = PLAIN | {
    "NAME": st.one_of(
        st.sampled_from((*COLUMNS, *LATENTS, "l1", "l2", "l3")),
        st.sampled_from("x.mean y.lag b.1 n.2 y.residual y.missing w.totalvar f.mean".split()),
        st.sampled_from(("q", "nobody", "X", "inf", "pi", "quantile", "normal", "e", "\u00e9", "x" * 300)),
    ),
    "NUMBER": st.one_of(
        st.sampled_from(("0", "1", "2", ".5", "3", "10", "0.3", "2147483648")),
        st.sampled_from(("1e308", "1e999", "1e-320", "9" * 25)),
        st.integers(0, 10**12).map(str),
    ),
    "RANGE": st.sampled_from(("i1:i3", "i3:i1", "l1:l3", "x:z", "i1:i99999")),
    "RANGE_SUM": st.sampled_from(("i1:+:i3", "i3:+:i1", "x:+:z")),
    "FUNCTION": st.sampled_from([*(function.name for function in FUNCTIONS), "nothing"]),
}
RARE = {"NUMBER": 2, "FUNCTION": 2, "RANGE": 6, "RANGE_SUM": 6}  # counts as so high: names are the rule


class Sentences:
    """Sentences of the grammar of statements.

    Beyond `most` words every rule takes its lowest expansion.
    """

    def __init__(self, most: int = 40) -> None:
        grammar, self.most = blimp_grammar(), most
        signs = {
            terminal.name: st.from_regex(re.compile(terminal.pattern.to_regexp()), fullmatch=True)
            for terminal in grammar.terminals
        }
        self.words = {True: signs | PLAIN, False: signs | WILD}
        self.expansions: dict[str, list[list[Symbol]]] = {}
        for rule in grammar.rules:
            self.expansions.setdefault(rule.origin.name, []).append(rule.expansion)
        heights = self._heights()
        for rules in self.expansions.values():
            rules.sort(
                key=lambda symbols: (max((heights[s.name] for s in symbols), default=99), len(symbols))
            )

    def _heights(self) -> dict[str, int]:
        """The height of the lowest tree of each symbol."""
        heights = {name: RARE.get(name, 0) for name in self.words[True]}
        while len(heights) < len(self.words[True]) + len(self.expansions):
            known = [
                (name, 1 + max((heights[s.name] for s in symbols), default=0))
                for name, rules in self.expansions.items()
                if name not in heights
                for symbols in rules
                if all(s.name in heights for s in symbols)
            ]
            for name, height in sorted(known, key=lambda pair: -pair[1]):
                heights[name] = height
        return heights

    def draw(self, draw: DrawFn, start: str, plain: bool) -> str:
        """A sentence of a start rule; a plain one is about columns of the data."""
        waiting: list[Symbol] = [NonTerminal(start)]
        words: list[str] = []
        while waiting:
            symbol = waiting.pop()
            if isinstance(symbol, NonTerminal):
                rules = self.expansions[symbol.name]
                free = len(rules) > 1 and len(words) < self.most
                free = free and (symbol.name == start or draw(st.integers(0, 2)) == 2)
                waiting += reversed(draw(st.sampled_from(rules)) if free else rules[0])
            else:
                words.append(draw(self.words[plain][symbol.name]))
                words.append("" if symbol.name == "FUNCTION" else " ")
        return "".join(words).strip()


@cache
def sentences() -> Sentences:
    """The one set of sentences; the grammar is compiled when it is first needed."""
    return Sentences()


WORDLIKE_BODIES: dict[Body, SearchStrategy[str]] = {
    Body.FILE: st.sampled_from(
        ("data.csv", "no.csv", ".", "/dev/zero", '"data.csv"', "../data.csv", "data.csv x")
    ),
    Body.WORDS: st.sampled_from(("NA", "NA 999", "0", ".", "1e999", '"', "NA, -1")),
    Body.SETTING: st.sampled_from(("0", "1", "7", "-1", "1e3", "9" * 30, "2 processors 2", "x")),
    Body.OPTIONS: st.lists(st.sampled_from([each.name for each in OPTIONS]), max_size=4).map(" ".join),
    Body.SAVE: st.tuples(
        st.sampled_from([each.name for each in SAVE]),
        st.sampled_from(
            ("out.dat", "out*.csv", "out.csv", "../out.dat", "data.csv", "hostile.inp", "/dev/null", "*")
        ),
    ).map(" = ".join),
}
BESIDE = [
    each for each in COMMANDS if each.name not in ("DATA", "MODEL", "BURN", "ITER", "CHAINS", "SIMULATE")
]
HEADS = (
    "",
    "CLUSTERID: g;",
    "CLUSTERID: g; ORDINAL: b d o; NOMINAL: n; COUNT: c;",
    "CLUSTERID: g k; LATENT: f; LATENT: g = h; MODEL: f -> i1:i3; h -> w v;",
    "ORDINAL: b o; LATENT: f; MODEL: f -> i1 b o;",
    "CLUSTERID: g; TIMEID: t;",
)


def body(draw: DrawFn, command: Command, plain: bool) -> str:
    """What stands behind the colon of a command."""
    if command.body in WORDLIKE:
        return draw(WORDLIKE_BODIES[command.body])
    if command.body is Body.NAMES and draw(st.booleans()):
        return draw(st.sampled_from(COLUMNS))
    return sentences().draw(draw, command.body.value, plain)


@st.composite
def grammar_cases(draw: DrawFn) -> Case:
    """Scripts whose statements are sentences of the grammar, mostly about columns of the data."""
    plain = draw(st.integers(0, 3)) < 3
    commands = draw(st.lists(st.sampled_from(BESIDE), max_size=2))
    lines = ["DATA: data.csv; MISSING: NA;", draw(st.sampled_from(HEADS))]
    lines += [f"{command.name}: {body(draw, command, plain)};" for command in commands]
    if draw(one_in(10)):
        made = [sentences().draw(draw, "simulate", plain) for _ in range(draw(st.integers(1, 4)))]
        lines[0] = f"SIMULATE: n = 20; {'; '.join(made)};"
    starts = draw(st.lists(st.sampled_from(("regression", "regression", "model")), min_size=1, max_size=3))
    lines.append(f"MODEL: {'; '.join(sentences().draw(draw, start, plain) for start in starts)};")
    lines.append("BURN: 8; ITER: 12; CHAINS: 2;")
    data = data_text(Random(draw(st.integers(0, 20))), 0.0)
    return Case("\n".join(lines).encode(), data.encode(), run=draw(one_in(4)))


# ------------------------------------------------------------------ models that make sense
class Drawn(Random):
    """A generator behind which hypothesis stands; all other methods are made of these two."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw

    def random(self) -> float:
        return self._draw(st.integers(0, 999)) / 1000

    def getrandbits(self, k: int) -> int:
        return self._draw(st.integers(0, 2**k - 1))


def one_in(many: int) -> SearchStrategy[bool]:
    """True once in so many times."""
    return st.integers(1, many).map(lambda k: k == many)


@st.composite
def sensible_cases(draw: DrawFn) -> Case:
    """Models of all kinds; more than half make sense, the others less and less, and so for their data."""
    rng = Drawn(draw)
    kind = draw(st.integers(0, 9))
    text = Careful(rng).script() if kind < 6 else Writer(rng).script()
    if kind in (4, 5):
        text += Writer(rng).command() + "\n"
    if draw(one_in(5)):
        text = damaged_words(text, draw(WORD_EDITS))
    data = data_text(Random(draw(st.integers(0, 10**6))), float(draw(one_in(8))))
    return Case(
        text.encode("utf-8", "surrogatepass"), data.encode("utf-8", "surrogatepass"), run=draw(st.booleans())
    )


# ------------------------------------------------------------------ damage
def damaged(parts: list, edits: list[tuple]) -> list:
    """A sequence with pieces taken out, doubled, exchanged, put in or replaced: (what, where, where else, new)."""
    parts = list(parts)
    for what, where, other, new in edits:
        where, other = where % (len(parts) or 1), other % (len(parts) or 1)
        match what:
            case "delete":
                del parts[where : where + 1]
            case "double":
                parts[where:where] = parts[where : where + 1]
            case "swap" if parts:
                parts[where], parts[other] = parts[other], parts[where]
            case "move":
                parts[where:where] = parts[other : other + 9]
            case "cut":
                del parts[where : where + 9]
            case "end":
                del parts[where:]
            case "replace":
                parts[where : where + 1] = [new]
            case "insert":
                parts.insert(where, new)
    return parts


def edits(new: SearchStrategy, kinds: tuple[str, ...], most: int = 6) -> SearchStrategy[list[tuple]]:
    """Edits for `damaged`, at most so many."""
    return st.lists(st.tuples(st.sampled_from(kinds), PLACES, PLACES, new), min_size=1, max_size=most)


HOSTILE = (
    *JUNK,
    "(" * 250,
    "(" * 60 + "x" + ")" * 60,
    "-" * 300,
    "9" * 400,
    "." + "9" * 400,
    "1e999999999",
    "x" * 5000,
    "x1:x1000000",
    "\0",
    "\u202e",
    "\ud7ff",
    "\ufeff",
    "\r",
    "\u2028",
    "\u00a0",
    "\U0001f600",
    "\u0301",
    '"' * 3,
    "/* */",
    *(f"{each.name}:" for each in COMMANDS),
    *(f"{each.name}(" for each in FUNCTIONS),
    *(f"OPTIONS: {each.name};" for each in OPTIONS),
)
KINDS = ("delete", "double", "swap", "move", "replace", "replace", "insert")


def word_edits(scripts: list[Path], most: int = 6) -> SearchStrategy[list[tuple]]:
    """Damage to words, with words of some scripts; at most so many edits."""
    tokens = sorted({piece for path in scripts for piece in pieces(path.read_text())})
    return edits(st.one_of(st.sampled_from(tokens), st.sampled_from(HOSTILE)), KINDS, most)


WORD_EDITS = word_edits(EXAMPLES)
BYTES = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xc3\xa9",
    b"\xe9",
    b"\x1b[2J",
    b"\r",
    b"\n",
    b"\x1a",
)
MARKS = tuple(mark.encode() for mark in ";:~|@()[]{}=<>,.#\"'+-*/^0")
BYTE_EDITS = edits(
    st.one_of(st.sampled_from(MARKS), st.sampled_from(BYTES), st.binary(max_size=3)), (*KINDS, "cut", "end")
)


def damaged_words(text: str, edits: list[tuple]) -> str:
    """A script with damage to its words."""
    return "".join(damaged(pieces(text), edits))


def damaged_bytes(content: bytes, edits: list[tuple]) -> bytes:
    """A file with damage to its bytes."""
    return b"".join(damaged([content[k : k + 1] for k in range(len(content))], edits))


@st.composite
def damaged_scripts(draw: DrawFn, scripts: list[Path], words: SearchStrategy[list[tuple]]) -> Case:
    """Scripts that were sound, on their own data, with damage to words (`words`) or bytes or both."""
    origin = draw(st.sampled_from(scripts))
    text, kind = origin.read_text(), draw(st.integers(0, 3))
    if kind < 3:
        text = damaged_words(text, draw(words))
    content = text.encode()
    if kind > 1:
        content = damaged_bytes(content, draw(BYTE_EDITS))
    return Case(content, origin=origin)


# ------------------------------------------------------------------ data
CELL_EDITS = edits(
    st.one_of(
        st.sampled_from(CELLS),
        st.sampled_from(
            (",", ",,", "\n", "\n\n", "\r", "\0", "\ufeff", '"', '"a,b"', "9" * 400, "\u00e9", "x" * 2000)
        ),
        st.floats().map(str),
    ),
    (*KINDS, "cut", "end"),
)
NUMBERS = ("NA", "0", "1", "-1", "2", "7", "1e308", "-1e308", "1e-320", "1e15", "0.5", "123456789012345678")
NUMBER_EDITS = st.lists(
    st.tuples(PLACES, st.one_of(st.sampled_from(NUMBERS), st.floats(allow_nan=False).map(str))),
    min_size=1,
    max_size=9,
)
WHOLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda content: content,
    lambda content: b"\xef\xbb\xbf" + content,
    lambda content: content.decode().encode("utf-16"),
    lambda content: content.decode().encode("utf-16-le"),
    lambda content: content.replace(b"y", b"\xe9"),
    lambda content: content.replace(b",", b";"),
    lambda content: content.replace(b",", b"\t"),
    lambda content: content.replace(b",", b" , "),
    lambda content: content.replace(b"\n", b"\r\n"),
    lambda content: content.replace(b"\n", b"\r"),
    lambda content: content.replace(b"NA", b""),
    lambda content: content.replace(b".", b","),
    lambda content: content.partition(b"\n")[2],
    lambda content: content.partition(b"\n")[0],
    lambda content: content.partition(b"\n")[0] + b"\n" + content,
    lambda content: b"",
    lambda content: b"\n \n\t\n",
    lambda content: b"PK\x03\x04" + content,
)
MODELS = (
    "MODEL: y ~ x z*m;",
    "CLUSTERID: g; MODEL: y ~ x w x*w x.mean | x;",
    "CLUSTERID: g k; MODEL: y ~ x d; CENTER: grandmean = x;",
    "CLUSTERID: g; ORDINAL: b o d; MODEL: logit(b) ~ x o; o ~ z; d ~ w;",
    "NOMINAL: n; MODEL: n ~ x m; x ~ z;",
    "COUNT: c; MODEL: c ~ x b;",
    "CLUSTERID: g; TIMEID: t; MODEL: y ~ y.lag x;",
    "LATENT: f; MODEL: f -> y z m; f ~ x;",
    "CLUSTERID: g; ORDINAL: o; FCS: y x o w;",
    "TRANSFORM: q = ln(x^2 + 1) + (c > 1); FILTER: t < 5; MODEL: yjt(y) ~ q; var(y) ~ x;",
    "BYGROUP: d; MODEL: y ~ x; NIMPS: 2; SAVE: stacked = out.csv;",
    "MODEL: y ~ i1:i3;",
)


@st.composite
def damaged_data(draw: DrawFn) -> Case:
    """Sound models, of an example or of `MODELS`, on data with damage to the file, to cells or to bytes."""
    origin = draw(st.one_of(st.none(), st.sampled_from([p for p in EXAMPLES if data_of(p) is not None])))
    if origin is None:
        script = f"DATA: data.csv; MISSING: NA; {draw(st.sampled_from(MODELS))} BURN: 8; ITER: 12; CHAINS: 2;".encode()
        content = data_text(Random(draw(st.integers(0, 20))), 0.3).encode("utf-8", "surrogatepass")
    else:
        script, content = origin.read_bytes(), data_of(origin).read_bytes()
    kind = draw(st.integers(0, 7))
    if kind > 4:
        text = re.split(r"([,\n])", content.decode("utf-8", "surrogatepass"))
        for where, number in draw(NUMBER_EDITS):
            text[2 * where % len(text)] = number
        content = "".join(text).encode("utf-8", "surrogatepass")
    if kind < 3:
        text = damaged(re.split(r"([,\n])", content.decode("utf-8", "surrogatepass")), draw(CELL_EDITS))
        content = "".join(text).encode("utf-8", "surrogatepass")
    if kind in (2, 3):
        content = damaged_bytes(content, draw(BYTE_EDITS))
    if kind == 4:
        content = draw(st.sampled_from(WHOLE))(content)
    return Case(script, content, run=origin is None and draw(one_in(6)), origin=origin)

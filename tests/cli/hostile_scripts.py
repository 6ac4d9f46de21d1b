"""Scripts about variables that exist, which make sense (`Careful`) or mostly parse (`Writer`), and their data.

Everything comes from a `random.Random`, which hypothesis may stand behind.
"""

from __future__ import annotations

from random import Random

import numpy as np

from mlbayes.language.commands import FUNCTIONS, OPTIONS, SAVE

COLUMNS = "g k t y x z m w v b d n o c".split()
LATENTS = ("f", "h", "u")
ROWS = 72

JUNK = (
    "~ ~~ <- <-> -> =~ = := == < <= != | @ ( ) [ ] { } , ; : :+: + - * / ^ ** and or in # \" ' 0 -1 1 2 .5 1e9 1e308"
    " 1e999 99999999999999999999 x1:x3 x:z x1:x1000000000 nan inf [g] [k] [i] {i in 1:3}: one: \u2013 \u00e9 \u00b2"
    " \u0663 \x1b[31m \x07 \t yjt( var( logit( ln( exp( y.lag x.mean y.residual n.2 1 @1 @l1 y[t-1] ../y /dev/null"
).split(" ")
CELLS = (
    'NA . 999 -999 0 1 -1 1e308 -1e308 1e309 1e-320 inf nan 0x10 1_000 1,5 \'\' "" " 12345678901234567890 1.5 abc'
    " \u0663 \u22121 TRUE # ; \x1b[2J"
).split(" ")


def table(rng: Random) -> dict[str, list[str]]:
    """Twelve clusters g of six occasions t in six clusters of clusters k, all kinds of variables, some holes."""
    numbers = np.random.default_rng(rng.randrange(10**6))
    g = np.repeat(np.arange(12), 6)
    n = g.size
    x, z, m = numbers.normal(size=(3, n))
    w, v = numbers.normal(size=(2, 12))
    y = 1.0 + 0.5 * x + 0.3 * w[g] + numbers.normal(size=12)[g] + numbers.normal(size=n)
    made = {
        "g": g,
        "k": g // 2,
        "t": np.arange(n) % 6,
        **{
            name: np.round(values, 3) for name, values in zip("yxzmwv", (y, x, z, m, w[g], v[g]), strict=True)
        },
        "b": (x + numbers.normal(size=n) > 0).astype(int),
        "d": (v > 0).astype(int)[g],
        "n": 1 + numbers.integers(0, 3, n),
        "o": np.digitize(x + numbers.normal(size=n), (-0.8, 0.6)),
        "c": numbers.poisson(1.5, n),
        **{f"i{k}": np.round(0.6 * x + 0.8 * numbers.normal(size=n), 2) for k in (1, 2, 3)},
    }
    cells = {name: [f"{value}" for value in values] for name, values in made.items()}
    for name in rng.sample("y x z m b n o c".split(), 4):
        for row in rng.sample(range(n), rng.randrange(1, 20)):
            cells[name][row] = "NA"
    for name in ("w", "v", "d"):
        if rng.random() < 0.2:
            for row in range(6 * rng.randrange(12), n, 30):
                cells[name][6 * (row // 6) : 6 * (row // 6) + 6] = ["NA"] * 6
    return cells


def data_text(rng: Random, damage: float) -> str:
    """The text of a data file; with so much chance something is wrong with it."""
    cells = table(rng)
    if rng.random() < damage:
        for _ in range(rng.randrange(1, 6)):
            name = rng.choice(list(cells))
            kind = rng.randrange(6)
            if kind == 0:
                cells[name] = [rng.choice(cells[name])] * ROWS  # constant
            elif kind == 1:
                cells[name] = ["NA"] * ROWS
            elif kind == 2:
                cells[name] = cells[rng.choice(list(cells))]  # the same twice
            elif kind == 3:
                cells[name] = [
                    f"{float(x) * 10.0 ** rng.randrange(-300, 300):g}" if x.isdigit() else x
                    for x in cells[name]
                ]
            else:
                for row in rng.sample(range(ROWS), rng.choice((1, 1, 3, 30))):
                    cells[name][row] = rng.choice(CELLS)
    lines = [",".join(cells), *(",".join(row) for row in zip(*cells.values(), strict=True))]
    if rng.random() < damage / 2:
        for _ in range(rng.randrange(1, 4)):
            place, kind = rng.randrange(len(lines)), rng.randrange(5)
            if kind == 0:
                del lines[place:]
                lines.append("")
            elif kind == 1:
                lines[place] = rng.choice(
                    (",", "", "\x00", "1,2", '"', lines[place] + ",1", "\ufeff" + lines[place])
                )
            elif kind == 2:
                lines.insert(place, lines[0])
            elif kind == 3:
                lines[place] = lines[place].replace(",", rng.choice((" ", ";", "\t", ",,")))
            else:
                lines = lines[: rng.choice((1, 2, 3, 9))]
    return "\n".join(lines) + rng.choice(("\n", "", "\r\n", "\n\n"))


# ------------------------------------------------------------------ from the grammar
class Writer:
    """Scripts that mostly parse, about variables that mostly exist."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.latents = rng.sample(LATENTS, rng.choice((0, 0, 0, 1, 1, 2)))

    def one_of(self, *makers):
        """The text of one of some makers or words."""
        made = self.rng.choice(makers)
        return made() if callable(made) else made

    def name(self) -> str:
        if self.rng.random() < 0.02:
            return self.rng.choice(("nobody", "Y", "x.mean.mean", "id", "e", "pi"))
        if self.latents and self.rng.random() < 0.25:
            return self.rng.choice(self.latents)
        return self.rng.choice(COLUMNS[3:] if self.rng.random() < 0.9 else COLUMNS)

    def names(self, most: int = 3) -> str:
        return " ".join(self.name() for _ in range(self.rng.randrange(1, most + 1)))

    def number(self) -> str:
        return self.rng.choice(("0", "1", "2", "-1", ".5", "0.3", "3", "100", "1e3"))

    def label(self) -> str:
        return self.rng.choice(("l1", "l2", "l3"))

    def reference(self) -> str:
        name = self.name()
        return self.rng.choice(
            (name, name, name, f"{name}.mean", f"{name}.lag", f"{name}.1", f"{name}.missing")
        )

    def expression(self, depth: int = 0) -> str:
        if depth > 2 or self.rng.random() < 0.35:
            return self.one_of(self.reference, self.reference, self.number, self.label)
        a, b = self.expression(depth + 1), self.expression(depth + 1)
        function = self.rng.choice(FUNCTIONS)
        arguments = ", ".join([a, b, a][: max(1, min(3, function.least))])
        operator = self.rng.choice("+ - * / ^ == < >= and or".split())
        return self.rng.choice(
            (f"{a}*{b}", f"({a} {operator} {b})", f"{function.name}({arguments})", f"-{a}", f"{a}^2")
        )

    def term(self) -> str:
        term = self.one_of(
            self.name, self.name, self.name, self.reference, lambda: f"{self.name()}*{self.name()}",
            lambda: f"{self.name()}^2", lambda: f"({self.expression()})", "1",
        )  # fmt: skip
        tag = self.rng.random()
        if tag < 0.12:
            return f"{term}@{self.label()}"
        return f"{term}@{self.one_of(self.number, self.name)}" if tag < 0.2 else term

    def terms(self, most: int = 4) -> str:
        return " ".join(self.term() for _ in range(self.rng.randrange(0, most + 1)))

    def random(self) -> str:
        if self.rng.random() < 0.6:
            return ""
        level = self.rng.choice(("", "", "", "[g]", "[k]", "[y]"))
        return " | " + " ".join(
            self.one_of("1", "1", self.name, self.term) + level for _ in range(self.rng.randrange(1, 3))
        )

    def outcome(self) -> str:
        name = self.name()
        return self.rng.choice(
            (name,) * 8 + (f"logit({name})", f"probit({name})", f"yjt({name})", f"yjt({name} - 1)", f"ln({name} + 9)",
                           f"var({name})", f"({self.expression()})", self.names(2))
        )  # fmt: skip

    def statement(self) -> str:
        return self.one_of(
            *[lambda: f"{self.outcome()} ~ {self.terms()}{self.random()}"] * 6,
            lambda: f"{self.name()} ~~ {self.names()}{self.one_of('', '@l1', '@.3')}",
            lambda: f"{self.rng.choice([*self.latents, 'y', '1'])} -> {self.terms()}",
            lambda: f"{self.term()}",
            lambda: f"{self.rng.choice(('q', 'y', 'r'))} = {self.expression()}",
            lambda: f"var({self.name()}) ~ {self.terms(2)}{self.random()}",
            lambda: "{ i in 1:3 } : y ~ x[i] z",
        )

    def command(self) -> str:
        pick, rng = self.one_of, self.rng
        return pick(
            lambda: f"ORDINAL: {self.names()};",
            lambda: f"NOMINAL: {self.names()};",
            lambda: f"NOMINAL: n({rng.randrange(5)});",
            lambda: f"COUNT: {pick('c', self.name)};",
            lambda: f"FIXED: {self.names()};",
            lambda: f"FIXED: {self.names()};",
            lambda: f"CENTER: {pick('grandmean', 'groupmean', 'cgm', 'cwc')} = {self.names()};",
            lambda: f"RANDOMEFFECT: r0 = y | {pick('1', self.name)} [{pick('g', 'k')}];",
            lambda: f"TRANSFORM: {pick('q', 'x', self.name)} = {self.expression()};",
            lambda: f"FILTER: {self.expression()};",
            lambda: f"DROPOUT: q = {self.name()};",
            lambda: f"WEIGHT: {self.names(2)};",
            lambda: f"PARAMETERS: {self.label()} = {self.expression()};",
            lambda: (
                f"PARAMETERS: {self.label()} ~ {pick('normal', 'truncate', 'ig', 'iw')}"
                f"({self.number()}, {self.number()});"
            ),
            lambda: f"SIMPLE: {self.term()} | {self.name()}{pick('', '@1', '@quantile', '@sd', '@l1')};",
            lambda: f"WALDTEST: {self.names()} = {pick('0', self.label)};",
            lambda: f"WALDTEST: {self.statement()};",
            lambda: f"OPTIONS: {rng.choice(OPTIONS).name};",
            lambda: f"OPTIONS: {pick('joint', 'hev', 'prior1', 'use_phantom')};",
            lambda: f"BYGROUP: {pick('d', 'b', self.name)};",
            lambda: f"TIMEID: {pick('t', self.name)};",
            lambda: f"NIMPS: {rng.choice((0, 2, 5))};",
            lambda: f"SAVE: {rng.choice(SAVE).name} = {pick('out.dat', 'out*.csv', '../out.dat', 'data.csv')};",
            lambda: f"THIN: {rng.choice((1, 2))};",
        )  # fmt: skip

    def script(self) -> str:
        """A whole script."""
        rng = self.rng
        lines = ["DATA: data.csv;", "MISSING: NA;"]
        lines.append(rng.choice(("", "CLUSTERID: g;", "CLUSTERID: g;", "CLUSTERID: g k;", "CLUSTERID: k g;")))
        if self.latents:
            lines.append(f"LATENT: {rng.choice(('', '', 'g = ', 'k = '))}{' '.join(self.latents)};")
        lines += [self.command() for _ in range(rng.randrange(0, 5))]
        if rng.random() < 0.08:
            lines.append(f"FCS: {self.names(5)};")
        else:
            lines.append("MODEL: " + "; ".join(self.statement() for _ in range(rng.randrange(1, 4))) + ";")
        lines.append("SEED: 3; BURN: 8; ITER: 12; CHAINS: 2;")
        return "\n".join(lines) + "\n"


class Careful:
    """Scripts of models that make sense: names of the right level, once each, and settings that fit them."""

    ROWS = "y x z m b n o c".split()
    CLUSTERS = "w v d".split()

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.levels = rng.choice((1, 2, 2, 2, 3))
        self.lines = [
            "DATA: data.csv;",
            "MISSING: NA;",
            ("", "CLUSTERID: g;", "CLUSTERID: g k;")[self.levels - 1],
        ]
        self.kinds = {
            name: kind
            for name, kind in (("b", "ORDINAL"), ("n", "NOMINAL"), ("o", "ORDINAL"), ("c", "COUNT"))
        }
        self.kinds |= {"d": "ORDINAL"} if rng.random() < 0.5 else {}
        self.used: list[str] = []
        self.statements: list[str] = []

    def some(self, names: list[str], most: int) -> list[str]:
        return self.rng.sample(names, min(len(names), self.rng.randrange(0, most + 1)))

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def terms(self, rows: list[str], clusters: list[str]) -> str:
        """Predictors, with a product, a power, a cluster mean, labels."""
        rng = self.rng
        plain = [*self.some(rows, 3), *self.some(clusters, 2)]
        self.used += plain
        terms = list(plain)
        numeric = [name for name in plain if self.kinds.get(name) not in ("NOMINAL", "COUNT")]
        smooth = [name for name in numeric if name in "xzm"]
        if len(numeric) > 1 and self.chance(0.3):
            terms.append("*".join(rng.sample(numeric, 2)))
        if smooth and self.chance(0.1):
            terms.append(f"{rng.choice(smooth)}^2")
        if smooth and self.levels > 1 and self.chance(0.15):
            terms.append(f"{rng.choice(smooth)}.mean")
        if self.chance(0.25) and terms:
            place = rng.randrange(len(terms))
            terms[place] += rng.choice(("@l1", "@l2", "@0.5", "@1"))
        return " ".join(terms)

    def random(self, rows: str) -> str:
        slopes = [name for name in rows.split() if name in ("x", "z", "m")]
        if self.levels == 1 or not slopes or self.chance(0.6):
            return ""
        return f" | {self.rng.choice(slopes)}"

    def regression(self, outcome: str, rows: list[str], clusters: list[str]) -> None:
        left = outcome
        if outcome in "bo" and self.chance(0.3):
            left = f"logit({outcome})"
        elif outcome == "y" and self.chance(0.1):
            left = self.rng.choice(("yjt(y)", "ln(y + 20)", "yjt(y - 1)"))
        terms = self.terms(rows, clusters)
        self.statements.append(f"{left} ~ {terms}{self.random(terms)}" if terms else f"{left} ~ 1")
        if left == "y" and self.chance(0.12):
            self.statements.append(
                f"var(y) ~ {self.rng.choice(('x', 'z', 'w' if self.levels > 1 else 'x', 'x@l3'))}"
            )

    def latent(self) -> None:
        """A factor, or a random coefficient as a latent variable."""
        if self.levels > 1 and self.chance(0.5):
            self.lines.append("LATENT: g = u f;")
            self.statements += [
                f"u ~ 1 {self.rng.choice(('', 'w', 'v'))}",
                "f ~ 1",
                "y ~ 1@u x@f z",
                "u ~~ f",
            ]
        else:
            self.lines.append("LATENT: f;")
            items = self.rng.sample("y x z m o b".split(), 3)
            self.statements.append(f"f -> {' '.join(items)}")
            if self.chance(0.4):
                self.statements.append(f"c ~ f {self.rng.choice(('', 'w' if self.levels > 1 else ''))}")

    def script(self) -> str:
        """A whole script."""
        rng = self.rng
        clusters = self.CLUSTERS if self.levels > 1 else []
        order = sorted(
            rng.sample(self.ROWS, len(self.ROWS)), key=lambda name: name != "c"
        )  # a count predicts nothing
        if self.chance(0.8):
            order.remove("c")
        draw = rng.random()
        if draw < 0.1:
            self.lines.append(f"FCS: {' '.join(rng.sample(order, 3) + self.some(clusters, 2))};")
            self.used = order + clusters
        elif draw < 0.25:
            self.latent()
            self.used = "y x z m o b c".split()
        else:
            for place in range(rng.choice((1, 1, 1, 2))):
                self.regression(order[place], order[place + 1 :], clusters)
            if clusters and self.chance(0.1):
                self.statements.append("v ~ w")
            if len(self.statements) > 1 and self.chance(0.2):
                self.statements.append(f"{order[0]} ~~ {order[1]}")
            self.used += order[:2]
        for name in dict.fromkeys(self.used):
            if name in self.kinds:
                self.lines.append(f"{self.kinds[name]}: {name};")
        smooth = [name for name in dict.fromkeys(self.used) if name in "xzmwv"]
        if smooth and self.chance(0.3):
            self.lines.append(
                f"CENTER: {rng.choice(('grandmean', 'grandmean', 'groupmean'))} = {rng.choice(smooth)};"
            )
        for option in ("prior1", "use_phantom", "hev", "joint", "savelatent savepredicted saveresidual"):
            if self.chance(0.07):
                self.lines.append(f"OPTIONS: {option};")
        if self.statements:
            self.lines.append("MODEL: " + "; ".join(self.statements) + ";")
        if "l1" in self.lines[-1] and "l1@" not in self.lines[-1] and self.chance(0.7):
            self.lines.append(
                "PARAMETERS: q1 = " + rng.choice(("l1*2", "exp(l1)", "l1/l1", "ln(l1)", "1/(l1 - l1)")) + ";"
            )
            self.lines.append(
                rng.choice(
                    (
                        "",
                        "WALDTEST: l1 = 0;",
                        "PARAMETERS: l1 ~ truncate(-1, 1);",
                        "PARAMETERS: l1 ~ normal(0, 1);",
                    )
                )
            )
        if self.chance(0.2):
            self.lines.append("NIMPS: 4; SAVE: stacked = imps.dat; SAVE: estimates = estimates.csv;")
        self.lines.append("SEED: 3; BURN: 8; ITER: 12; CHAINS: 2;")
        return "\n".join(self.lines) + "\n"


# ------------------------------------------------------------------ by mutation
def pieces(text: str) -> list[str]:
    """Words and marks of a script."""
    found, word = [], ""
    for character in text:
        if character.isalnum() or character in "._":
            word += character
        else:
            found += [word, character] if word else [character]
            word = ""
    return [*found, word] if word else found

"""The words of the language: commands, OPTIONS keywords, SAVE keywords and functions, as tables.

The parser reads these tables and those of the manual are generated from them, so a new word begins with
a new row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Body(Enum):
    """What stands between the colon of a command and the next command.

    The values of the second group are start rules of the grammar; each statement is parsed with it.
    """

    FILE = "file name"
    WORDS = "words"
    SETTING = "whole number"
    OPTIONS = "keywords"
    SAVE = "keyword = file; ..."

    NAMES = "names"
    NOMINAL = "nominal"
    CENTER = "center"
    LATENT = "latent"
    RANDOMEFFECT = "randomeffect"
    DROPOUT = "dropout"
    FILTER = "filter"
    TRANSFORM = "transformation"
    MODEL = "model"
    PARAMETERS = "parameters"
    SIMPLE = "simple"
    WALDTEST = "waldtest"
    SIMULATE = "simulate"

    @property
    def form(self) -> str:
        """The body in the words of the manual."""
        return _FORMS.get(self, self.value)


_FORMS = {
    Body.NOMINAL: "names, each with an optional `(reference)`",
    Body.CENTER: "`grandmean = names; groupmean = names;`",
    Body.LATENT: "`names; identifier = names;`",
    Body.RANDOMEFFECT: "`new = outcome | predictor [identifier];`",
    Body.DROPOUT: "`new = outcome`",
    Body.FILTER: "expression",
    Body.TRANSFORM: "`new = expression;`",
    Body.MODEL: "statements",
    Body.PARAMETERS: "`new = expression;` or `label ~ prior;`",
    Body.SIMPLE: "`focal | moderator and moderator;`",
    Body.WALDTEST: "`labels = 0;`, `label = labels;` or a nested equation",
    Body.SIMULATE: "statements",
}

WORDLIKE = {Body.FILE, Body.WORDS, Body.SETTING, Body.OPTIONS, Body.SAVE}
"""Bodies that the grammar has no part in."""

LABELLED = {Body.MODEL, Body.SIMULATE}
"""Bodies whose statements may begin with a block label."""

LOOPED = {Body.MODEL, Body.PARAMETERS, Body.TRANSFORM, Body.SIMULATE}
"""Bodies whose statements may begin with a loop."""

SINGLE_STATEMENT = {Body.FILE, Body.WORDS, Body.SETTING, Body.NAMES, Body.NOMINAL, Body.DROPOUT, Body.FILTER}
"""Bodies of one statement only."""


@dataclass(frozen=True)
class Command:
    """A command: `field` is its attribute of the script, `most` the largest number of names,
    `least` the smallest number allowed as a setting; `once` when it may not be repeated.
    """

    name: str
    body: Body
    field: str
    help: str
    aliases: tuple[str, ...] = ()
    default: str = ""
    once: bool = False
    most: int | None = None
    least: int = 0


COMMANDS = (
    Command("DATA", Body.FILE, "data", "the data file, looked for beside the script", once=True),
    Command("VARIABLES", Body.NAMES, "variables", "names of the columns of the data file",
            default="the first line of the file"),
    Command("MISSING", Body.WORDS, "missing", "the code of missing values"),
    Command("CLUSTERID", Body.NAMES, "cluster_ids", "identifiers of the clusters of level 2 and 3", most=2),
    Command("TIMEID", Body.NAMES, "time_id", "the variable that counts the occasions", once=True, most=1),
    Command("BYGROUP", Body.NAMES, "by_group", "run everything once for each value of a variable",
            once=True, most=1),
    Command("ORDINAL", Body.NAMES, "ordinal", "binary or ordered variables (probit)"),
    Command("NOMINAL", Body.NOMINAL, "nominal", "unordered variables (logit, dummy codes as predictors)"),
    Command("COUNT", Body.NAMES, "count", "counts (negative binomial)"),
    Command("FIXED", Body.NAMES, "fixed", "complete predictors that get no distribution"),
    Command("LATENT", Body.LATENT, "latent", "latent variables and their level"),
    Command("RANDOMEFFECT", Body.RANDOMEFFECT, "random_effects",
            "names for random effects, to use them as predictors"),
    Command("CENTER", Body.CENTER, "centre", "centre predictors at estimated means"),
    Command("TRANSFORM", Body.TRANSFORM, "transform", "new columns, computed once from the data"),
    Command("FILTER", Body.FILTER, "filter", "keep the rows for which an expression holds"),
    Command("DROPOUT", Body.DROPOUT, "dropout", "an indicator of dropout, made from an outcome"),
    Command("WEIGHT", Body.NAMES, "weights", "sampling weights of level 1 and 2",
            aliases=("WEIGHTS",), most=2),
    Command("FCS", Body.NAMES, "fcs", "impute these variables without a MODEL"),
    Command("MODEL", Body.MODEL, "model", "equations, loadings, covariances and definitions"),
    Command("PARAMETERS", Body.PARAMETERS, "parameters", "quantities computed from parameters, and priors"),
    Command("SIMPLE", Body.SIMPLE, "simple", "conditional effects at values of moderators"),
    Command("WALDTEST", Body.WALDTEST, "wald_tests", "a Wald test", aliases=("TEST",)),
    Command("SIMULATE", Body.SIMULATE, "simulate", "a program that generates the data"),
    Command("SEED", Body.SETTING, "seed", "seed of the random numbers", default="1", once=True),
    Command("BURN", Body.SETTING, "burn", "iterations of each chain before any is kept",
            default="2000", once=True),
    Command("ITER", Body.SETTING, "iterations", "iterations kept, in total over all chains",
            aliases=("ITERATIONS",), default="10000", once=True, least=1),
    Command("THIN", Body.SETTING, "thin", "iterations that must lie between the saved data sets of a chain",
            default="1", once=True, least=1),
    Command("CHAINS", Body.SETTING, "chains", "number of chains", default="4", once=True, least=1),
    Command("NIMPS", Body.SETTING, "imputations", "number of data sets to save", default="0", once=True),
    Command("OPTIONS", Body.OPTIONS, "options", "switches"),
    Command("OUTPUT", Body.WORDS, "output", "accepted for other programs' sake"),
    Command("SAVE", Body.SAVE, "save", "files to write"),
)  # fmt: skip

RESERVED = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}
"""Every command name in upper case, aliases included."""


@dataclass(frozen=True)
class Keyword:
    """A keyword of OPTIONS or SAVE."""

    name: str
    help: str
    aliases: tuple[str, ...] = ()


OPTIONS = (
    Keyword("prior1", "covariance matrices: inverse Wishart with scale I and p + 1 degrees of freedom"),
    Keyword("prior2", "covariance matrices: flat (the default)"),
    Keyword("prior3", "covariance matrices: inverse Wishart with scale 0 and 0 degrees of freedom"),
    Keyword("use_phantom", "separate priors for variances and correlations"),
    Keyword("hev", "a residual variance for each cluster"),
    Keyword("joint", "one coherent normal distribution for the predictors without an equation"),
    Keyword("savelatent", "save latent variables, random effects and latent responses"),
    Keyword("saveresidual", "save residuals"),
    Keyword("savepredicted", "save predicted values"),
    Keyword("savevarnames", "a line of names on top of saved `.dat` files", ("savevariablenames",)),
    Keyword("pinfo", "print the prior and R-hat of each parameter"),
    Keyword("psr", "print R-hat (always done; accepted for old scripts)"),
    Keyword("mcse", "print the Monte Carlo error of each estimate"),
    Keyword("tuneinfo", "print acceptance rates of all chains"),
    Keyword("allpatterns", "print all patterns of missing values instead of the ten most frequent"),
    Keyword("labels", "print the labels of the parameters"),
    Keyword("nodrop", "keep the rows after a dropout, and those without values at the end of a series"),
)

SAVE = (
    Keyword("stacked", "all imputed data sets below each other"),
    Keyword("stacked0", "the same, with the original data as number 0"),
    Keyword("separate", "one file for each imputed data set, `*` stands for its number"),
    Keyword("estimates", "one line for each parameter"),
    Keyword("iterations", "every kept draw; with `*` one file for each chain"),
    Keyword("psr", "R-hat at the check points of the burn-in"),
    Keyword("avgimp", "mean over the draws of every saved column"),
    Keyword("varimp", "variance over the draws of every saved column"),
    Keyword("waldtest", "results of the Wald tests"),
    Keyword("simple", "draws of the conditional effects"),
    Keyword("dataset", "the data generated by SIMULATE"),
)


@dataclass(frozen=True)
class Function:
    """A function with the smallest and largest number of its arguments; `only`: the commands that have it."""

    name: str
    least: int
    most: int
    help: str
    only: str = ""

    @property
    def meaning(self) -> str:
        """The help, with the command that it is bound to."""
        return f"{self.help} ({self.only})" if self.only else self.help

    @property
    def arguments(self) -> str:
        """The number of arguments in words."""
        if self.least == self.most:
            return f"{self.least} argument{'s' if self.least > 1 else ''}"
        return f"{self.least} or {self.most if self.most == 2 else 'more'} arguments"


OUTCOMES = "the left side of an equation"

FUNCTIONS = (
    Function("exp", 1, 1, "exponential"),
    Function("ln", 1, 1, "natural logarithm"),
    Function("log", 1, 1, "natural logarithm"),
    Function("sqrt", 1, 1, "square root"),
    Function("abs", 1, 1, "absolute value"),
    Function("min", 1, 99, "smallest of its arguments"),
    Function("max", 1, 99, "largest of its arguments"),
    Function("mean", 1, 99, "mean of its arguments"),
    Function("sum", 1, 99, "sum of its arguments"),
    Function("phi", 1, 1, "distribution function of the standard normal"),
    Function("iphi", 1, 1, "quantile of the standard normal"),
    Function("normal_pdf", 1, 1, "density of the standard normal"),
    Function("ifelse", 3, 3, "`ifelse(condition, a, b)`"),
    Function("missing", 2, 2, "`missing(condition, x)`: missing where the condition holds, otherwise `x`",
             only="TRANSFORM and SIMULATE"),
    Function("ismissing", 1, 1,
             "1 where the argument is missing; in MODEL only of a variable, for which `y.missing` is the same",
             only="TRANSFORM and SIMULATE"),
    Function("cluster_mean", 1, 2,
             "mean of the observed values of a cluster; the second argument is its identifier",
             only="TRANSFORM"),
    Function("logit", 1, 1, "logit link of an outcome", only=OUTCOMES),
    Function("probit", 1, 1, "probit link of an outcome", only=OUTCOMES),
    Function("yjt", 1, 2, "Yeo-Johnson transformation of an outcome; the second argument is its parameter, not run",
             only=OUTCOMES),
    Function("iyjt", 1, 2, "inverse of `yjt`; not run", only="transformed latent variables"),
    Function("var", 1, 1, "log residual variance of an outcome", only=OUTCOMES),
    Function("normal", 2, 2, "a normal draw with mean and variance", only="SIMULATE"),
    Function("uniform", 2, 2, "a uniform draw between two bounds", only="SIMULATE"),
    Function("bernoulli", 1, 1, "a draw of 0 or 1 with a probability", only="SIMULATE"),
)  # fmt: skip

FUNCTION_TABLE = {function.name: function for function in FUNCTIONS}

PRIOR_FAMILIES = {
    "normal": "normal",
    "truncate": "truncate",
    "trunc": "truncate",
    "ig": "ig",
    "iw": "iw",
}
"""Prior families with their synonyms; all take two numbers."""

CENTRE_KINDS = {"grandmean": "grand", "cgm": "grand", "groupmean": "group", "cwc": "group"}


def find_keyword(rows: tuple[Keyword, ...], word: str) -> Keyword | None:
    """The row of a keyword or of one of its other spellings."""
    wanted = word.lower()
    return next((row for row in rows if wanted in (row.name, *row.aliases)), None)


def spellings(rows: tuple[Keyword, ...]) -> list[str]:
    """Every spelling of the keywords of a table."""
    return [name for row in rows for name in (row.name, *row.aliases)]


# ------------------------------------------------------------------ words of other programs
OTHER_COMMANDS = {
    "TITLE": "a comment begins with '#'",
    "ANALYSIS": "BURN, ITER, CHAINS and OPTIONS set how a model is run",
    "ESTIMATOR": "BURN, ITER, CHAINS and OPTIONS set how a model is run",
    "CLUSTER": "did you mean 'CLUSTERID:'?",
    "CATEGORICAL": "categorical variables are listed in ORDINAL or NOMINAL",
    "DEFINE": "did you mean 'TRANSFORM:'?",
    "USEVARIABLES": "VARIABLES names the columns of the data file; those in MODEL are used",
    "WITHIN": "levels are found in the data",
    "BETWEEN": "levels are found in the data",
    "MONTECARLO": "did you mean 'SIMULATE:'?",
}
"""Commands of other programs, with what to write here."""

OTHER_OPERATORS = {
    "on": "a regression is written with '~': y ~ x",
    "by": "loadings are written with '->': f -> y1 y2 y3",
    "with": "covariances are written with '~~': a ~~ b",
}
"""Words that are operators in other programs, with what to write here."""

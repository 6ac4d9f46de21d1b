"""The usual mistakes, made in the examples one at a time, and the transcript of what is said about each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from places import require_places

from mlbayes import pipeline
from mlbayes.problems import ProblemError, render
from mlbayes.source import Source

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
Edit = Callable[[str], str]


def instead(old: str, new: str) -> Edit:
    """Replace a piece of text once."""

    def edit(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return edit


def without(command: str) -> Edit:
    """Leave out a command."""
    return lambda text: re.sub(command + r":[^;]*;\n?", "", text, count=1)


def first(pattern: str, new: str) -> Edit:
    return lambda text: re.sub(pattern, new, text, count=1, flags=re.DOTALL)


def more(text: str) -> Edit:
    return lambda script: script + text + "\n"


# ------------------------------------------------------------------ in any script
EVERYWHERE: dict[str, Edit] = {
    "no semicolon after MODEL": first(r"(MODEL:.*?);(\s*\n[A-Z])", r"\1\2"),
    "no semicolon between statements": first(r"(MODEL:[^;]*);(\s*\n\s+\S)", r"\1\2"),
    "no colon after MODEL": first("MODEL:", "MODEL"),
    "no CLUSTERID": without("CLUSTERID"),
    "no MISSING": without("MISSING"),
    "no LATENT": without("LATENT"),
    "no types": without("(?:ORDINAL|NOMINAL|COUNT)"),
    "= for ~": first(" ~ (?!~)", " = "),
    "-> for ~": first(" ~ (?!~)", " -> "),
    "a predictor misspelt": first(r"(~ (?:1 |1@\w+ )?[a-z]+)[a-z]\b", r"\1"),
    "a bracket lost": first(r"\)", ""),
    "no file of that name": first("data.csv", "date.csv"),
    "no semicolon at the end": lambda text: text.rstrip()[:-1] + "\n",
}
WHERE = (
    "contextual_effect",
    "factor_model",
    "binary_outcome",
    "location_scale",
    "mediation",
    "fcs_questionnaire",
)

# ------------------------------------------------------------------ in some
SCRIPTS: dict[str, dict[str, Edit]] = {
    "two_level_missing": {
        "identifier misspelt": instead("CLUSTERID: team", "CLUSTERID: teams"),
        "identifier with missing values": instead("CLUSTERID: team", "CLUSTERID: empower"),
        "command without a colon": instead("CLUSTERID:", "CLUSTERID"),
        "outcome misspelt": instead("empower ~", "empover ~"),
        "wrong code of missing values": instead("MISSING: NA", "MISSING: 999"),
        "FIXED with missing values": instead("FIXED: training", "FIXED: training autonomy"),
        "FIXED misspelt": instead("FIXED: training", "FIXED: trainig"),
        "ORDINAL of a number": instead("ORDINAL: training", "ORDINAL: support"),
        "COUNT of a number": instead("ORDINAL: training", "COUNT: support"),
        "formula with +": instead("autonomy support climate", "autonomy + support + climate"),
        "random effects in brackets": instead("| autonomy", "+ (autonomy | team)"),
        "product with :": instead("training |", "autonomy:climate |"),
        "group mean of a cluster's variable": instead("= autonomy;", "= climate;"),
        "way of centring misspelt": instead("grandmean", "grandmeans"),
        "random slope of a stranger": instead("| autonomy", "| workload"),
        "list with commas": instead("FIXED: training", "FIXED: training, climate"),
        "command misspelt": instead("BURN", "BURNIN"),
        "number with a comma": instead("10000", "10,000"),
        "number with an exponent": instead("10000", "1e4"),
        "curly quotes": instead("data.csv", "\u201cdata.csv\u201d"),
        "capitals of a file": instead("data.csv", "Data.csv"),
        "data saved but not imputed": more("SAVE: stacked = imps.csv;"),
        "SAVE without a keyword": more("NIMPS: 5;\nSAVE: imps.csv;"),
        "VARIABLES and a header": instead("MISSING", "VARIABLES: team empower autonomy;\nMISSING"),
        "comment of C": instead("SEED", "/* seed */ SEED"),
        "comment of Mplus": instead("SEED", "! my seed\nSEED"),
        "no tilde": instead("empower ~", "empower"),
        "ON for ~": instead("empower ~", "empower ON"),
        "range with a dash": instead("autonomy support", "autonomy-support"),
        "TITLE": instead("DATA", "TITLE: a model;\nDATA"),
        "identifier as a random level": instead("| autonomy", "| autonomy[school]"),
    },
    "growth": {
        "moderator misspelt": instead("week | arm;", "week | arms;"),
        "no product for SIMPLE": instead(" week*arm", ""),
        "reference category that is none": instead("NOMINAL: arm", "NOMINAL: arm(7)"),
        "reference category with =": instead("NOMINAL: arm", "NOMINAL: arm = 1"),
        "dummy of no category": instead("week*arm", "week*arm.9"),
        "too few clusters": instead("CLUSTERID: person", "CLUSTERID: person arm"),
    },
    "factor_model": {
        "latent variable misspelt": instead("worry ->", "wory ->"),
        "BY for ->": instead("worry ->", "worry BY"),
        "range that is longer than the data": instead("worry1:worry3", "worry1:worry5"),
        "range of two names": instead("worry1:worry3", "worry1:mood3"),
        "latent variable that is in the data": instead("LATENT: worry mood", "LATENT: worry1 mood"),
        "tildes apart": instead("worry ~~ mood", "worry ~ ~ mood"),
        "keyword of SAVE misspelt": instead("avgimp =", "avgimps ="),
        "option misspelt": instead("savelatent", "savelatents"),
    },
    "ordinal_outcome": {
        "two types": instead("ORDINAL: rating;", "ORDINAL: rating; NOMINAL: rating;"),
        "function misspelt": instead("rating ~", "logistic(rating) ~"),
        "transformed categories": instead("rating ~", "yjt(rating) ~"),
        "outcome as its predictor": instead("~ waiting", "~ rating waiting"),
    },
    "count_outcome": {
        "variable where a label is needed": instead("exp(night)", "exp(nights)"),
        "function that is not there": instead("exp(night)", "log10(night)"),
        "label that is not there": instead("@night", ""),
        "label misspelt in a test": more("WALDTEST: nigth = 0;"),
        "prior with one number": instead("rate_ratio", "night ~ normal(0);\n  rate_ratio"),
        "prior that is not there": instead("rate_ratio", "night ~ cauchy(0, 1);\n  rate_ratio"),
    },
    "imputation": {
        "number in words": instead("NIMPS: 20", "NIMPS: twenty"),
        "colon in SAVE": instead("stacked =", "stacked:"),
        "file outside": instead("= imputations.csv", "= ../imputations.csv"),
        "FILTER with =": instead("NIMPS", "FILTER: hours = 1;\nNIMPS"),
        "FILTER with &": instead("NIMPS", "FILTER: hours > 1 & budget > 2;\nNIMPS"),
        "FILTER that nothing passes": instead("NIMPS", "FILTER: hours > 1000;\nNIMPS"),
        "variable computed anew": instead("NIMPS", "TRANSFORM: hours = hours/10;\nNIMPS"),
        "logarithm of negative numbers": instead("NIMPS", "TRANSFORM: lhours = log(hours);\nNIMPS"),
    },
    "location_scale": {
        "variance of a logarithm": instead("mood ~ 1@level_i", "ln(mood + 20) ~ 1@level_i"),
        "variance of a transformed outcome": instead("mood ~ 1@level_i", "yjt(mood) ~ 1@level_i"),
        "variance of categories": lambda text: "ORDINAL: calm;\nTRANSFORM: calm = mood > 4;\n"
        + text.replace("mood", "calm"),
        "variance with weights": more("TRANSFORM: w = exp(stress);\nWEIGHT: w;"),
        "variance of a logarithm, mended": lambda text: "TRANSFORM: mood_t = ln(mood + 20);\n"
        + text.replace("mood", "mood_t"),
    },
    "panel": {
        "loop with =": instead("{ t in 1:3 } : dev_s", "{ t = 1:3 } : dev_s"),
        "index of another loop": instead("dev_s[t-1]", "dev_s[u-1]"),
    },
}  # fmt: skip
DATA: dict[str, dict[str, Edit]] = {
    "growth": {
        "categories in words": lambda text: text.replace(",1\n", ",control\n"),
        "separated by semicolons": lambda text: text.replace(",", ";"),
        "decimal commas": lambda text: text.replace(".", ","),
        "no header": lambda text: text.split("\n", 1)[1],
        "row names": lambda text: re.sub(r"(?<=\n)(?=\d)", "1,", text),
        "a value of 1e300": lambda text: re.sub(r"\n1,\d+\.\d+,", "\n1,1e300,", text, count=1),
    },
    "ordinal_outcome": {
        "half a category": instead("1,2,0.801", "1,2.5,0.801"),
        "category in words": lambda text: text.replace(",2,", ",two,"),
    },
    "count_outcome": {"negative count": lambda text: re.sub(r"\n1,(?=\d)", "\n1,-1", text, count=1)},
}


def said(folder: Path, example: str, script: Edit = str, data: Edit = str) -> str:
    """What is said about an example with a mistake; empty where the script did not have what was to be changed."""
    text = re.sub(r"(?m)^#.*\n", "", (EXAMPLES / example / "model.inp").read_text())
    (folder / "data.csv").write_text(data((EXAMPLES / example / "data.csv").read_text()))
    if script is not str and script(text) == text:
        return ""
    source = Source(folder / "model.inp", script(text))
    try:
        for part in pipeline.understand_parts(source)[0]:
            pipeline.plan(part.model)
    except ProblemError as error:
        require_places(error.problems, source)
        ordered = sorted(error.problems, key=lambda problem: problem.span.start if problem.span else -1)
        return "\n".join(render(problem, source) for problem in ordered).replace(str(folder), "<folder>")
    return "accepted"


def test_transcript(golden, tmp_path):
    cases = [(example, name, edit, str) for example in WHERE for name, edit in EVERYWHERE.items()]
    cases += [(example, name, edit, str) for example, rows in SCRIPTS.items() for name, edit in rows.items()]
    cases += [(example, name, str, edit) for example, rows in DATA.items() for name, edit in rows.items()]
    lines = []
    for example, name, script, data in cases:
        text = said(tmp_path, example, script, data)
        if text:
            lines += [f"===== {example}: {name}", text, ""]
    golden(HERE / "mistakes.expected", "\n".join(lines))

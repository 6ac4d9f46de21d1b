"""The usual mistakes in small scripts and small data, and the transcript of what is said about each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from places import require_places

from mlbayes import pipeline
from mlbayes.problems import ProblemError, render
from mlbayes.source import Source

HERE = Path(__file__).parent
HEAD = "DATA: d.csv;\nMISSING: NA;\nCLUSTERID: school;\n"
Edit = Callable[[str], str]


def data_text() -> str:
    """Twelve schools of five pupils, one in each week; all kinds of columns, complete."""
    lines = ["school,pupil,week,score,hours,size,arm,passed,weight,note,one,days"]
    for n in range(60):
        school, week = divmod(n, 5)
        score, hours = 20 + school % 5 + n * 53 % 17 / 2, 1 + n * 37 % 11 / 3
        cells = [
            school + 1,
            n + 1,
            week,
            f"{score:.2f}",
            f"{hours:.2f}",
            100 + 3 * school,
            n % 3 + 1,
            n * 7 % 5 % 2,
        ]
        lines.append(",".join(map(str, [*cells, 1 + n % 4 / 10, f"n{n}", 1, n * 11 % 7])))
    return "\n".join(lines) + "\n"


def cell(line: int, column: str, new: str) -> Edit:
    """Another word in a cell of a line of the file."""

    def edit(text: str) -> str:
        lines = text.split("\n")
        words = lines[line - 1].split(",")
        words[lines[0].split(",").index(column)] = new
        return "\n".join([*lines[: line - 1], ",".join(words), *lines[line:]])

    return edit


def column(name: str, new: str) -> Edit:
    """The same word in all rows of a column."""

    def edit(text: str) -> str:
        for line in range(2, 62):
            text = cell(line, name, new)(text)
        return text

    return edit


MISTAKES: dict[str, tuple[str, Edit]] = {
    "no data file": ("MODEL: score ~ hours;", str),
    "no model": (HEAD, str),
    "MODEL without an equation": (HEAD + "MODEL: 1;", str),
    "fewer iterations than chains": (HEAD + "MODEL: score ~ hours; ITER: 2; CHAINS: 4;", str),
    "variable in two roles": (HEAD + "FIXED: score; MODEL: score ~ hours;", str),
    "latent variable of the data": (HEAD + "LATENT: score; MODEL: score -> hours;", str),
    "cluster mean without clusters": ("DATA: d.csv; MODEL: score ~ hours hours.mean;", str),
    "lag without TIMEID": (HEAD + "MODEL: score ~ score.lag;", str),
    "text as a predictor": (HEAD + "MODEL: score ~ note;", str),
    "text as categories": (HEAD + "NOMINAL: note; MODEL: score ~ note;", str),
    "text in a cell": (HEAD + "MODEL: score ~ hours;", cell(4, "score", "2l.5")),
    "code of missing values not declared": (HEAD + "MODEL: score ~ hours;", cell(4, "score", ".")),
    "identifier missing": (HEAD + "MODEL: score ~ hours;", cell(9, "school", "NA")),
    "identifiers crossed": ("DATA: d.csv; CLUSTERID: school week; MODEL: score ~ hours;", str),
    "identifiers of the same clusters": ("DATA: d.csv; CLUSTERID: school size; MODEL: score ~ hours;", str),
    "negative weight": (HEAD + "WEIGHT: weight; MODEL: score ~ hours;", cell(4, "weight", "-1")),
    "missing weight": (HEAD + "WEIGHT: weight; MODEL: score ~ hours;", cell(4, "weight", "NA")),
    "weights of the same level": (HEAD + "WEIGHT: weight hours; MODEL: score ~ hours;", str),
    "occasion twice": (HEAD + "TIMEID: week; MODEL: score ~ score.lag;", cell(4, "week", "1")),
    "occasion missing": (HEAD + "TIMEID: week; MODEL: score ~ score.lag;", cell(4, "week", "NA")),
    "occasions in halves": (
        HEAD + "TRANSFORM: half = week/2; TIMEID: half; MODEL: score ~ score.lag;",
        str,
    ),
    "nominal variable of one category": (HEAD + "NOMINAL: one; MODEL: score ~ one;", str),
    "count with decimals": (HEAD + "COUNT: hours; MODEL: hours ~ size;", str),
    "negative count": (HEAD + "COUNT: days; MODEL: days ~ size;", cell(4, "days", "-9")),
    "FIXED with missing values": (HEAD + "FIXED: hours; MODEL: score ~ hours;", cell(7, "hours", "NA")),
    "outcome without values": (HEAD + "MODEL: score ~ hours;", column("score", "NA")),
    "outcome that is constant": (HEAD + "MODEL: one ~ 1;", str),
    "predictor that is constant": (HEAD + "MODEL: score ~ hours one;", str),
    "predictor below its outcome": (HEAD + "MODEL: size ~ hours;", str),
    "group means of clusters": (HEAD + "CENTER: groupmean = size; MODEL: score ~ size;", str),
    "equations in a circle": (HEAD + "MODEL: score ~ hours; hours ~ score;", str),
    "covariance of a stranger": (HEAD + "MODEL: score ~ size; score ~~ hors;", str),
    "label misspelt": (HEAD + "MODEL: score ~ hours@slope; PARAMETERS: twice = 2*slop;", str),
    "prior of no label": (HEAD + "MODEL: score ~ hours@b; PARAMETERS: d ~ normal(0, 1);", str),
    "logit of numbers": (HEAD + "MODEL: logit(score) ~ hours;", str),
    "misspelt in TRANSFORM": (HEAD + "TRANSFORM: lh = ln(huors); l2 = lh^2; MODEL: score ~ lh l2;", str),
    "outside the domain": (HEAD + "TRANSFORM: lw = ln(week); MODEL: score ~ lw;", str),
    "BYGROUP with missing values": (HEAD + "BYGROUP: passed; MODEL: score ~ hours;", cell(5, "passed", "NA")),
    "BYGROUP as a predictor": (HEAD + "BYGROUP: passed; MODEL: score ~ hours passed;", str),
    "SAVE over the data": (HEAD + "MODEL: score ~ hours; NIMPS: 2; SAVE: stacked = d.csv;", str),
    "two columns of a name": (HEAD + "MODEL: score ~ hours;", lambda text: text.replace("pupil", "Score", 1)),
    "header alone": (HEAD + "MODEL: score ~ hours;", lambda text: text.split("\n")[0]),
    "cell lost": (HEAD + "MODEL: score ~ hours;", lambda text: re.sub(r"\n3,11,[^,]*,", r"\n3,11,", text)),
    "a cell too many": (HEAD + "MODEL: score ~ hours;", lambda text: text.replace("\n3,11,", "\n3,11,1,")),
    "not UTF-8": (HEAD + "MODEL: score ~ hours;", cell(4, "note", "\udce9t\udce9")),
}


def said(folder: Path, script: str, data: str) -> str:
    """What is said about a script and its data."""
    (folder / "d.csv").write_bytes(data.encode("utf-8", "surrogateescape"))
    source = Source(folder / "model.inp", script)
    try:
        for part in pipeline.understand_parts(source)[0]:
            pipeline.plan_part(part)
    except ProblemError as error:
        require_places(error.problems, source)
        return "\n".join(render(problem, source) for problem in error.problems)
    raise AssertionError("accepted")


def test_transcript(golden, tmp_path):
    lines = []
    for name, (script, edit) in MISTAKES.items():
        lines += [f"===== {name}", said(tmp_path, script + "\n", edit(data_text())), ""]
    golden(HERE / "small_mistakes.expected", "\n".join(lines))

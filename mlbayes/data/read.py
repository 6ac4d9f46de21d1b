"""A data file as a table of columns; every problem of the file is reported at once.

Columns of text do no harm unless the model needs their numbers: they are kept as text, and
`require_numeric` complains about those that the model uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbayes.data.lines import Splitter, read_lines, splitter_for
from mlbayes.data.table import Column, Table
from mlbayes.data.words import MissingCodes, code_words, number, numbers
from mlbayes.problems import Problem, ProblemError, ProblemKind

MOST_PROBLEMS = 20
SHOWN_LENGTHS = 5  # rows of a wrong length: there are few or all
SHOWN_COLUMNS = 8  # of many columns the first are listed
BLOCK = 20_000  # rows that are split at a time; bounds the memory for their words
LARGEST_EXACT = 2.0**53  # above it two different whole numbers may be the same float

_USUAL_CODES = frozenset({"na", "nan", "n/a", ".", "?", "*", "-", "null", "none", "missing", "#n/a"})


@dataclass(frozen=True)
class _Body:
    """The rows of a file before they are split; `numbers` has their line numbers, shape (rows,)."""

    path: Path
    lines: list[str]
    numbers: NDArray[np.int64]
    titles: tuple[str, ...]
    split: Splitter

    def fields(self, line: str) -> list[str]:
        """The words of a line, without the empty one behind a separator at its end."""
        words = self.split(line)
        if len(words) == len(self.titles) + 1 and not words[-1].strip():
            words.pop()
        return words


def read_table(
    path: Path,
    names: tuple[str, ...],
    missing_codes: tuple[str, ...],
    identifiers: frozenset[str] = frozenset(),
) -> Table:
    """The table of a data file whose words are separated by blanks or commas.

    With `names` the file has no header; without them its first row is the header.  `identifiers` are
    columns whose values only have to be told apart: they become text if floats would merge two of them.
    Raises ProblemError with all problems of the file.
    """
    codes = MissingCodes(missing_codes)
    body = _body(path, names, codes)
    values, textual = _numeric_part(body, codes)
    for position, title in enumerate(body.titles):
        if title.lower() in identifiers and (np.abs(values[position]) >= LARGEST_EXACT).any():
            textual[position] = True
    texts = _words_of(body, textual)
    columns = {}
    for position, title in enumerate(body.titles):
        words = texts.get(position)
        column = values[position] if words is None else code_words(words, codes)
        columns[title.lower()] = Column(title.lower(), title, column, words)
    return Table(path, columns, missing_codes, body.numbers)


def _body(path: Path, names: tuple[str, ...], codes: MissingCodes) -> _Body:
    """The rows and the names of the columns, wherever these stand."""
    every_line = read_lines(path)
    filled = [i for i, line in enumerate(every_line) if line and not line.isspace()]
    if not filled:
        raise _error("the data file is empty", path)
    split = splitter_for(every_line[filled[0]])
    first = [word.strip() for word in split(every_line[filled[0]])]
    second = [word.strip() for word in split(every_line[filled[1]])] if len(filled) > 1 else []
    if names and _is_header(names, first, second, codes):
        hint = "remove that line, or leave out VARIABLES to take the names from it"
        message = "the first line looks like a header, but VARIABLES names the columns"
        raise _error(message, path, hint, filled[0] + 1)
    heading = filled[0] + 1
    titles = names or _header(path, first, filled.pop(0) + 1)
    _check_distinct(path, titles, heading)
    if not filled:
        raise _error("the data file has a header but no rows", path, line=heading)
    return _Body(path, [every_line[i] for i in filled], np.array(filled, np.int64) + 1, titles, split)


def require_numeric(table: Table, name: str, hint: str = "") -> list[Problem]:
    """The problems of a column that should hold numbers: one for each different word that is none.

    `hint`: how to mend words that do not look like codes of missing values.
    """
    column = table.columns[name]
    if column.texts is None:
        return []
    codes = MissingCodes(table.missing_codes)
    bad = Counter(word for word in column.texts if codes.value(word) is None)
    problems = []
    remedy = hint or "correct the data file, leave the column out of the model, or add the word to MISSING"
    for word, count in bad.items():
        line = table.lines[column.texts.index(word)]
        others = f" (and in {count - 1} other row{'s' if count > 2 else ''})" if count > 1 else ""
        declare = f"if it stands for a missing value, declare it: MISSING: {word};"
        usual = word.lower() in _USUAL_CODES
        problems.append(
            Problem(
                f"'{_shortened(word)}' is not a {_wanted(word)}{others}",
                hint=declare if usual else remedy,
                kind=ProblemKind.DATA,
                place=f"{table.path.name}, line {line}, column '{column.title}'",
            )
        )
        remedy = remedy if usual else ""  # once is enough
    return _capped(problems, 3)


def _wanted(word: str) -> str:
    try:
        float(word)
    except ValueError:
        return "number"
    return "finite number" if "_" not in word else "number"


def _shortened(word: str, width: int = 40) -> str:
    return word if len(word) <= width else word[: width - 3] + "..."


def _error(message: str, path: Path, hint: str = "", line: int = 0) -> ProblemError:
    place = f"{path.name}, line {line}" if line else path.name
    return ProblemError([Problem(message, hint=hint, kind=ProblemKind.DATA, place=place)])


def _capped(problems: list[Problem], most: int = MOST_PROBLEMS) -> list[Problem]:
    """The first problems, and one that counts the rest."""
    rest = len(problems) - most
    if rest <= 0:
        return problems
    following = problems[most]
    more = Problem(f"and {rest} more problems like these", kind=following.kind, place=following.place)
    return [*problems[:most], more]


# ------------------------------------------------------------------ names
def _header(path: Path, words: list[str], line: int) -> tuple[str, ...]:
    """The names of the header; a separator at its end is no name."""
    titles = words[:-1] if len(words) > 1 and not words[-1] else words
    if len(titles) == 1 and ";" in titles[0]:
        raise _error(
            "the columns are separated by ';'", path, "separate them by commas, blanks or tabs", line
        )
    if "" in titles:
        hint = "every column needs a name" if titles[0] else "write the file without row names"
        raise _error(f"the name of column {titles.index('') + 1} is empty", path, hint, line)
    if all(number(title) is not None for title in titles):
        hint = "list the names of the columns in VARIABLES"
        raise _error("the first line holds numbers, not the names of the columns", path, hint, line)
    return tuple(titles)


def _is_header(names: Sequence[str], first: list[str], second: list[str], codes: MissingCodes) -> bool:
    """Is the first line one of names: the declared ones, or words of text above numbers."""
    words = [word.lower() for word in first if word]
    if words == [name.lower() for name in names]:
        return True
    texts = [word for word in words if codes.value(word) is None and word not in _USUAL_CODES]
    return len(texts) == len(words) > 0 and any(number(word) is not None for word in second)


def _check_distinct(path: Path, titles: Sequence[str], line: int) -> None:
    """No two columns may have the same name; `line`: where the names stand."""
    positions: dict[str, list[int]] = {}
    for position, title in enumerate(titles, 1):
        positions.setdefault(title.lower(), []).append(position)
    hint = "names are the same whether in capitals or not; rename one of the columns"
    place = f"{path.name}, line {line}"
    problems = [
        Problem(
            f"{len(found)} columns are named '{_shortened(name)}' ({_numbered(found)})",
            hint=hint,
            kind=ProblemKind.DATA,
            place=place,
        )
        for name, found in positions.items()
        if len(found) > 1
    ]
    if problems:
        raise ProblemError(_capped(problems))


def _numbered(positions: Sequence[int]) -> str:
    """Columns by their numbers, of many the first."""
    shown = ", ".join(map(str, positions[:SHOWN_COLUMNS]))
    return f"columns {shown}{', ...' if len(positions) > SHOWN_COLUMNS else ''}"


# ------------------------------------------------------------------ cells
def _numeric_part(body: _Body, codes: MissingCodes) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values, shape (columns, rows), and which columns hold text (their values are not to be used)."""
    columns, rows = len(body.titles), len(body.lines)
    values = np.full((columns, rows), np.nan)
    textual = np.zeros(columns, np.bool_)
    wrong: list[tuple[int, int]] = []
    for start in range(0, rows, BLOCK):
        block = [body.fields(line) for line in body.lines[start : start + BLOCK]]
        wrong += [(start + i, len(words)) for i, words in enumerate(block) if len(words) != columns]
        if wrong:
            continue
        for position in np.flatnonzero(~textual).tolist():
            column = numbers([words[position] for words in block], codes)
            if column is None:
                textual[position] = True
            else:
                values[position, start : start + len(block)] = column
    if wrong:
        raise ProblemError(_capped(_length_problems(body, wrong), SHOWN_LENGTHS))
    return values, textual


def _length_problems(body: _Body, wrong: list[tuple[int, int]]) -> list[Problem]:
    """One problem for each row that has not as many words as there are columns; a hint with the first."""
    expected = len(body.titles)
    commas = "," in body.lines[wrong[0][0]]
    hint = (
        "decimals are written with a point, and a text with a comma in it stands in quotes"
        if commas and wrong[0][1] > expected
        else "an empty cell still has its comma; write a code for missing values there"
        if commas
        else "an empty cell between blanks cannot be seen: write a code for missing values"
    )
    counts = {found for _, found in wrong}
    if len(wrong) == len(body.lines) and len(counts) == 1:
        hint = f"the columns are {', '.join(body.titles[:SHOWN_COLUMNS])}{', ...' if expected > SHOWN_COLUMNS else ''}"
        if counts == {expected + 1}:
            hint += "; if the first word of each line is a row name, write the file without row names"
        elif counts == {1}:
            hint = "columns are separated by blanks, tabs or commas"
    return [
        Problem(
            f"expected {expected} values, found {found}",
            hint=hint if row == wrong[0][0] else "",
            kind=ProblemKind.DATA,
            place=f"{body.path.name}, line {body.numbers[row]}",
        )
        for row, found in wrong
    ]


def _words_of(body: _Body, textual: NDArray[np.bool_]) -> dict[int, tuple[str, ...]]:
    """The words of the columns of text, by position; a second pass, since such columns are rare."""
    positions = np.flatnonzero(textual).tolist()
    if not positions:
        return {}
    chosen = [[words[p].strip() for p in positions] for words in map(body.fields, body.lines)]
    return {p: tuple(words[i] for words in chosen) for i, p in enumerate(positions)}

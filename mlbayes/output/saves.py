"""The files of SAVE: imputed data, estimates, draws, diagnostics, tests.

Imputed data are written in the order of the data file with all its columns first; tables of results have
one row (or column) per numbered row of the report, in order of printing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbayes.output.atomic import Place, file_problem, write_bytes
from mlbayes.output.columns import Format, header_text, table_text, whole_columns
from mlbayes.output.targets import separate_names
from mlbayes.results.document import Document, Row
from mlbayes.results.rows import RowDraws, TableDraws

Array = NDArray[np.float64]


class Blocks(Iterable[Array]):
    """Tables of shape (rows, columns) that are made when they are asked for, one at a time, and then forgotten."""

    def __init__(self, count: int, make: Callable[[int], Array]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> Array:
        return self._make(k)

    def __iter__(self) -> Iterator[Array]:
        return (self._make(k) for k in range(self._count))


@dataclass(frozen=True)
class Imputations:
    """Imputed data sets (rows, columns) in the order of the data file, nan where a cell stays missing.

    `names`: all input columns first.  `blocks`: the data sets.  `original`: the data as read, nan in added columns.
    `mean`, `variance`: over draws, same shape.  `words`: {column: its words} of columns of text, whose numbers are mere
    codes.
    `rows`: their positions in the data file.
    """

    names: list[str]
    blocks: Blocks | list[Array]
    original: Array | None = None
    mean: Array | None = None
    variance: Array | None = None
    words: Mapping[int, Sequence[str]] = field(default_factory=dict)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Results:
    """What saved files are made of.

    `rows`: the numbered rows with their draws.  `conditional`: tables of conditional effects.  `missing`: how a
    missing cell is written.  `names_wanted`: in `.dat` files, which have no header otherwise.
    """

    document: Document
    burn: int
    kept: int
    rows: Sequence[RowDraws] = ()
    conditional: Sequence[TableDraws] = ()
    imputations: Imputations | None = None
    missing: str = "NA"
    names_wanted: bool = False


# ------------------------------------------------------------------ imputed data
def write_table(
    path: Path,
    names: Sequence[str],
    array: Array,
    layout: Format,
    whole: Sequence[bool] | None = None,
    words: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """One table of shape (rows, columns); whole columns are found out when they are not given."""
    write_tables(path, names, [array], layout, whole_columns([array]) if whole is None else whole, words)


def write_tables(
    path: Path,
    names: Sequence[str],
    blocks: Iterable[Array],
    layout: Format,
    whole: Sequence[bool],
    words: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """Several tables below each other; the columns of `words` hold the same words in each of them."""

    def parts() -> Iterator[bytes]:
        if layout.header:
            yield header_text(names, layout)
        for block in blocks:
            yield from table_text(block, whole, layout, words)

    write_bytes(path, parts())


def imputed(results: Results) -> Imputations:
    """The imputations, which a run without NIMPS does not have."""
    if results.imputations is None or not len(results.imputations.blocks):
        raise file_problem("SAVE", "there are no imputed data sets to save", "say how many: NIMPS: 20;")
    return results.imputations


def decimals_wanted(imputations: Imputations, layout: Format) -> list[bool]:
    """Which columns are written without decimals; none in fixed columns."""
    if layout.fixed:
        return [False] * len(imputations.names)
    return whole_columns(imputations.blocks)


def save_stacked(name: str, results: Results, place: Place, first: int = 1) -> list[Path]:
    """All imputations below each other, with their number in the first column."""
    imputations = imputed(results)
    layout = Format.of(name, results.missing, results.names_wanted)
    blocks: Iterable[Array] = imputations.blocks
    if first == 0:
        if imputations.original is None:
            raise file_problem(name, "the original data are not at hand")
        blocks = itertools.chain([imputations.original], blocks)
    numbered = (np.column_stack((np.full(len(block), k), block)) for k, block in enumerate(blocks, first))
    path = place.target(name)
    whole = [True, *decimals_wanted(imputations, layout)]
    words = {k + 1: column for k, column in imputations.words.items()}
    write_tables(path, ["imp#", *imputations.names], numbered, layout, whole, words)
    return [path]


def save_stacked0(name: str, results: Results, place: Place) -> list[Path]:
    """The same with the original data as imputation 0."""
    return save_stacked(name, results, place, first=0)


def save_separate(name: str, results: Results, place: Place) -> list[Path]:
    """A file for each imputation (`*` is its number), and a list of their names for Mplus."""
    imputations = imputed(results)
    pattern, listing = separate_names(name)
    layout = Format.of(name, results.missing, results.names_wanted)
    whole = decimals_wanted(imputations, layout)
    files = [pattern.replace("*", str(k)) for k in range(1, len(imputations.blocks) + 1)]
    paths = [place.target(file) for file in files]
    listed = place.target(listing)
    for path, block in zip(paths, imputations.blocks, strict=True):
        write_table(path, imputations.names, block, layout, whole, imputations.words)
    write_bytes(listed, [f"{path.name}\n".encode() for path in paths])
    return [*paths, listed]


def save_over_draws(name: str, results: Results, place: Place, what: str) -> list[Path]:
    """Mean or variance over draws of every column."""
    imputations = results.imputations
    table = None
    if imputations is not None:
        table = imputations.mean if what == "mean" else imputations.variance
    if imputations is None or table is None:
        raise file_problem(name, f"the {what} over draws was not kept")
    path = place.target(name)
    layout = Format.of(name, results.missing, True)
    whole = [False] * len(imputations.names) if layout.fixed else None
    words = imputations.words if what == "mean" else None
    write_table(path, imputations.names, table, layout, whole, words)
    return [path]


# ------------------------------------------------------------------ results
def lines(rows: Iterable[Iterable[float | None]], separator: str = ",") -> Iterator[bytes]:
    """Rows of numbers with ten digits; None is nan."""
    for row in rows:
        values = (math.nan if value is None else value for value in row)
        yield (separator.join(f"{value:.10g}" for value in values) + "\n").encode()


def numbered(document: Document) -> list[Row]:
    """The numbered rows of a document, in order of printing."""
    tables = [*document.outcome_tables, *document.generated_tables, *document.predictor_tables]
    return [row for table in tables for row in table.rows if row.number]


def estimate_cells(row: Row) -> tuple[float | None, ...]:
    """The figures of a row; other than in the report ChiSq and PValue are given for every row."""
    if row.fixed or not row.sd:
        return (row.estimate, 0.0, row.estimate, row.estimate, None, None, None)
    chisq = row.chisq if row.mean is None else (row.mean / row.sd) ** 2
    pvalue = None if chisq is None else math.erfc(math.sqrt(chisq / 2.0))
    return (row.estimate, row.sd, row.q025, row.q975, chisq, pvalue, row.neff)


def save_estimates(name: str, results: Results, place: Place) -> list[Path]:
    """A row per parameter."""
    head = b"Estimate,StdDev,2.5%,97.5%,ChiSq,PValue,N_Eff\n"
    path = place.target(name)
    write_bytes(path, [head, *lines(estimate_cells(row) for row in numbered(results.document))])
    return [path]


def save_iterations(name: str, results: Results, place: Place) -> list[Path]:
    """Draws after burn-in, chains below each other, or a file per chain (`*` is its number)."""
    shape = (results.document.chains, results.burn + results.kept)
    draws = np.array([np.broadcast_to(row.values, shape)[:, results.burn :] for row in results.rows])
    chains = [draws[:, chain].T for chain in range(shape[0])] if results.rows else []
    if "*" in name:
        paths = [place.target(name.replace("*", str(k))) for k in range(1, len(chains) + 1)]
        for path, chain in zip(paths, chains, strict=True):
            write_bytes(path, lines(chain.tolist()))
        return paths
    path = place.target(name)
    write_bytes(path, (line for chain in chains for line in lines(chain.tolist())))
    return [path]


def save_psr(name: str, results: Results, place: Place) -> list[Path]:
    """R-hats of the burn-in: a row per checkpoint, a column per parameter."""
    from mlbayes.results.rhat import rhat_table  # compiled code, which no other file needs

    path = place.target(name)
    rhats = rhat_table([row.values for row in results.rows], results.burn)
    write_bytes(path, lines(rhats.T.tolist()))
    return [path]


def save_waldtest(name: str, results: Results, place: Place) -> list[Path]:
    """A row per Wald test."""
    path = place.target(name)
    tests = results.document.fit.wald
    rows = ((float(k), float(test.df), test.statistic, test.p) for k, test in enumerate(tests, 1))
    write_bytes(path, [b"test_number,df,statistic,probability\n", *lines(rows)])
    return [path]


def save_simple(name: str, results: Results, place: Place) -> list[Path]:
    """Draws of conditional slopes and intercepts, in pairs of columns."""
    names, columns = [], []
    shape = (results.document.chains, results.burn + results.kept)
    for table in results.conditional:
        pairs: dict[str, dict[str, RowDraws]] = {}
        for row in table.rows:
            where = row.section if row.category is None else f"{row.category} ~ {row.section}"
            pairs.setdefault(where or "", {})[row.label] = row
        for where, pair in pairs.items():
            for word, label in (("SLOPE", "Slope"), ("INTER", "Intercept")):
                names.append(f'"{word}: {table.name} ~ {where}"')
                values = np.broadcast_to(pair[label].values, shape)[:, results.burn :]
                columns.append(values.reshape(-1))
    path = place.target(name)
    head = (",".join(names) + "\n").encode()
    write_bytes(path, [head, *lines(np.column_stack(columns).tolist() if columns else [])])
    return [path]


WRITERS: dict[str, Callable[[str, Results, Place], list[Path]]] = {
    "stacked": save_stacked,
    "stacked0": save_stacked0,
    "separate": save_separate,
    "avgimp": lambda name, results, place: save_over_draws(name, results, place, "mean"),
    "varimp": lambda name, results, place: save_over_draws(name, results, place, "variance"),
    "estimates": save_estimates,
    "iterations": save_iterations,
    "psr": save_psr,
    "waldtest": save_waldtest,
    "simple": save_simple,
}


def write_saves(saves: Sequence[tuple[str, str]], results: Results, place: Place) -> list[Path]:
    """Write every file of SAVE, (keyword, file name) each; returns the paths.

    All names are looked at before anything is written.
    """
    seen: set[str] = set()
    for keyword, name in saves:
        if keyword not in WRITERS:
            raise file_problem(name, f"SAVE does not know '{keyword}'", f"known: {', '.join(WRITERS)}")
        if name in seen:
            raise file_problem(name, "two results would be written into this file")
        seen.add(name)
        place.target(name.replace("*", "1"))
    return [path for keyword, name in saves for path in WRITERS[keyword](name, results, place)]

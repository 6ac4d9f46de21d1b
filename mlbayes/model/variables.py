"""The variables of the model: the rows that are analysed, the level and the type of each variable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlbayes.data.read import require_numeric
from mlbayes.data.table import Table
from mlbayes.language.nodes import Centre, Name, Script
from mlbayes.model.expressions import Centring
from mlbayes.model.hierarchy import build_hierarchy, level_of_values, values_at_level
from mlbayes.model.model import Kind, Role, Variable
from mlbayes.model.names import Names, split_name, used_columns, uses_lag
from mlbayes.model.notes import Notes
from mlbayes.model.units import Hierarchy, Indices
from mlbayes.problems import nearest

MOST_CODES = 100


@dataclass(frozen=True)
class Declared:
    """Types and centring by variable, as the commands declare them."""

    kinds: dict[str, tuple[Kind, Name]]
    references: dict[str, int | None]
    centring: dict[str, Centring]
    mean_centring: dict[str, Centring]


def read_variables(
    script: Script, table: Table, names: Names, selected: Indices | None, notes: Notes
) -> tuple[dict[str, Variable], Hierarchy, Indices]:
    """Every variable that the model uses, the hierarchy of its rows, and these rows in file order."""
    declared = read_declarations(script, table, names, notes)
    identifiers = [name.name for name in script.cluster_ids]
    used = used_columns(script, names)
    columns = [name for name in table.columns if name in used]
    time = script.time_id.name if script.time_id else ""
    aside = [*script.weights, *([script.time_id] if script.time_id else [])]
    every = [name for name in dict.fromkeys([*columns, *(n.name for n in aside)]) if name in table.columns]
    for name in every:
        if name not in identifiers:
            hint = ""
            if name == time:
                hint = "occasions are whole numbers: number those of each cluster 1, 2, 3, ..."
            elif name in declared.kinds:
                hint = "number the categories in the data file: 0, 1, 2, ..."
            notes.problems += require_numeric(table, name, hint)
    rows = np.arange(table.rows, dtype=np.int64) if selected is None else np.asarray(selected, np.int64)
    rows = _with_data(script, table, names, [c for c in columns if c not in identifiers], rows, notes)
    hierarchy, problems = build_hierarchy(
        table, script.cluster_ids, rows, time if time in table.columns else None
    )
    notes.problems += problems
    variables = {name: _variable(table, name, hierarchy, declared, notes) for name in every}
    _add_latent(script, names, hierarchy, variables, notes)
    return variables, hierarchy, rows


# ------------------------------------------------------------------ declarations
def read_declarations(script: Script, table: Table, names: Names, notes: Notes) -> Declared:
    """Types and centring, with checks that every name exists and has one type."""
    kinds: dict[str, tuple[Kind, Name]] = {}
    entries = [("ORDINAL", Kind.ORDINAL, name) for name in script.ordinal]
    entries += [("NOMINAL", Kind.NOMINAL, entry.name) for entry in script.nominal]
    entries += [("COUNT", Kind.COUNT, name) for name in script.count]
    typed = {name for _, _, name in entries}
    entries += [("DROPOUT", Kind.ORDINAL, e.name) for e in script.dropout if e.name not in typed]
    for command, kind, name in entries:
        require_column(name, command, table, notes)
        known = kinds.setdefault(name.name, (kind, name))
        if known[0] is not kind:
            message = f"'{name.name}' is declared both {known[0].value} and {kind.value}"
            notes.problem(message, name.span, "a variable has one type")
    for command, listed in (("FIXED", script.fixed), ("WEIGHT", script.weights), ("FCS", script.fcs)):
        for name in listed:
            require_column(name, command, table, notes)
    for single, command in ((script.time_id, "TIMEID"), (script.by_group, "BYGROUP")):
        if single is not None:
            require_column(single, command, table, notes)
    centring: dict[str, Centring] = {}
    means: dict[str, Centring] = {}
    for entry in script.centre:
        _read_centre(entry, names, centring, means, notes)
    return Declared(kinds, {n.name.name: n.reference for n in script.nominal}, centring, means)


def require_column(name: Name, command: str, table: Table, notes: Notes) -> None:
    """A name in a command must be a column."""
    if name.name not in table.columns:
        hint = nearest(name.name, table.columns)
        notes.problem(f"'{name.name}' in {command} is not in the data", name.span, hint)


def _read_centre(
    entry: Centre, names: Names, centring: dict[str, Centring], means: dict[str, Centring], notes: Notes
) -> None:
    base, _, suffix = entry.name.name.rpartition(".")
    is_mean = suffix == "mean" and entry.name.name not in names.columns
    name = base if is_mean else entry.name.name
    if split_name(name, names.columns, names.nominal) is None:
        hint = nearest(name, names.columns)
        if name in names.latent:
            hint = "latent variables cannot be centred: give them a mean of zero"
        notes.problem(f"'{name}' in CENTER is not in the data", entry.name.span, hint)
        return
    kind = Centring.GROUP if entry.kind == "group" else Centring.GRAND
    if is_mean and kind is Centring.GROUP:
        notes.unsupported(f"group mean centring of '{entry.name.name}' is not supported", entry.name.span)
    target = means if is_mean else centring
    if target.setdefault(name, kind) is not kind:
        message = f"'{entry.name.name}' is centred both at its grand mean and at group means"
        notes.problem(message, entry.name.span, "choose one of the two")


# ------------------------------------------------------------------ rows and columns
def _with_data(
    script: Script, table: Table, names: Names, columns: Sequence[str], rows: Indices, notes: Notes
) -> Indices:
    """The rows in which some variable of the model is present."""
    if not columns or uses_lag(script, names):
        return rows  # with lags a row without data still is an occasion
    empty = np.all([np.isnan(table.values(name)[rows]) for name in columns], axis=0)
    dropped = int(empty.sum())
    if dropped:
        plural = "observation" if dropped == 1 else "observations"
        notes.warn(f"{dropped} {plural} dropped because all variables of the model are missing.")
    if dropped == len(rows):
        place = script.command_spans.get("filter") or script.command_spans.get("data")
        notes.data_problem("no row has a value for any variable of the model", place)
        return rows
    return rows[~empty]


def _variable(table: Table, name: str, hierarchy: Hierarchy, declared: Declared, notes: Notes) -> Variable:
    values = table.values(name)[hierarchy.order]
    level = level_of_values(hierarchy, values)
    at_level = values_at_level(hierarchy, values, level)
    kind, place = declared.kinds.get(name, (Kind.CONTINUOUS, None))
    codes: tuple[int, ...] = ()
    reference = declared.references.get(name)
    if kind is not Kind.CONTINUOUS and place is not None:
        codes = _codes(table, hierarchy.order, kind, place, notes)
    chosen = kind is Kind.NOMINAL and reference is None
    if chosen and codes:
        reference = codes[0]
        notes.add(f"the reference category of {name} is {reference}", "NOMINAL names none: the lowest code")
    elif kind is Kind.NOMINAL and codes and reference not in codes and place is not None:
        hint = f"its codes are {', '.join(map(str, codes))}"
        notes.problem(f"'{name}' has no code {reference}", place.span, hint)
    return Variable(
        name,
        kind,
        level,
        Role.UNUSED,
        at_level,
        codes,
        reference,
        chosen,
        declared.centring.get(name, Centring.NONE),
        declared.mean_centring.get(name, Centring.NONE),
    )


def _codes(table: Table, rows: Indices, kind: Kind, declared: Name, notes: Notes) -> tuple[int, ...]:
    """The distinct codes of a categorical variable in some rows, checked; none for a count."""
    name, values = declared.name, table.values(declared.name)[rows]
    if table.columns[name].texts is not None:
        return ()  # that it has no numbers is said already
    present = np.unique(values[~np.isnan(values)])
    broken = np.sort(rows[~np.isnan(values) & (values != np.floor(values))])[:1]
    if len(broken):
        message = f"'{name}' is declared {kind.value} but has the value {table.values(name)[broken[0]]:g}"
        hint = f"{'counts' if kind is Kind.COUNT else 'codes'} must be whole numbers"
        notes.data_problem(message, declared.span, hint, table.where(broken))
        return ()
    if kind is Kind.COUNT:
        if (present < 0).any():
            message = f"the count '{name}' has the negative value {present[0]:g}"
            hint = "counts are 0, 1, 2, ...; if it stands for a missing value, declare it in MISSING"
            notes.data_problem(message, declared.span, hint, table.where(rows[values == present[0]]))
        return ()
    if len(present) < 2:
        found = f"the code {present[0]:g} only" if len(present) else "no values"
        hint = "a categorical variable needs two codes or more in the rows that are analysed"
        notes.data_problem(f"'{name}' is declared {kind.value} but has {found}", declared.span, hint)
    if len(present) > MOST_CODES:
        message = f"'{name}' is declared {kind.value} but has {len(present)} codes"
        notes.data_problem(message, declared.span, "is it continuous?")
        return ()
    return tuple(int(code) for code in present)


# ------------------------------------------------------------------ variables that are not columns
def _add_latent(
    script: Script, names: Names, hierarchy: Hierarchy, variables: dict[str, Variable], notes: Notes
) -> None:
    """Latent variables and named random effects: no value is known."""
    for entry in script.latent:
        level = 1
        if entry.level is not None:
            level = identifier_level(entry.level.text.lower(), hierarchy)
            if level == 0:
                hint = nearest(entry.level.text.lower(), hierarchy.identifiers)
                hint = hint or f"name the clusters: CLUSTERID: {entry.level.text};"
                notes.problem(f"'{entry.level.text}' in LATENT is not in CLUSTERID", entry.level.span, hint)
                level = 1
        if entry.name.name in names.columns:
            message = f"'{entry.name.name}' in LATENT is a variable of the data"
            notes.problem(message, entry.name.span, "give the latent variable a name of its own")
            continue
        values = np.full(hierarchy.units[level - 1], np.nan)
        variables[entry.name.name] = Variable(entry.name.name, Kind.CONTINUOUS, level, Role.LATENT, values)
    for effect in script.random_effects:
        level = identifier_level(effect.level.text.lower(), hierarchy)
        if level == 0:
            hint = nearest(effect.level.text.lower(), hierarchy.identifiers)
            notes.problem(
                f"'{effect.level.text}' in RANDOMEFFECT is not in CLUSTERID", effect.level.span, hint
            )
            level = 1
        values = np.full(hierarchy.units[level - 1], np.nan)
        because = f"a random effect of {effect.outcome.name} (RANDOMEFFECT)"
        variables[effect.name.name] = Variable(
            effect.name.name, Kind.CONTINUOUS, level, Role.UNUSED, values, because=because
        )


def identifier_level(identifier: str, hierarchy: Hierarchy) -> int:
    """The level of an identifier, 0 when it is none."""
    return hierarchy.identifiers.index(identifier) + 2 if identifier in hierarchy.identifiers else 0

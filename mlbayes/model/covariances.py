"""`~~`: residual covariances; statements that share variables form one block."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from mlbayes.language import nodes
from mlbayes.language.nodes import Name, Tag
from mlbayes.model.implied import covariance_names
from mlbayes.model.model import CovarianceBlock, Kind, ParameterKind, Prior, Variable
from mlbayes.model.notes import Notes
from mlbayes.model.parameters import ParameterTable
from mlbayes.problems import nearest
from mlbayes.source import Span


@dataclass
class _Group:
    """A block in the making; `pairs` are those written, with their tags."""

    members: list[str]
    block: str | None
    span: Span
    pairs: dict[frozenset[str], Tag | None] = field(default_factory=dict)


def build_covariances(
    statements: list[nodes.Covariance], variables: dict[str, Variable], table: ParameterTable
) -> tuple[CovarianceBlock, ...]:
    """The covariance blocks, each in the place of its last statement."""
    groups: list[_Group] = []
    for statement in statements:
        names = covariance_names(statement)
        if not _check(names, statement, variables, table.notes):
            continue
        new = _group(statement, [name.name for name in names])
        if len(new.members) < 2:
            continue  # `y ~~ y@v` is the variance of y
        overlapping = [group for group in groups if set(group.members) & set(new.members)]
        for group in overlapping:
            groups.remove(group)
        groups.append(_merge([*overlapping, new], table.notes))
    return tuple(_block(group, variables, table) for group in groups)


def _check(
    names: list[Name], statement: nodes.Covariance, variables: dict[str, Variable], notes: Notes
) -> bool:
    """Report what is wrong with a statement; True if nothing is (a problem told before is not counted again)."""
    sound = True
    for name in names:
        variable = variables.get(name.name)
        if variable is None:
            hint = nearest(name.name, variables) or f"a latent variable is declared: LATENT: {name.name};"
            notes.problem(f"'{name.name}' in '~~' is not known", name.span, hint)
            sound = False
        elif variable.kind in (Kind.NOMINAL, Kind.COUNT):
            hint = "correlations need continuous or ordinal variables"
            notes.problem(f"the {variable.kind.value} variable '{name.name}' in '~~'", name.span, hint)
            sound = False
    levels = {variables[name.name].level for name in names if name.name in variables}
    if len(levels) > 1:
        message = f"'~~' between variables of different levels ({', '.join(map(str, sorted(levels)))})"
        notes.problem(message, statement.span, "only residuals of the same level can be correlated")
        sound = False
    return sound


def _group(statement: nodes.Covariance, members: list[str]) -> _Group:
    group = _Group(members, statement.block, statement.span)
    for left, right in product(statement.left, statement.right):
        if isinstance(right.expression, Name) and left.name != right.expression.name:
            pair = frozenset((left.name, right.expression.name))
            group.pairs[pair] = group.pairs.get(pair) or right.tag
    return group


def _merge(groups: list[_Group], notes: Notes) -> _Group:
    last = groups[-1]
    members = list(dict.fromkeys(name for group in groups for name in group.members))
    merged = _Group(members, last.block, last.span)
    for group in groups:
        for pair, tag in group.pairs.items():
            merged.pairs[pair] = merged.pairs.get(pair) or tag
    if len(groups) > 1:
        because = "statements with '~~' share variables: one block with one prior"
        notes.add(f"one covariance matrix of {' '.join(members)}", because)
    return merged


def _block(group: _Group, variables: dict[str, Variable], table: ParameterTable) -> CovarianceBlock:
    members = tuple(group.members)
    correlations = {}
    for i, second in enumerate(members):
        for j, first in enumerate(members[:i]):
            pair = frozenset((first, second))
            if pair not in group.pairs:
                what = f"the correlation of {first} and {second} is estimated"
                table.notes.add(what, "both are in one block of '~~' although this pair was not written")
            tag = group.pairs.get(pair)
            if tag is not None:
                name = f"Cor({first},{second})"
                kind = ParameterKind.CORRELATION
                correlations[j, i] = table.register(name, tag, kind, Prior(), group.span)
    level = variables[members[0]].level
    prior = table.priors.matrix(len(members))
    return CovarianceBlock(members, level, prior, correlations, group.block, group.span)

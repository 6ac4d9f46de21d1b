"""The random effects of an equation: which terms vary over which clusters."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlbayes.language.nodes import Name, Number, RandomTerm, Tag
from mlbayes.model.drafts import Draft
from mlbayes.model.expressions import level_of
from mlbayes.model.model import ParameterKind, RandomEffects
from mlbayes.model.names import INTERCEPT
from mlbayes.model.parameters import ParameterTable
from mlbayes.model.resolve import Resolved, Resolver
from mlbayes.model.variables import identifier_level
from mlbayes.source import Span


@dataclass(frozen=True)
class Effect:
    """A random effect at one level; `term` is None for the intercept."""

    level: int
    term: Resolved | None
    label: str
    tag: Tag | None = None
    span: Span | None = None


@dataclass
class Wanted:
    """The random effects that an equation shall have, and how the report prints them."""

    effects: list[Effect] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def add(self, effect: Effect, printed: str = "") -> None:
        """Add an effect, and its text unless it is there; the same effect again changes nothing."""
        if any((e.level, e.label) == (effect.level, effect.label) for e in self.effects):
            return
        self.effects.append(effect)
        if printed and printed not in self.printed:
            self.printed.append(printed)

    def at(self, level: int) -> list[Effect]:
        """The effects of a level, the intercept first."""
        return sorted((e for e in self.effects if e.level == level), key=lambda e: e.term is not None)


def wanted_effects(draft: Draft, resolver: Resolver) -> Wanted:
    """What stands right of the bar, completed by the default random intercepts."""
    levels = range(draft.outcome.level + 1, resolver.hierarchy.levels + 1)
    default = not draft.latent and not draft.variance and draft.latent_intercept is None
    wanted = Wanted()
    if draft.random is None:
        _default_intercepts(wanted, draft, levels, default, resolver)
        return wanted
    if not resolver.hierarchy.identifiers and any(not _removes(term) for term in draft.random):
        hint = "name the clusters: CLUSTERID: ...;"
        resolver.notes.problem("random effects need CLUSTERID", draft.random[0].span, hint)
        return wanted
    if not levels and any(not _removes(term) for term in draft.random):
        message = f"'{draft.title}' varies at the highest level and cannot have random effects"
        resolver.notes.problem(message, draft.random[0].span)
        return wanted
    explicit = any(term.level is not None for term in draft.random)
    intercepts = [term for term in draft.random if _is_intercept(term)]
    if not explicit and not any(_removes(term) for term in intercepts):
        if intercepts:
            _intercepts(wanted, levels, intercepts[0])
        elif default:
            _default_intercepts(wanted, draft, levels, default, resolver)
            wanted.printed.append("Intercept")
    for term in draft.random:
        if explicit and _is_intercept(term) and not _removes(term):
            _explicit_intercept(wanted, draft, term, resolver)
        elif not _is_intercept(term):
            _slopes(wanted, draft, term, levels, explicit, resolver)
    return wanted


def _is_intercept(term: RandomTerm) -> bool:
    expression = term.expression
    return isinstance(expression, Number) or (isinstance(expression, Name) and expression.name == INTERCEPT)


def _removes(term: RandomTerm) -> bool:
    """`0` or `1@0`."""
    zero = isinstance(term.expression, Number) and term.expression.value == 0.0
    tagged = _is_intercept(term) and isinstance(term.tag, Number) and term.tag.value == 0.0
    return zero or tagged


def _tag(term: RandomTerm) -> str:
    if isinstance(term.tag, Name):
        return f"@{term.tag.name}"
    return f"@{term.tag.value:.15g}" if term.tag is not None else ""


def _default_intercepts(
    wanted: Wanted, draft: Draft, levels: range, default: bool, resolver: Resolver
) -> None:
    if not default:
        return
    for level in levels:
        wanted.add(Effect(level, None, "Intercept"))
        what = f"{draft.title} has random intercepts over {resolver.hierarchy.identifiers[level - 2]}"
        resolver.notes.add(what, f"it is an outcome of level {draft.outcome.level}; `| 1@0` removes them")


def _intercepts(wanted: Wanted, levels: range, term: RandomTerm) -> None:
    for level in levels:
        wanted.add(Effect(level, None, "Intercept", term.tag, term.span), "Intercept" + _tag(term))


def _explicit_intercept(wanted: Wanted, draft: Draft, term: RandomTerm, resolver: Resolver) -> None:
    for level in _levels(term, draft, resolver):
        label = f"Intercept[{resolver.hierarchy.identifiers[level - 2]}]"
        wanted.add(Effect(level, None, label, term.tag, term.span), label + _tag(term))


def _levels(term: RandomTerm, draft: Draft, resolver: Resolver) -> list[int]:
    """The levels of a random term where levels are chosen: that in brackets, or all."""
    everywhere = list(range(draft.outcome.level + 1, resolver.hierarchy.levels + 1))
    if term.level is None:
        return everywhere
    level = identifier_level(term.level, resolver.hierarchy)
    if level in everywhere:
        return [level]
    known = ", ".join(resolver.hierarchy.identifiers)
    message = f"'{draft.title}' cannot have random effects over '{term.level}'"
    resolver.notes.problem(
        message, term.span, f"identifiers: {known}" if level == 0 else "it varies at that level"
    )
    return []


def _slopes(
    wanted: Wanted, draft: Draft, term: RandomTerm, levels: range, explicit: bool, resolver: Resolver
) -> None:
    """Slopes over the clusters within which a term varies.

    A term that is constant within all clusters (a group that alone is clustered, say) varies over those whose
    property it is.
    """
    chosen = _levels(term, draft, resolver) if explicit else list(levels)
    for resolved in resolver.terms(term.expression):
        own = level_of(resolved.expression, otherwise=1)
        usable = [level for level in chosen if level > own] or [level for level in chosen if level == own]
        if chosen and not usable:
            message = f"'{resolved.text}' is the same in all clusters of a cluster of '{term.level}'"
            hint = "random slopes need a predictor that differs between members or clusters"
            resolver.notes.problem(message, term.span, hint)
        elif usable == [own] and any(e.level == own and e.term is None for e in wanted.effects):
            what = f"The random slope of {resolved.text} and the random intercept of {draft.title}"
            resolver.notes.warn(f"{what} are both constant within clusters.")
        for level in usable:
            suffix = f"[{resolver.hierarchy.identifiers[level - 2]}]" if explicit else ""
            label = resolved.text + suffix
            wanted.add(Effect(level, resolved, label, term.tag, term.span), label + _tag(term))


def build_random(
    draft: Draft, wanted: Wanted, positions: dict[str | None, int], table: ParameterTable, suffix: str = ""
) -> tuple[RandomEffects, ...]:
    """The random effects level by level; `positions` has the term of each effect (None: the intercept)."""
    built = []
    for level in sorted({effect.level for effect in wanted.effects}):
        effects = wanted.at(level)
        labels = tuple(effect.label for effect in effects)
        tagged = [effect for effect in effects if effect.tag is not None]
        variance = None
        if tagged and len(effects) == 1:
            name = f"{draft.title}{suffix} {labels[0]} variance {level}"
            kind = ParameterKind.VARIANCE
            variance = table.register(name, tagged[0].tag, kind, table.priors.variance, tagged[0].span)
        elif tagged:
            message = "a tag on one of several random effects with covariances is not supported"
            table.notes.unsupported(
                message, tagged[0].span, "only a single random effect can be fixed or labelled"
            )
        terms = tuple(positions[effect.term.text if effect.term else None] for effect in effects)
        if len(effects) > 1:
            what = f"the random effects {' '.join(labels)} of {draft.title}{suffix} are correlated"
            table.notes.add(what, f"those of one level ({level}) have a full covariance matrix")
        built.append(RandomEffects(level, terms, labels, table.priors.matrix(len(effects)), variance))
    return tuple(built)

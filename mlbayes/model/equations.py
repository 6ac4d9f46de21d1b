"""Drafts -> equations: terms in order of printing, their parameters, random effects, printed form."""

from __future__ import annotations

from collections.abc import Sequence

from mlbayes.language.nodes import Name, Tag
from mlbayes.model.drafts import Draft, DraftTerm
from mlbayes.model.expressions import Constant, Form, references
from mlbayes.model.model import Distribution, Equation, EquationTerm, ParameterKind, Prior, RandomEffects
from mlbayes.model.parameters import CATEGORICAL_PRIOR, LAMBDA_PRIOR, LATENT_VARIANCE_PRIOR, ParameterTable
from mlbayes.model.random_effects import Wanted, build_random, wanted_effects
from mlbayes.model.resolve import Resolved, Resolver
from mlbayes.model.statements import ZERO, Drafts

CATEGORICAL = (Distribution.PROBIT, Distribution.LOGIT, Distribution.MULTINOMIAL)
WITH_RESIDUAL = (Distribution.NORMAL, Distribution.YEO_JOHNSON)


def build_equations(drafts: Drafts, table: ParameterTable) -> tuple[Equation, ...]:
    """All equations, block by block in order of appearance, latent variables first, then by outcome."""
    ordered = list(drafts.equations.values())
    blocks = list(dict.fromkeys([None, *(draft.block for draft in ordered)]))
    ordered.sort(key=lambda d: (blocks.index(d.block), not d.latent, d.outcome.name, d.variance))
    modelled = {draft.outcome.name for draft in ordered if draft.variance}
    return tuple(_equation(draft, drafts.resolver, table, modelled) for draft in ordered)


def _equation(draft: Draft, resolver: Resolver, table: ParameterTable, modelled: set[str]) -> Equation:
    _check_terms(draft, resolver)
    if draft.intercept is None and draft.free_intercept and not draft.latent:
        because = "every outcome that is not latent has one; `1@0` removes it"
        resolver.notes.add(f"{draft.title} has an intercept", because)
    wanted = wanted_effects(draft, resolver)
    terms: list[EquationTerm] = []
    random: list[RandomEffects] = []
    for category in _categories(draft):
        logit = draft.of_logit(category, resolver.notes)
        part = _terms(logit, wanted, table, category)
        positions: dict[str | None, int] = {}
        for i, term in enumerate(part, start=len(terms)):
            positions[None if _is_intercept(term) else term.label] = i
        terms += part
        random += build_random(
            draft, wanted, positions, table, f".{category}" if category is not None else ""
        )
    if draft.variance and draft.latent and any(table.parameters[t.coefficient].fixed is None for t in terms):
        resolver.notes.warn(
            f"The coefficients of {draft.title} have the prior normal(0, {LATENT_VARIANCE_PRIOR.arguments[1]:g}): with "
            "a flat one the posterior would not exist, since no data rule out a latent variable without variance."
        )
    if draft.distribution is Distribution.YEO_JOHNSON:
        table.register(f"{draft.title} lambda", None, ParameterKind.COEFFICIENT, LAMBDA_PRIOR)
    return Equation(
        outcome=draft.outcome.name,
        left=draft.left,
        title=draft.title,
        level=draft.outcome.level,
        distribution=draft.distribution,
        terms=tuple(terms),
        random=tuple(random),
        residual=_residual(draft, table, modelled),
        block=draft.block,
        printed=printed_equation(draft, wanted),
        added=draft.added,
        span=draft.span,
    )


def _categories(draft: Draft) -> Sequence[int | None]:
    """The logits of a nominal outcome with more than two codes; a single nameless part otherwise."""
    if draft.distribution is not Distribution.MULTINOMIAL:
        return (None,)
    return tuple(code for code in draft.outcome.codes if code != draft.outcome.reference)


def _is_intercept(term: EquationTerm) -> bool:
    return term.expression == Constant(1.0) and term.label == "Intercept"


# ------------------------------------------------------------------ terms
def _terms(draft: Draft, wanted: Wanted, table: ParameterTable, category: int | None) -> list[EquationTerm]:
    """The terms of one linear predictor, the intercept first; hidden ones carry random effects only."""
    title = draft.outcome.name + f".{category}" if category is not None else draft.title
    prior = CATEGORICAL_PRIOR if draft.distribution in CATEGORICAL else Prior()
    if draft.variance and draft.latent:
        prior = LATENT_VARIANCE_PRIOR
    kind = ParameterKind.COEFFICIENT

    def term(source: DraftTerm, tag: Tag | None, hidden: bool = False) -> EquationTerm:
        resolved = source.resolved
        name = table.register(f"{title} ~ {resolved.text}", tag, kind, prior, resolved.span)
        printed = resolved.text + _tag_text(tag)
        return EquationTerm(
            resolved.expression, resolved.text, name, printed, hidden, category, resolved.span
        )

    terms = []
    intercept = draft.intercept or DraftTerm(Resolved(Constant(1.0), "Intercept"))
    if draft.free_intercept:
        terms.append(term(intercept, intercept.tag))
    elif shows_removed_intercept(draft):
        terms.append(term(intercept, ZERO))
    elif any(effect.term is None for effect in wanted.effects):
        terms.append(term(intercept, ZERO, hidden=True))
    terms += [term(source, source.tag) for source in draft.all_terms]
    known = {t.label for t in terms}
    for effect in wanted.effects:
        if effect.term is not None and effect.term.text not in known:
            known.add(effect.term.text)
            terms.append(term(DraftTerm(effect.term), ZERO, hidden=True))
    return terms


def _tag_text(tag: Tag | None) -> str:
    if tag is None:
        return ""
    return f"@{tag.name}" if isinstance(tag, Name) else f"@{tag.value:.15g}"


def _check_terms(draft: Draft, resolver: Resolver) -> None:
    """A predictor may not vary below the level of the outcome, and an outcome does not predict itself."""
    for term in (term for part in draft.parts for term in part.all_terms):
        for reference in references(term.resolved.expression):
            if reference.level < draft.outcome.level:
                message = (
                    f"'{reference.variable}' varies at level {reference.level} and cannot predict "
                    f"'{draft.outcome.name}' of level {draft.outcome.level}"
                )
                hint = f"use its cluster mean: {reference.variable}.mean"
                resolver.notes.problem(message, term.resolved.span, hint)
            own = reference.variable == draft.outcome.name and not draft.variance
            if own and reference.form is not Form.LAG:
                message = f"'{draft.outcome.name}' is among its own predictors"
                resolver.notes.problem(message, term.resolved.span)


def _residual(draft: Draft, table: ParameterTable, modelled: set[str]) -> str | None:
    """The parameter of the residual variance, if the equation has one."""
    if draft.distribution not in WITH_RESIDUAL or draft.outcome.name in modelled:
        if draft.residual is not None:
            message = f"'{draft.title}' has no residual variance of its own"
            table.notes.problem(message, draft.residual_span)
        return None
    name = f"{draft.title} residual"
    span = draft.residual_span
    clusters = draft.outcome.level > 1 and not draft.latent
    prior = table.priors.cluster_variance if clusters else table.priors.variance
    return table.register(name, draft.residual, ParameterKind.VARIANCE, prior, span)


# ------------------------------------------------------------------ the printed form
def shows_removed_intercept(draft: Draft) -> bool:
    """The report lists the intercept of a variance model even where it is removed."""
    return draft.variance and draft.latent_intercept is None and not draft.free_intercept


def printed_equation(draft: Draft, wanted: Wanted) -> str:
    """The equation as in the list of models; a removed intercept is shown where it is all there is.

    What is said of single logits follows: `logit(n) ~ Intercept z, n.2 ~ x@b`.
    """
    parts = []
    intercept = draft.intercept
    if draft.free_intercept:
        parts.append("Intercept" + _tag_text(intercept.tag if intercept else None))
    elif not draft.all_terms or shows_removed_intercept(draft):
        parts.append("Intercept@0")
    parts += [term.resolved.text + _tag_text(term.tag) for term in draft.all_terms]
    bar = f" | {' '.join(wanted.printed)}" if wanted.printed else ""
    logits = [
        f", {draft.outcome.name}.{code} ~ {_printed_terms(draft.logits[code])}"
        for code in sorted(draft.logits)
    ]
    return f"{draft.title} ~ {' '.join(parts)}{bar}{''.join(logits)}"


def _printed_terms(draft: Draft) -> str:
    """What is said of a single logit."""
    intercept = [f"Intercept{_tag_text(draft.intercept.tag)}"] if draft.intercept else []
    return " ".join([*intercept, *(term.resolved.text + _tag_text(term.tag) for term in draft.all_terms)])

"""Equations and intercepts that nobody wrote but the statements imply."""

from __future__ import annotations

from mlbayes.language import nodes
from mlbayes.language.nodes import Name
from mlbayes.model.drafts import DraftTerm
from mlbayes.model.expressions import Constant, references
from mlbayes.model.model import Role
from mlbayes.model.names import INTERCEPT
from mlbayes.model.resolve import Resolved
from mlbayes.model.statements import Drafts
from mlbayes.problems import nearest
from mlbayes.source import Span

AUTOMATIC = "Automatically specifying intercept only model for the following variables: "


def complete(drafts: Drafts) -> None:
    """Add every implied equation and intercept, then attach the residual variances that have tags."""
    _members_of_covariances(drafts)
    _means_of_variance_models(drafts)
    _latent_variables(drafts)
    _coefficients(drafts)
    _tagged_variances(drafts)


def _members_of_covariances(drafts: Drafts) -> None:
    for statement in drafts.covariances:
        for name in covariance_names(statement):
            split = drafts.resolver.names.split(name.name)
            if split is not None and (split.base, False) not in drafts.equations:
                because = f"'{split.base}' takes part in '~~' and has no equation"
                _add(drafts, Name(split.base, span=name.span), statement.block, statement.span, because)


def _means_of_variance_models(drafts: Drafts) -> None:
    for draft in list(drafts.equations.values()):
        name = draft.outcome.name
        if draft.variance and (name, False) not in drafts.equations:
            because = f"'{draft.title}' is modelled and '{name}' has no equation"
            span = draft.span or nodes.NOWHERE
            _add(drafts, Name(name, span=span), draft.block, span, because)


def _latent_variables(drafts: Drafts) -> None:
    """A latent variable without an equation has mean zero; one that is never used is a mistake."""
    resolver = drafts.resolver
    used = {
        reference.variable
        for draft in drafts.equations.values()
        for part in draft.parts
        for term in part.all_terms
        for reference in references(term.resolved.expression)
    }
    for name, entry in resolver.names.latent.items():
        if (name, False) in drafts.equations or name not in resolver.variables:
            continue
        if name not in used:
            resolver.notes.problem(
                f"the latent variable '{name}' is declared but never used", entry.name.span
            )
            continue
        span = drafts.coefficients.get(name, entry.name.span)
        because = "a latent variable needs an equation and has none"
        _add(drafts, Name(name, span=span), None, span, because)


def _coefficients(drafts: Drafts) -> None:
    """A latent variable that serves as a coefficient gets a mean unless the user stated its intercept."""
    automatic = []
    for name in drafts.resolver.names.latent:
        draft = drafts.equations.get((name, False))
        if draft is None or name not in drafts.coefficients:
            continue
        draft.coefficient = True
        if draft.intercept is None and draft.latent_intercept is None:
            automatic.append(name)
            drafts.resolver.notes.add(
                f"{name} has an intercept", "it serves as a coefficient and its intercept was not stated"
            )
    if automatic:
        drafts.resolver.notes.warn(AUTOMATIC + " ".join(automatic))


def _tagged_variances(drafts: Drafts) -> None:
    """`y@v` and `y ~~ y@v`."""
    notes = drafts.resolver.notes
    for statement in drafts.variances:
        for name in statement.names:
            draft = drafts.equations.get((name.name, False))
            if draft is None:
                known = [outcome for outcome, variance in drafts.equations if not variance]
                hint = nearest(name.name, known) or "only an outcome has a residual variance"
                notes.problem(f"'{name.name}' has no equation", name.span, hint)
            else:
                draft.set_residual(statement.tag, statement.span, notes)
    for covariance in drafts.covariances:
        for item in covariance.right:
            if item.tag is not None and item.expression in covariance.left:
                _tagged_pair(drafts, covariance, item)


def _tagged_pair(drafts: Drafts, covariance: nodes.Covariance, item: nodes.Term) -> None:
    """`y ~~ y@v` is the residual variance of y; with more on the left the tag would mean several things."""
    if len(covariance.left) > 1:
        message = "a tag on a variable that is paired with itself and with others"
        drafts.resolver.notes.unsupported(message, item.span, "write the pairs one by one")
        return
    draft = drafts.equations.get((covariance.left[0].name, False))
    if draft is not None and item.tag is not None:
        draft.set_residual(item.tag, item.span, drafts.resolver.notes)


def covariance_names(statement: nodes.Covariance) -> list[Name]:
    """The names on both sides of `~~`, each once, in order."""
    items = [*statement.left, *(item.expression for item in statement.right)]
    return list({item.name: item for item in items if isinstance(item, Name)}.values())


def _add(drafts: Drafts, name: Name, block: str | None, span: Span, because: str) -> None:
    draft = drafts.of(name, block, span)
    if draft is None:
        return
    draft.added = because
    latent = draft.outcome.role is Role.LATENT
    if not latent:
        draft.set_intercept(DraftTerm(Resolved(Constant(1.0), "Intercept", span=span)), drafts.resolver.notes)
    drafts.resolver.notes.add(
        f"equation {draft.title} ~ {INTERCEPT.title()}{'@0' if latent else ''}", because
    )

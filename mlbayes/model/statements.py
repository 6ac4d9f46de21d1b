"""Statements of MODEL -> drafts of equations, with what the statements imply but do not say."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlbayes.language import nodes
from mlbayes.language.nodes import Name, Number, Tag
from mlbayes.model.drafts import Draft, DraftTerm
from mlbayes.model.names import INTERCEPT
from mlbayes.model.outcomes import base_name, draft_logit, draft_outcome
from mlbayes.model.resolve import ATOM, Resolved, Resolver, product
from mlbayes.source import Span

ONE = Number(1.0)
ZERO = Number(0.0)


@dataclass
class Drafts:
    """All equations in order of their first statement, and the covariance statements."""

    resolver: Resolver
    equations: dict[tuple[str, bool], Draft] = field(default_factory=dict)
    covariances: list[nodes.Covariance] = field(default_factory=list)
    variances: list[nodes.Variance] = field(default_factory=list)
    coefficients: dict[str, Span] = field(default_factory=dict)

    # ------------------------------------------------------------------ statements
    def read(self, statements: tuple[nodes.ModelStatement, ...]) -> None:
        """Take in all statements, then add the equations that they only imply."""
        for statement in statements:
            match statement:
                case nodes.Regression():
                    self._regression(statement)
                case nodes.Loading():
                    self._loading(statement)
                case nodes.Covariance():
                    self.covariances.append(statement)
                case nodes.Variance():
                    self.variances.append(statement)

    def of(self, expression: nodes.Expression, block: str | None, span: Span) -> Draft | None:
        """The draft of an outcome, made when it is the first of its name."""
        new = draft_outcome(expression, self.resolver, block, span)
        if new is None:
            return None
        draft = self.equations.setdefault(new.key, new)
        if draft.title != new.title:
            message = f"'{new.outcome.name}' is modelled both as '{draft.title}' and as '{new.title}'"
            self.resolver.notes.problem(message, expression.span, "give it one form on the left side")
        return draft

    def _regression(self, statement: nodes.Regression) -> None:
        for i, outcome in enumerate(statement.outcomes):
            whole = self.of(outcome, statement.block, statement.span)
            if whole is None:
                continue
            draft = draft_logit(outcome, whole, self.resolver)
            if not statement.parallel:
                for later in statement.outcomes[i + 1 :]:
                    name = base_name(later, self.resolver)
                    if name is not None:
                        self.add_term(draft, name, None)
            for term in statement.terms:
                self.add_term(draft, term.expression, term.tag)
            if statement.random is not None and draft is not whole:
                message = f"random effects of a single logit of '{whole.outcome.name}' are not supported"
                hint = f"all logits have those of one statement: {whole.outcome.name} ~ 1 | ...;"
                self.resolver.notes.unsupported(message, statement.random[0].span, hint)
            elif statement.random is not None:
                draft.random = (draft.random or []) + list(statement.random)
        if len(statement.outcomes) > 1 and not statement.parallel:
            self._note_sequence(statement)

    def _note_sequence(self, statement: nodes.Regression) -> None:
        named = [base_name(outcome, self.resolver) for outcome in statement.outcomes]
        outcomes = [name.name for name in named if name is not None]
        self.resolver.notes.add(
            f"each of {' '.join(outcomes)} is also regressed on those to its right",
            "several outcomes without braces factor their joint distribution in this order",
        )

    def _loading(self, statement: nodes.Loading) -> None:
        names = self.resolver.names
        for left in statement.left:
            name, known = left.expression, (INTERCEPT, *names.definitions)
            if isinstance(name, Name) and name.name not in known and names.split(name.name) is None:
                self.resolver.unknown(name, f"a latent variable is declared: LATENT: {name.name};")
                return
        for position, target in enumerate(statement.targets):
            whole = self.of(target.expression, statement.block, statement.span)
            if whole is None:
                continue
            draft = draft_logit(target.expression, whole, self.resolver)
            for left in statement.left:
                tag = target.tag or left.tag
                latent = (
                    isinstance(left.expression, Name) and left.expression.name in self.resolver.names.latent
                )
                if latent and position == 0 and tag is None:
                    tag = ONE
                    self.resolver.notes.add(
                        f"the loading of {draft.title} is fixed at 1",
                        "it is the first and untagged indicator of a latent variable after '->'",
                    )
                self.add_term(draft, left.expression, tag)

    # ------------------------------------------------------------------ terms
    def add_term(self, draft: Draft, expression: nodes.Expression, tag: Tag | None) -> None:
        """Add a term; a tag that names a variable makes a product with coefficient 1, `0` is `1@0`."""
        if isinstance(expression, Number) and expression.value == 0.0:
            expression, tag = Name(INTERCEPT, span=expression.span), ZERO
        multiplier = self._multiplier(tag)
        if isinstance(expression, Name) and expression.name == INTERCEPT:
            if multiplier is not None and draft.code is not None:
                message = f"a latent intercept of a single logit of '{draft.outcome.name}' is not supported"
                self.resolver.notes.unsupported(message, multiplier.span)
            elif multiplier is None:
                one = Resolved(
                    self.resolver.expression(expression).expression, "Intercept", span=expression.span
                )
                draft.set_intercept(DraftTerm(one, tag), self.resolver.notes)
            else:
                draft.latent_intercept = DraftTerm(multiplier, ONE)
            return
        for resolved in self.resolver.terms(expression):
            if multiplier is None:
                draft.add(DraftTerm(resolved, tag), self.resolver.notes)
            else:
                draft.add(DraftTerm(product(resolved, multiplier), ONE), self.resolver.notes)

    def _multiplier(self, tag: Tag | None) -> Resolved | None:
        """The variable behind `@name`; None for a label or a number."""
        if not isinstance(tag, Name) or self.resolver.names.split(tag.name) is None:
            return None
        if tag.name in self.resolver.names.latent:
            self.coefficients.setdefault(tag.name, tag.span)
        elif tag.name in self.resolver.names.columns:
            because = "a tag that names a variable of the data is no label"
            self.resolver.notes.add(f"a product with {tag.name} for '@{tag.name}'", because)
        resolved = self.resolver.expression(tag)
        return Resolved(resolved.expression, resolved.text, ATOM, plain=True, span=tag.span)

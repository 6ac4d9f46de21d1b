"""Equations while they are being put together: statements with the same outcome add to one draft."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mlbayes.language.nodes import Name, Number, RandomTerm, Tag
from mlbayes.model.expressions import Expression
from mlbayes.model.model import Distribution, Variable
from mlbayes.model.notes import Notes
from mlbayes.model.resolve import Resolved
from mlbayes.source import Span


@dataclass(frozen=True)
class DraftTerm:
    """A term with its tag (a fixed value or the label of its coefficient)."""

    resolved: Resolved
    tag: Tag | None = None

    @property
    def fixed(self) -> float | None:
        """The value of a fixed coefficient."""
        return self.tag.value if isinstance(self.tag, Number) else None

    @property
    def label(self) -> str | None:
        """The label of the coefficient."""
        return self.tag.name if isinstance(self.tag, Name) else None


@dataclass
class Draft:
    """An equation that still accumulates terms.

    `intercept`: the written intercept (`1`, `1@0`, `1@b0`); `latent_intercept`: a term `1@latent`.
    `random`: what stands right of the bar, None without a bar.  `coefficient`: the outcome is a latent
    variable that serves as a coefficient or intercept of another equation.  `logits`: of a nominal outcome, by code
    what is said of a single logit (`n.2 ~ x@b`), beside what the equation says of all; `code`: of such a part.
    """

    outcome: Variable
    left: Expression
    title: str
    distribution: Distribution
    latent: bool
    block: str | None = None
    span: Span | None = None
    added: str = ""
    intercept: DraftTerm | None = None
    latent_intercept: DraftTerm | None = None
    terms: list[DraftTerm] = field(default_factory=list)
    random: list[RandomTerm] | None = None
    residual: Tag | None = None
    residual_span: Span | None = None
    coefficient: bool = False
    logits: dict[int, Draft] = field(default_factory=dict)
    code: int | None = None

    @property
    def key(self) -> tuple[str, bool]:
        """Outcome, and whether it is the equation of its variance."""
        return self.outcome.name, self.variance

    @property
    def variance(self) -> bool:
        """Is this `var(y) ~ ...`."""
        return self.distribution is Distribution.LOG_VARIANCE

    @property
    def all_terms(self) -> list[DraftTerm]:
        """Terms without the intercept in order of printing: latent intercept, plain variables, the others."""
        first = [self.latent_intercept] if self.latent_intercept else []
        plain = [term for term in self.terms if term.resolved.plain]
        others = [term for term in self.terms if not term.resolved.plain]
        return first + plain + others

    @property
    def free_intercept(self) -> bool:
        """Does the linear predictor have an intercept: free, labelled or fixed at another value than 0."""
        if self.intercept is not None:
            return self.intercept.fixed != 0.0
        if self.latent:
            return self.coefficient and self.latent_intercept is None
        return self.latent_intercept is None

    @property
    def parts(self) -> list[Draft]:
        """The equation and what is said of single logits."""
        return [self, *self.logits.values()]

    def logit(self, code: int) -> Draft:
        """What is said of a single logit, to be added to."""
        return self.logits.setdefault(code, self.without_terms(code))

    def without_terms(self, code: int) -> Draft:
        """A draft about a logit in which nothing is said yet."""
        return replace(
            self, terms=[], intercept=None, latent_intercept=None, random=None, logits={}, code=code
        )

    def of_logit(self, code: int | None, notes: Notes) -> Draft:
        """The equation of a logit: what is said of all, then what is said of it alone."""
        own = self.logits.get(code) if code is not None else None
        if own is None:
            return self
        whole = replace(self, terms=list(self.terms))
        for term in own.terms:
            whole.add(term, notes)
        if own.intercept is not None:
            whole.set_intercept(own.intercept, notes)
        return whole

    def add(self, term: DraftTerm, notes: Notes) -> None:
        """Add a term; the same term again only adds its tag."""
        for i, known in enumerate(self.terms):
            if known.resolved.text == term.resolved.text:
                self.terms[i] = self._merge(known, term, notes)
                return
        self.terms.append(term)

    def set_intercept(self, term: DraftTerm, notes: Notes) -> None:
        """State the intercept: `1` with an optional tag."""
        self.intercept = self._merge(self.intercept, term, notes) if self.intercept else term

    def _merge(self, known: DraftTerm, term: DraftTerm, notes: Notes) -> DraftTerm:
        if term.tag is not None and known.tag not in (None, term.tag):
            message = f"'{term.resolved.text}' has two different tags in the equation of '{self.title}'"
            notes.problem(message, term.resolved.span, "a coefficient is either fixed or has one label")
        return known if term.tag is None else replace(known, tag=term.tag)

    def set_residual(self, tag: Tag, span: Span, notes: Notes) -> None:
        """Fix or label the residual variance."""
        if self.residual not in (None, tag):
            notes.problem(f"the residual variance of '{self.title}' has two different tags", span)
        self.residual = tag
        self.residual_span = span

"""The left side of an equation: which variable is modelled, on which scale, with which distribution."""

from __future__ import annotations

from mlbayes.language import nodes
from mlbayes.language.nodes import Name
from mlbayes.model.drafts import Draft
from mlbayes.model.expressions import Expression, Form, Reference, references
from mlbayes.model.model import Distribution, Kind, Role, Variable
from mlbayes.model.resolve import Resolved, Resolver, uncentred
from mlbayes.source import Span

LINKS = ("logit", "probit", "yjt", "var")


def base_name(expression: nodes.Expression, resolver: Resolver) -> Name | None:
    """The variable that an outcome expression is about: the first variable in it."""
    for name in nodes.names_in(expression):
        split = resolver.names.split(name.name)
        if split is not None and split.base in resolver.variables:
            return Name(name.name if split.form is Form.MISSING else split.base, span=name.span)
    return None


def draft_outcome(
    expression: nodes.Expression, resolver: Resolver, block: str | None, span: Span
) -> Draft | None:
    """A draft without terms for an outcome; None when it has no variable."""
    name = base_name(expression, resolver)
    if name is None:
        written = next(nodes.names_in(expression), None)
        if written is None:
            resolver.notes.problem("an outcome must name a variable", span)
        else:
            resolver.unknown(written)
        return None
    variable = resolver.variables.get(name.name) or resolver.indicator(name)
    if variable.name in resolver.names.effects:
        hint = "declare it in LATENT to give it an equation"
        resolver.notes.problem(f"the random effect '{variable.name}' cannot be an outcome", name.span, hint)
        return None
    if _is_another_form(expression, variable, resolver):
        return None
    left, title, distribution = _left_side(expression, variable, resolver)
    latent = variable.role is Role.LATENT
    return Draft(variable, left, title, distribution, latent, block, span)


def _is_another_form(expression: nodes.Expression, variable: Variable, resolver: Resolver) -> bool:
    """Refuse cluster means and lags as outcomes, and latent responses of what has none."""
    for name in nodes.names_in(expression):
        split = resolver.names.split(name.name)
        if split is None or split.base != variable.name:
            continue
        if split.form is Form.MEAN:
            hint = f"a latent mean of its own can be one: MODEL: {split.base} ~ 1@m_j; m_j ~ ...; (m_j in LATENT)"
        elif split.form is Form.LAG or (split.form is Form.RESPONSE and variable.kind is not Kind.ORDINAL):
            hint = f"write the equation of '{split.base}'"
        else:
            continue
        resolver.notes.problem(f"'{name.name}' cannot be an outcome", name.span, hint)
        return True
    return False


def draft_logit(expression: nodes.Expression, draft: Draft, resolver: Resolver) -> Draft:
    """What a statement adds to: the equation of an outcome, or of one of its logits where a code is named (`n.2`)."""
    for name in nodes.names_in(expression):
        split = resolver.names.split(name.name)
        if split is None or split.base != draft.outcome.name or split.form is not Form.DUMMY:
            continue
        code, codes = split.argument, [c for c in draft.outcome.codes if c != draft.outcome.reference]
        if code not in codes:
            message = f"'{name.name}' has no logit of its own"
            if code == draft.outcome.reference:
                message = f"'{name.name}' is the reference, which has no logit"
            known = ", ".join(f"{split.base}.{c}" for c in codes)
            resolver.notes.problem(message, name.span, f"those of '{split.base}' are {known}")
            return draft.without_terms(code)
        if draft.distribution is Distribution.MULTINOMIAL:
            return draft.logit(code)
    return draft


def _left_side(
    expression: nodes.Expression, variable: Variable, resolver: Resolver
) -> tuple[Expression, str, Distribution]:
    plain = Reference(variable.name, variable.level)
    if isinstance(expression, Name):
        distribution = _natural(variable)
        logit = distribution in (Distribution.LOGIT, Distribution.MULTINOMIAL)
        return plain, f"logit({variable.name})" if logit else variable.name, distribution
    if isinstance(expression, nodes.Call) and expression.function in LINKS and expression.arguments:
        return _linked(expression, variable, resolver)
    resolved = resolver.expression(expression)
    others = {reference.variable for reference in references(resolved.expression)} - {variable.name}
    if others:
        message = f"an outcome can be a transformation of one variable, not also of '{min(others)}'"
        resolver.notes.problem(message, expression.span)
    _check_transformable(variable, expression, resolver)
    text = resolved.text if isinstance(expression, nodes.Call) else f"({resolved.text})"
    return uncentred(resolved.expression), text, Distribution.NORMAL


def _check_transformable(variable: Variable, expression: nodes.Expression, resolver: Resolver) -> None:
    """Only numbers are transformed, not categories and counts."""
    if variable.kind is not Kind.CONTINUOUS:
        hint = "use the plain name" + ("" if variable.kind is Kind.COUNT else ", or logit(...)")
        message = f"'{variable.name}' is {variable.kind.value} and cannot be transformed"
        resolver.notes.problem(message, expression.span, hint)


def _linked(call: nodes.Call, variable: Variable, resolver: Resolver) -> tuple[Expression, str, Distribution]:
    inner = resolver.expression(call.arguments[0])
    title = f"{call.function}({inner.text})"
    if len(call.arguments) > 1:
        resolver.notes.unsupported(f"a second argument of '{call.function}' is not supported", call.span)
    if call.function == "yjt":
        _check_transformable(variable, call, resolver)
        return uncentred(inner.expression), title, Distribution.YEO_JOHNSON
    plain = Reference(variable.name, variable.level)
    if not isinstance(call.arguments[0], Name):
        resolver.notes.problem(f"'{call.function}' on the left takes the name of a variable", call.span)
    if call.function == "var":
        return plain, f"var({variable.name})", Distribution.LOG_VARIANCE
    return plain, *_categorical(call, variable, inner, resolver)


def _categorical(
    call: nodes.Call, variable: Variable, inner: Resolved, resolver: Resolver
) -> tuple[str, Distribution]:
    if variable.kind not in (Kind.ORDINAL, Kind.NOMINAL):
        hint = f"declare it: ORDINAL: {variable.name};"
        message = f"{call.function}({inner.text}) needs a categorical variable"
        resolver.notes.problem(message, call.span, hint)
    if call.function == "probit":
        if variable.kind is Kind.NOMINAL:
            resolver.notes.unsupported("probit() of a nominal variable is not supported", call.span)
        return variable.name, Distribution.PROBIT
    if variable.kind is Kind.NOMINAL and len(variable.codes) > 2:
        return f"logit({variable.name})", Distribution.MULTINOMIAL
    return f"logit({variable.name})", Distribution.LOGIT


def _natural(variable: Variable) -> Distribution:
    """The distribution of an outcome that is written as a plain name."""
    match variable.kind:
        case Kind.ORDINAL:
            return Distribution.PROBIT
        case Kind.NOMINAL:
            return Distribution.MULTINOMIAL if len(variable.codes) > 2 else Distribution.LOGIT
        case Kind.COUNT:
            return Distribution.NEGATIVE_BINOMIAL
        case _:
            return Distribution.NORMAL

"""The parameters: one for each label, one for each coefficient or variance without a label.

The table also knows the families of default priors (OPTIONS prior1, prior2, prior3) and takes in the
priors and constraints of PARAMETERS.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from mlbayes.language import nodes
from mlbayes.language.nodes import Name, Number, Tag
from mlbayes.model.expressions import Expression
from mlbayes.model.model import Family, Parameter, ParameterKind, Prior
from mlbayes.model.notes import Notes
from mlbayes.problems import nearest
from mlbayes.source import Span

CATEGORICAL_PRIOR = Prior(Family.NORMAL, (0.0, 5.0))
LATENT_VARIANCE_PRIOR = Prior(
    Family.NORMAL, (0.0, 5.0)
)  # of coefficients of a latent variable's log variance
LAMBDA_PRIOR = Prior(Family.TRUNCATED, (0.0, 2.0))
FAMILIES = {
    "normal": Family.NORMAL,
    "truncate": Family.TRUNCATED,
    "trunc": Family.TRUNCATED,
    "ig": Family.INVERSE_GAMMA,
    "iw": Family.INVERSE_WISHART,
}


@dataclass(frozen=True)
class PriorFamily:
    """The default priors of (co)variances, chosen by `prior1`, `prior2` (default) or `prior3`."""

    choice: int = 2

    @classmethod
    def of(cls, options: Collection[str]) -> PriorFamily:
        """The family that the options ask for."""
        return cls(next((k for k in (1, 2, 3) if f"prior{k}" in options), 2))

    @property
    def variance(self) -> Prior:
        """Prior of a single residual variance."""
        return Prior(Family.INVERSE_GAMMA, {1: (1.0, 0.5), 2: (-1.0, 0.0), 3: (0.0, 0.0)}[self.choice])

    @property
    def cluster_variance(self) -> Prior:
        """Prior of the residual variance of an observed outcome of clusters.

        By default IG(1, 0.5), as for predictors, and not flat: the reference tables of ex6.9a and ex6.9b have 0.801
        and 0.795 where a flat prior gives 0.820 and 0.817, and IG(1, 0.5) agrees in every row.
        """
        return Prior(Family.INVERSE_GAMMA, (1.0, 0.5)) if self.choice == 2 else self.variance

    def matrix(self, size: int) -> Prior:
        """Prior of a covariance matrix of this size."""
        p = float(size + 1)
        return Prior(Family.INVERSE_WISHART, {1: (p, 1.0), 2: (-p, 0.0), 3: (0.0, 0.0)}[self.choice])


@dataclass
class ParameterTable:
    """All parameters by name."""

    notes: Notes
    priors: PriorFamily
    parameters: dict[str, Parameter] = field(default_factory=dict)

    def register(
        self, name: str, tag: Tag | None, kind: ParameterKind, prior: Prior, span: Span | None = None
    ) -> str:
        """The parameter of a coefficient or variance: its label, or a new one under an automatic name."""
        if isinstance(tag, Name):
            known = self.parameters.get(tag.name)
            if known is None:
                self.parameters[tag.name] = Parameter(tag.name, kind, prior=prior, labelled=True)
            elif known.kind is not kind:
                message = f"the label '{tag.name}' names a {known.kind.value} and a {kind.value}"
                self.notes.problem(message, span or tag.span, "parameters of different kinds cannot be equal")
            return tag.name
        fixed = tag.value if isinstance(tag, Number) else None
        if kind is ParameterKind.VARIANCE and fixed is not None and fixed <= 0:
            self.notes.problem(f"a variance cannot be fixed at {fixed:g}", span, "it must be above 0")
        unique, count = name, 1
        while unique in self.parameters:
            count += 1
            unique = f"{name} #{count}"
        self.parameters[unique] = Parameter(unique, kind, fixed, prior=prior)
        return unique

    def define(self, name: str, expression: Expression) -> None:
        """Make a labelled parameter a function of others."""
        self.parameters[name] = replace(self.parameters[name], definition=expression)

    def set_prior(self, statement: nodes.Prior) -> None:
        """Take in `label ~ family(...)`."""
        known = self.parameters.get(statement.label.name)
        if known is None or not known.labelled:
            labels = [p.name for p in self.parameters.values() if p.labelled]
            hint = (
                nearest(statement.label.name, labels)
                or "label a parameter in MODEL: x@label (no name of a variable)"
            )
            self.notes.problem(
                f"no parameter is labelled '{statement.label.name}'", statement.label.span, hint
            )
            return
        prior = self._stated_prior(statement)
        if prior is None:
            return
        if known.kind is ParameterKind.COEFFICIENT and prior.family in (
            Family.INVERSE_GAMMA,
            Family.INVERSE_WISHART,
        ):
            message = f"'{known.name}' is a {known.kind.value}; {prior.family.value} is a prior of variances"
            self.notes.problem(message, statement.span)
        self.parameters[known.name] = replace(known, prior=prior)

    def _stated_prior(self, statement: nodes.Prior) -> Prior | None:
        family = FAMILIES.get(statement.family)
        if family is None or len(statement.arguments) != 2:
            hint = nearest(statement.family, FAMILIES) if family is None else ""
            message = f"'{statement.family}' with {len(statement.arguments)} argument(s) is not a prior"
            self.notes.problem(
                message, statement.span, hint or "priors: normal(m, v), truncate(low, high), ig(a, b)"
            )
            return None
        first, second = statement.arguments
        if family is Family.NORMAL and not second > 0:
            hint = "the second argument is a variance"
            self.notes.problem("the variance of a normal prior must be above 0", statement.span, hint)
        if family is Family.TRUNCATED and not first < second:
            self.notes.problem("the lower bound must be below the upper one", statement.span)
        return Prior(family, (first, second), stated=True)

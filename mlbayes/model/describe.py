"""The model in the words of the report (MODEL INFORMATION) and of `mlbayes explain`."""

from __future__ import annotations

from collections.abc import Iterable

from mlbayes.model.counts import count_parameters
from mlbayes.model.expressions import Centring, Form, references
from mlbayes.model.model import CovarianceBlock, Family, Kind, Model, Parameter, Role, Variable
from mlbayes.results.document import Block, ModelInformation

KINDS = (Kind.CONTINUOUS, Kind.ORDINAL, Kind.NOMINAL, Kind.COUNT)
CENTRED = {Centring.GRAND: "Grand Mean Centered", Centring.GROUP: "Group Mean Centered"}


def describe(model: Model) -> ModelInformation:
    """MODEL INFORMATION of a model."""
    return ModelInformation(
        parameters=count_parameters(model),
        predictors=_predictors(model),
        factors=_by_level(v for v in model.variables.values() if v.role is Role.LATENT),
        centered=_centred(model),
        cluster_means=_cluster_means(model),
        weights=list(model.weights),
        random_effects=[
            f"{e.name} = {e.outcome} | {_effect_label(model, e.label, e.level)}" for e in model.named_effects
        ],
        definitions=[f"{name} = {text}" for name, _, text in model.definitions],
        models=_models(model),
        generated=[quantity.printed for quantity in model.generated],
        priors=[_prior(p) for p in model.parameters.values() if p.prior.stated],
    )


def _effect_label(model: Model, label: str, level: int) -> str:
    return label if label.endswith("]") else f"{label}[{model.hierarchy.identifiers[level - 2]}]"


def _named(variables: Iterable[Variable]) -> list[str]:
    return [variable.name for variable in variables]


def _predictors(model: Model) -> dict[str, list[str]]:
    """Predictors by role, completeness and type; identifiers are none."""
    own = [v for v in model.variables.values() if v.name not in model.hierarchy.identifiers]
    groups = {"Fixed variables": _named(v for v in own if v.role is Role.FIXED)}
    for state, incomplete in (("Incomplete", True), ("Complete", False)):
        for kind in KINDS:
            chosen = (v for v in own if v.role is Role.PREDICTOR and v.kind is kind)
            groups[f"{state} {kind.value}"] = _named(v for v in chosen if v.incomplete is incomplete)
    return {group: names for group, names in groups.items() if names}


def _by_level(variables: Iterable[Variable]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for variable in variables:
        groups.setdefault(str(variable.level), []).append(variable.name)
    return dict(sorted(groups.items()))


def _centred(model: Model) -> dict[str, list[str]]:
    """Centred predictors: those with estimated means, then those centred at observed ones."""
    estimated = [v for v in model.variables.values() if v.role is not Role.FIXED]
    observed = [v for v in model.variables.values() if v.role is Role.FIXED]
    used = {
        (reference.variable, reference.centring)
        for equation in model.equations
        for term in equation.terms
        for reference in references(term.expression)
        if reference.form is not Form.MEAN
    }
    groups = {
        title: _named(
            v for v in [*estimated, *observed] if v.centring is centring and (v.name, centring) in used
        )
        for centring, title in CENTRED.items()
    }
    return {title: names for title, names in groups.items() if names}


def _cluster_means(model: Model) -> dict[str, list[str]]:
    """Variables whose latent cluster means are predictors, by their centring."""
    groups: dict[str, list[str]] = {}
    for equation in model.equations:
        for term in equation.terms:
            for reference in references(term.expression):
                if reference.form is Form.MEAN:
                    names = groups.setdefault(CENTRED.get(reference.centring, "Not Centered"), [])
                    if reference.variable not in names:
                        names.append(reference.variable)
    return groups


def _models(model: Model) -> list[Block]:
    """The printed models block by block, the covariance blocks last."""
    printed: dict[str | None, list[str]] = {}
    for equation in model.equations:
        printed.setdefault(equation.block, []).append(equation.printed)
    for block in model.covariances:
        printed.setdefault(block.block, []).append(covariance_text(block))
    return [Block(name, models) for name, models in printed.items()]


def covariance_text(block: CovarianceBlock) -> str:
    """A covariance block as in the list of models."""
    if len(block.members) == 2:
        return " <-> ".join(block.members)
    members = " ".join(block.members)
    return f"{members} <-> {members}"


def _prior(parameter: Parameter) -> str:
    arguments = ", ".join(f"{value:.15g}" for value in parameter.prior.arguments)
    family = "truncate" if parameter.prior.family is Family.TRUNCATED else parameter.prior.family.value
    return f"{parameter.name} ~ {family}({arguments})"


# ------------------------------------------------------------------ explain
def explain(model: Model) -> str:
    """Every variable with its role, and everything that was added silently, each with its reason."""
    lines = ["Variables"]
    for variable in model.variables.values():
        if variable.name not in model.hierarchy.identifiers:
            lines += [f"  {variable.name}: {_summary(model, variable)}"]
            lines += [f"    {text}" for text in _details(model, variable)]
    lines += ["", "Added by the program"]
    lines += [f"  {addition.what}\n    because {addition.because}" for addition in model.additions] or [
        "  nothing"
    ]
    if model.warnings:
        lines += ["", "Warnings", *(f"  {warning}" for warning in model.warnings)]
    return "\n".join(lines) + "\n"


def _summary(model: Model, variable: Variable) -> str:
    """Type, level and missing values in one line."""
    units = "row" if variable.level == 1 else f"cluster of {model.hierarchy.identifiers[variable.level - 2]}"
    where = f"level {variable.level} (one value per {units})"
    if variable.role is Role.LATENT or variable.name in {effect.name for effect in model.named_effects}:
        return f"latent, {where}"
    missing = int(variable.missing.sum())
    share = f"{missing} of {len(variable.values)} missing" if missing else "complete"
    codes = f" with codes {', '.join(map(str, variable.codes))}" if variable.codes else ""
    return f"{variable.kind.value}{codes}, {where}, {share}"


def _details(model: Model, variable: Variable) -> list[str]:
    details = [f"{variable.role.value}: {variable.because}" if variable.because else variable.role.value]
    if variable.reference is not None:
        details.append(f"reference category {variable.reference}")
    if variable.centring is not Centring.NONE:
        at = {Role.FIXED: "observed", Role.LATENT: "estimated"}.get(variable.role, "estimated")
        details.append(f"centred at its {at} {variable.centring.value}")
    if variable.mean_centring is not Centring.NONE:
        details.append("its cluster means are centred at their grand mean")
    if variable.incomplete and variable.role in (Role.OUTCOME, Role.PREDICTOR):
        details.append(f"missing values are drawn from {_imputed_by(model, variable)}")
    return details


def _imputed_by(model: Model, variable: Variable) -> str:
    """The models that decide about a missing value."""
    own = [e.printed for e in model.equations if e.outcome == variable.name]
    uses = [
        e.printed
        for e in model.equations
        if e.outcome != variable.name
        and any(r.variable == variable.name for t in e.terms for r in references(t.expression))
    ]
    sources = own or ["its regression on the other predictors"]
    return " and ".join([*sources, *uses])

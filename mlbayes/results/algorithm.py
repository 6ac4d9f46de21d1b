"""What the report says about the method: the options of the algorithm and notes on them."""

from __future__ import annotations

from mlbayes.model.model import Distribution, Kind, Model

CATEGORICAL = (Distribution.PROBIT, Distribution.LOGIT, Distribution.MULTINOMIAL)
PRIORS = {
    "prior1": ("IW(p + 1, I)", "IG(1.0, 0.5)"),
    "prior2": ("IW(-p - 1, 0)", "IG(-1.0, 0.0)"),
    "prior3": ("IW(0, 0)", "IG(0.0, 0.0)"),
}


def options(model: Model) -> dict[str, str | dict[str, str]]:
    """Label -> text, or a group of such pairs, in order of printing."""
    chosen = next((name for name in PRIORS if name in model.settings.options), "prior2")
    covariances, variances = PRIORS[chosen]
    method = "Fully conditional specification" if model.imputation else "Fully Bayesian model-based"
    made: dict[str, str | dict[str, str]] = {
        "Imputation method": method,
        "MCMC algorithm": "Gibbs sampler with collapsed, interweaved and Metropolis steps",
        "Default Priors": {
            "Coefficients": "N(0.0, Inf)",
            "Residual variances": variances,
            "Covariance matrices": covariances,
            "Variances of predictors": "IG(1.0, 0.5)",
        },
        "Starting values": "Random starting values",
        "Random number seed": str(model.settings.seed),
        "Burn-in iterations per chain": str(model.settings.burn),
        "Number of chains": str(model.settings.chains),
    }
    if model.settings.options:
        made["Options"] = " ".join(sorted(model.settings.options))
    return made


def option_notes(model: Model) -> list[str]:
    """Notes on what the program chose by itself."""
    notes = []
    categorical = any(equation.distribution in CATEGORICAL for equation in model.equations)
    predictors = [model.variables[predictor.variable] for predictor in model.predictor_models]
    if categorical or any(variable.kind in (Kind.ORDINAL, Kind.NOMINAL) for variable in predictors):
        notes.append(
            "The coefficients of models of categorical variables have normal priors with mean 0.0 "
            "and variance 5.0."
        )
    for variable in model.variables.values():
        if variable.kind is Kind.NOMINAL and variable.reference is not None and variable.chosen_reference:
            notes.append(f"Chose code {variable.reference} as the reference group of {variable.name}.")
    return notes

"""Priors as short text."""

from __future__ import annotations

from mlbayes.model.model import Family, Prior

NAMES = {
    Family.NORMAL: "N",
    Family.TRUNCATED: "Truncated",
    Family.INVERSE_GAMMA: "IG",
    Family.INVERSE_WISHART: "IW",
}


def prior_text(prior: Prior) -> str:
    """A prior such as `IG(-1.0, 0.0)`; a flat one is a normal one of infinite variance."""
    if prior.family is Family.FLAT:
        return "N(0.0, Inf)"
    arguments = ", ".join(f"{argument:.1f}" for argument in prior.arguments)
    return f"{NAMES[prior.family]}({arguments})"

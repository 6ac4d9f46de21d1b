"""What is run: the peers with their settings, and where mlbayes reports the parameters that all of them have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"
SCRIPTS = HERE / "mlbayes_scripts"
TWO_LEVEL = ("P1", "P7", "N1000", "N10000", "N100000", "N1000000")
BAYESIAN = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", *TWO_LEVEL[2:])


@dataclass(frozen=True)
class Peer:
    """A program: how it is called, for which models, with how many kept draws and warm-up of each of its 4 chains."""

    command: Callable[[str], list[str]]
    models: tuple[str, ...]
    draws: int = 1000
    warmup: int = 1000


def python(script: str) -> Callable[[str], list[str]]:
    return lambda interpreter: [interpreter, str(PEERS / script)]


def rscript(script: str) -> Callable[[str], list[str]]:
    return lambda _: ["Rscript", "--vanilla", str(PEERS / script)]


PROGRAMS = {
    "mlbayes": Peer(lambda _: [sys.executable, "-m", "mlbayes"], BAYESIAN, 5000, 1000),
    "nutpie": Peer(python("run_nutpie.py"), BAYESIAN, 1000, 400),
    "numpyro": Peer(python("run_numpyro.py"), BAYESIAN, 1000, 1000),
    "stan": Peer(python("run_stan.py"), BAYESIAN, 1000, 1000),
    "jags": Peer(rscript("run_jags.R"), BAYESIAN, 5000, 2000),
    "jomo": Peer(rscript("run_jomo.R"), ("P3",), 5000, 1000),
    "pan": Peer(rscript("run_pan.R"), TWO_LEVEL, 10000, 1000),
    "mcmcpack": Peer(rscript("run_mcmcpack.R"), TWO_LEVEL, 5000, 1000),
    "lme4": Peer(rscript("run_lme4.R"), (*TWO_LEVEL, "P2", "P4")),
}
# Where the usual number of draws would take very long: (peer, model) -> draws, warm-up.
SHORTER = {
    ("mlbayes", "P7"): (2500, 500),
    **{("mlbayes", f"N{n}"): (2500, 500) for n in (100_000, 1_000_000)},
    ("jags", "P7"): (500, 300),
    ("jags", "N100000"): (500, 300),
    ("mcmcpack", "P7"): (500, 200),
    ("mcmcpack", "N100000"): (500, 200),
    ("pan", "P7"): (2000, 200),
    ("pan", "N100000"): (2000, 200),
    ("numpyro", "P7"): (300, 300),
    ("numpyro", "N100000"): (300, 300),
    ("stan", "P7"): (300, 300),
    ("stan", "N100000"): (300, 300),
}


def lengths(program: str, model: str) -> tuple[int, int]:
    """Kept draws and warm-up of each chain."""
    peer = PROGRAMS[program]
    return SHORTER.get((program, model), (peer.draws, peer.warmup))


# ------------------------------------------------------------------ rows of mlbayes
_EFFECTS = {
    "var_u0": ("y", "L2 : Var(Intercept)"),
    "cov_u01": ("y", "L2 : Cov(x1,Intercept)"),
    "var_u1": ("y", "L2 : Var(x1)"),
}
_SLOPES = {f"b_{name}": ("y", name) for name in ("x1", "x2", "x3", "d")}
_SPREAD = {"var_e": ("y", "Residual Var.")}
_TWO_LEVEL = {"b0": ("y", "Intercept"), **_SLOPES, **_EFFECTS, **_SPREAD}
ROWS: dict[str, dict[str, tuple[str, str]]] = {
    **dict.fromkeys(TWO_LEVEL, _TWO_LEVEL),
    "P2": {
        "b0": ("y", "Intercept"),
        "b_time": ("y", "time"),
        "b_d": ("y", "d"),
        "b_td": ("y", "time*d"),
        "v2_0": ("y", "L2 : Var(Intercept)"),
        "v2_01": ("y", "L2 : Cov(time,Intercept)"),
        "v2_1": ("y", "L2 : Var(time)"),
        "v3_0": ("y", "L3 : Var(Intercept)"),
        "v3_01": ("y", "L3 : Cov(time,Intercept)"),
        "v3_1": ("y", "L3 : Var(time)"),
        **_SPREAD,
    },
    "P3": {**_TWO_LEVEL, **{f"mu_{name}": (name, "Grand Mean") for name in ("x1", "x2", "x3")}},
    "P4": {
        "b0": ("logit(y)", "Intercept"),
        "b_x": ("logit(y)", "x"),
        "b_w": ("logit(y)", "w"),
        "var_u0": ("logit(y)", "L2 : Var(Intercept)"),
        "cov_u01": ("logit(y)", "L2 : Cov(x,Intercept)"),
        "var_u1": ("logit(y)", "L2 : Var(x)"),
    },
    "P5": {
        "b0": ("b0_j", "Intercept"),
        "b_x1": ("b1_j", "Intercept"),
        "b_x2": ("y", "x2"),
        "b_x3": ("b0_j", "x3"),
        "b_d": ("b0_j", "d"),
        "s0": ("s_j", "Intercept"),
        "s_x1": ("var(y)", "x1"),
        "s_d": ("s_j", "d"),
        "var_u0": ("b0_j", "Residual Var."),
        "cov_u01": ("b0_j b1_j s_j", "Cov(b0_j,b1_j)"),
        "var_u1": ("b1_j", "Residual Var."),
        "cov_u0s": ("b0_j b1_j s_j", "Cov(b0_j,s_j)"),
        "cov_u1s": ("b0_j b1_j s_j", "Cov(b1_j,s_j)"),
        "var_s": ("s_j", "Residual Var."),
    },
    "P6": {
        **{f"m_{name}": (f"{name}_j", "Intercept") for name in ("x", "y", "phi", "beta")},
        **{f"v_{name}": (f"{name}_j", "Residual Var.") for name in ("x", "y", "phi", "beta")},
        "ve_x": ("x", "Residual Var."),
        "ve_y": ("y", "Residual Var."),
    },
}

"""How long to run and what to save, with the defaults for what the script leaves open."""

from __future__ import annotations

from mlbayes.language.commands import RESERVED
from mlbayes.language.nodes import Script
from mlbayes.language.nodes import Setting as Written
from mlbayes.model.model import Settings
from mlbayes.model.notes import Notes

SILENT = ("THIN", "NIMPS")


def read_settings(script: Script, notes: Notes) -> Settings:
    """The settings of a run."""
    options = frozenset(word.text.lower() for word in script.options)
    if not options & {"prior1", "prior2", "prior3"}:
        notes.add(
            "flat priors of variances and covariance matrices (prior2)", "OPTIONS names no other family"
        )
    settings = Settings(
        seed=_value("SEED", script.seed, notes),
        burn=_value("BURN", script.burn, notes),
        iterations=_value("ITER", script.iterations, notes),
        chains=_value("CHAINS", script.chains, notes),
        thin=_value("THIN", script.thin, notes),
        imputations=_value("NIMPS", script.imputations, notes),
        options=options,
        saves=tuple((entry.keyword.text.lower(), entry.file.text) for entry in script.save),
    )
    _check(script, settings, notes)
    return settings


def _value(command: str, written: Written | None, notes: Notes) -> int:
    if written is not None:
        return written.value
    default = int(RESERVED[command].default)
    if command not in SILENT:
        notes.add(f"{command}: {default}", f"the script has no {command}")
    return default


def _check(script: Script, settings: Settings, notes: Notes) -> None:
    spans = script.command_spans
    priors = sorted(settings.options & {"prior1", "prior2", "prior3"})
    if len(priors) > 1:
        hint = "choose one family of priors"
        notes.problem(f"OPTIONS has both {' and '.join(priors)}", script.options[0].span, hint)
    if settings.chains < 1:
        notes.problem("CHAINS must be at least 1", spans.get("chains"))
    elif settings.iterations < settings.chains:
        message = f"ITER is {settings.iterations} in total for {settings.chains} chains"
        notes.problem(
            message, spans.get("iter", spans.get("chains")), "each chain needs at least one iteration"
        )
    if settings.thin < 1:
        notes.problem("THIN must be at least 1", spans.get("thin"))
    elif settings.chains > 0:
        _check_data_sets(script, settings, notes)


def _check_data_sets(script: Script, settings: Settings, notes: Notes) -> None:
    """Data sets of a chain are at equal distances: at least THIN, and never the same draw twice."""
    per_chain = -(-settings.imputations // settings.chains)
    if settings.kept_per_chain >= per_chain * settings.thin:
        return
    spans, enough = script.command_spans, per_chain * settings.thin * settings.chains
    hint = f"ITER: {enough} is enough for {settings.imputations} data sets of {settings.chains} chain(s)"
    if per_chain > settings.kept_per_chain:
        notes.problem("NIMPS asks for more data sets than there are draws", spans.get("nimps"), hint)
    else:
        apart = settings.kept_per_chain // per_chain
        message = f"the data sets of a chain are {apart} iterations apart, and THIN asks for {settings.thin}"
        notes.problem(message, spans.get("thin"), hint)

"""What a run keeps in memory and on disk, counted before it begins."""

from __future__ import annotations

import shutil

from mlbayes.engine.records import NUMBER
from mlbayes.memory import gigabytes, physical_memory
from mlbayes.plan.choose import PlannedModel
from mlbayes.problems import Problem, ProblemError
from mlbayes.source import Span


def check_memory(planned: PlannedModel) -> None:
    """Refuse a run whose draws no memory and whose saved data no disk can hold.

    Raises ProblemError with the place of what asks for so much.
    """
    settings, model = planned.model.settings, planned.model
    kept = settings.kept_per_chain
    draws = settings.chains * ((settings.burn + kept) * planned.layout.width + planned.store.size)
    incomplete = sum(variable.incomplete for variable in model.variables.values())
    data = settings.imputations * model.hierarchy.units[0] * max(incomplete, 1)
    command = max((settings.chains, "chains"), (settings.burn, "burn"), (kept, "iter"))[1]
    _compare(
        "the draws",
        draws,
        physical_memory(),
        "memory",
        "lower BURN, ITER or CHAINS",
        model.places.get(command),
    )
    free = float(shutil.disk_usage(model.source.path.parent).free)
    _compare(
        f"{settings.imputations:,} data sets", data, free, "disk", "save fewer", model.places.get("nimps")
    )


def _compare(what: str, numbers: int, available: float, kind: str, hint: str, place: Span | None) -> None:
    needed = NUMBER * numbers
    if needed > available:
        message = f"{what} need {gigabytes(needed)} of {kind}, and this machine has {gigabytes(available)}"
        raise ProblemError([Problem(message, place, hint)])

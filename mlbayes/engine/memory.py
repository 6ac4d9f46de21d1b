"""What a run keeps in memory, counted before it begins."""

from __future__ import annotations

from mlbayes.memory import gigabytes, physical_memory
from mlbayes.plan.choose import PlannedModel
from mlbayes.problems import Problem, ProblemError, ProblemKind

NUMBER = 8  # bytes
COPIES = 2  # draws are put together chain by chain


def check_memory(planned: PlannedModel, kept: int) -> None:
    """Refuse a run whose draws and saved data sets cannot be held; `kept`: draws of a chain after burn-in.

    Raises ProblemError with the place of ITER (BURN, NIMPS).
    """
    settings, model = planned.model.settings, planned.model
    draws = COPIES * settings.chains * (settings.burn + kept) * planned.layout.width
    states = settings.chains * planned.store.size
    data = settings.imputations * model.hierarchy.units[0] * max(len(model.variables), 1)
    needed, available = NUMBER * (draws + states + data), physical_memory()
    if needed <= available:
        return
    many = max((settings.chains, "chains"), (settings.burn, "burn"), (kept, "iter"))[1]
    command = "nimps" if data > draws else many
    what = f"{settings.imputations:,} saved data sets" if data > draws else "the draws"
    message = f"{what} need {gigabytes(needed)} of memory, and this machine has {gigabytes(available)}"
    hint = "ask for fewer: NIMPS" if data > draws else "lower BURN, ITER or CHAINS"
    place = model.places.get(command) or model.places.get("iter")
    raise ProblemError([Problem(message, place, hint, ProblemKind.SCRIPT)])

"""FCS: imputation without MODEL, every listed variable regressed on all others at every level."""

from __future__ import annotations

from dataclasses import replace

from mlbayes.language.nodes import Script
from mlbayes.model.model import Role, Variable
from mlbayes.model.notes import Notes
from mlbayes.model.predictors import check_role


def assign_imputation_roles(
    script: Script, variables: dict[str, Variable], notes: Notes
) -> dict[str, Variable]:
    """The listed variables get a distribution unless they are FIXED."""
    declared = {name.name: name for name in script.fixed}
    result = dict(variables)
    for listed in script.fcs:
        variable = variables.get(listed.name)
        if variable is None:
            continue
        fixed = listed.name in declared
        because = "it is listed in FIXED" if fixed else "it is listed in FCS"
        result[listed.name] = replace(variable, role=Role.FIXED if fixed else Role.PREDICTOR, because=because)
        check_role(result[listed.name], declared, notes, listed.span, imputation=True)
    return result

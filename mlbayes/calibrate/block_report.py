"""What the test of each sampling step alone found, as a table with a verdict and as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from mlbayes.calibrate.blocks import FEWEST, UnitResult
from mlbayes.calibrate.ranks import threshold
from mlbayes.calibrate.report import changes, judged_json, probability
from mlbayes.output.layout import BAR, CELL, labelled, paragraph, split_label

NAME = 60  # width of the names of units


@dataclass(frozen=True)
class BlockCheck:
    """A finished test of all units; see `mlbayes.calibrate.report.Calibration`."""

    script: str
    seed: int
    replicates: int
    changes: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]
    units: tuple[UnitResult, ...]
    failures: dict[str, int]
    alpha: float

    @property
    def tests(self) -> int:
        """How many p-values there are."""
        return sum(len(unit.p) for unit in self.units)

    @property
    def threshold(self) -> float:
        """The p-value below which a step is wrong."""
        return threshold(self.alpha, self.tests)

    @property
    def wrong(self) -> list[str]:
        """Units that do not leave the joint law as it is."""
        return [unit.name for unit in self.units if unit.worst[1] < self.threshold]

    @property
    def passed(self) -> bool:
        """Do all units leave the joint law as it is, and none has failed."""
        failed = self.failures or any(unit.failures for unit in self.units)
        return bool(self.tests) and not self.wrong and not failed


def render(found: BlockCheck) -> str:
    """The report as text."""
    lines = [BAR, f"BLOCKS of {found.script} AGAINST THE JOINT LAW", BAR, ""]
    lines += [*labelled("Replicates", f"{found.replicates}, seed {found.seed}"), ""]
    lines += changes(found.changes, found.stand_ins)
    head = ("  Step").ljust(NAME) + "".join(text.rjust(CELL) for text in ("Moved", "Tests", "Smallest p"))
    lines += ["STEPS OF A SWEEP, EACH ALONE", "", head + "   Quantity", "-" * (len(head) + 11)]
    for unit in found.units:
        lines += _row(found, unit)
    lines += ["", *_notes(found), "", *paragraph("VERDICT", verdict(found)), ""]
    return "\n".join(line.rstrip() for line in lines)


def _row(found: BlockCheck, unit: UnitResult) -> list[str]:
    quantity, p = unit.worst
    first, rest = split_label(unit.name, NAME - 4)
    cells = [f"{unit.moved:.2f}".rjust(CELL), str(len(unit.p)).rjust(CELL)]
    cells.append(probability(p) if unit.p else "---".rjust(CELL))
    mark = " *" if unit.name in found.wrong else ""
    lines = [("  " + first).ljust(NAME) + "".join(cells) + f"   {quantity}{mark}"]
    return lines + ([f"    {rest}"] if rest else [])


def _notes(found: BlockCheck) -> list[str]:
    lines = paragraph(
        "NOTE",
        "Moved: share of replicates in which a step has changed anything. Tests: quantities that have changed in"
        f" {FEWEST} replicates or more. Smallest p: of equal location and spread before and after (t tests"
        " of ranks).",
    )
    for unit in found.units:
        if unit.failures:
            lines += paragraph(
                "WARNING", f"{unit.name}: a matrix was not positive definite in {unit.failures} replicate(s)"
            )
    for failure, times in found.failures.items():
        lines += paragraph("WARNING", f"{times} replicate(s) could not be made: {failure}")
    return lines


def verdict(found: BlockCheck) -> str:
    """The verdict with its rate of false alarms."""
    rate = f"in about {100.0 * found.alpha:g} of 100 such checks at the most"
    bound = f"{found.alpha:g} / {found.tests} = {found.threshold:.2g}"
    if not found.tests:
        return "none: no step has changed anything in enough replicates."
    if found.wrong:
        return f"WRONG: {'; '.join(found.wrong)} (p < {bound}). Right steps are called that {rate}."
    if not found.passed:
        return f"undecided: no p is below {bound}, but some replicates or steps have failed."
    return (
        f"right: all steps leave the joint law as it is (no p below {bound}). Right steps fail this {rate}."
    )


def as_json(found: BlockCheck) -> str:
    """Everything that was found."""
    return judged_json(found, "blocks", "wrong", verdict(found))

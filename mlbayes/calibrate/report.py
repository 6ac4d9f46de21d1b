"""What a calibration found, as a table with a verdict and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import Field, asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from mlbayes import __version__
from mlbayes.calibrate.fit import DRAWS, INDEPENDENT, LARGEST_SPACING, Simulation
from mlbayes.calibrate.ranks import Uniformity, threshold, uniformity
from mlbayes.output.layout import BAR, CELL, header, labelled, number, paragraph, row

SHADES = " .:-=+*#%@"  # of a class by its count; "=" where it is as expected


@dataclass(frozen=True)
class Calibration:
    """A finished calibration.

    `changes`, `stand_ins`: what of the model was changed, and (what, prior) of proper priors in the place of improper
    ones.  `quantities`: by name.  `failures`: why simulations had no fit, with how many; `dependent`: simulations whose
    draws are not independent at the largest spacing; `spacing`: median of sweeps between draws.  `alpha`: rate of false
    alarms of the verdict.
    """

    script: str
    seed: int
    simulations: int
    changes: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]
    quantities: dict[str, Uniformity]
    ranks: dict[str, list[int]]
    failures: dict[str, int]
    dependent: int
    spacing: float
    redrawn: int
    alpha: float

    @property
    def threshold(self) -> float:
        """The p-value below which a quantity is not calibrated."""
        return threshold(self.alpha, len(self.quantities))

    @property
    def wrong(self) -> list[str]:
        """Quantities whose ranks are not uniform."""
        return [name for name, found in self.quantities.items() if found.p < self.threshold]

    @property
    def passed(self) -> bool:
        """Are all ranks uniform, in simulations that all have a fit."""
        return bool(self.quantities) and not self.wrong and not self.failures


def made_calibration(
    script: str,
    changes: tuple[str, ...],
    stand_ins: tuple[tuple[str, str], ...],
    simulations: Sequence[Simulation],
    seed: int,
    alpha: float,
) -> Calibration:
    """Put the results of simulations together."""
    fitted = [one for one in simulations if not one.failure]
    failures: dict[str, int] = {}
    for one in simulations:
        if one.failure:
            failures[one.failure] = failures.get(one.failure, 0) + 1
    names = list(fitted[0].ranks) if fitted else []
    return Calibration(
        script,
        seed,
        len(simulations),
        changes,
        stand_ins,
        {
            name: uniformity(
                np.array([one.places[name] for one in fitted]), np.array([one.z[name] for one in fitted])
            )
            for name in names
        },
        {name: [one.ranks[name] for one in fitted] for name in names},
        failures,
        sum(one.size < INDEPENDENT * DRAWS for one in fitted),
        float(np.median([one.spacing for one in fitted])) if fitted else 0.0,
        sum(one.redrawn for one in simulations),
        alpha,
    )


# ------------------------------------------------------------------ text
def render(found: Calibration) -> str:
    """The report as text."""
    lines = [BAR, f"CALIBRATION of {found.script}", BAR, "", *_settings(found), ""]
    lines += changes(found.changes, found.stand_ins)
    lines += ["RANKS OF THE TRUTH AMONG POSTERIOR DRAWS", ""]
    lines.append(header("  Quantity", ["Statistic", "p", "Mean z"]) + "  Ranks")
    lines.append("-" * len(lines[-1]))
    for name, one in found.quantities.items():
        cells = [probability(one.statistic), probability(one.p), number(one.z)]
        lines += row(name, [*cells, f"  |{shaded(one.histogram)}|{' *' if name in found.wrong else ''}"])
    lines += ["", *_notes(found), "", *paragraph("VERDICT", verdict(found)), ""]
    return "\n".join(line.rstrip() for line in lines)


def _settings(found: Calibration) -> list[str]:
    texts = {
        "Simulations": f"{found.simulations}, seed {found.seed}",
        "Draws": f"{DRAWS} of each, {found.spacing:g} sweeps apart (median)",
    }
    return [line for label, text in texts.items() for line in labelled(label, text)]


def changes(variant: Sequence[str], stand_ins: Sequence[tuple[str, str]]) -> list[str]:
    """What was changed in the model, both in simulation and in fitting."""
    lines = []
    if variant:
        lines += ["VARIANT OF THE MODEL", ""]
        lines += [line for change in variant for line in paragraph("NOTE", change)]
        lines.append("")
    if stand_ins:
        lines += ["IMPROPER PRIORS AND WHAT REPLACES THEM, in simulation and in fitting", ""]
        lines += [line for what, prior in stand_ins for line in row(what, [f"  {prior}"])]
        lines.append("")
    return lines


def _notes(found: Calibration) -> list[str]:
    lines = paragraph(
        "NOTE",
        "Statistic: smallest two-sided tail probability of any ordered rank; p: how often uniform ranks have one as"
        " small (exact). Mean z: of (truth - mean) / SD. Ranks: counts in ten classes, '=' as expected,"
        " ' ' none, '@' twice as many and more.",
    )
    for failure, times in found.failures.items():
        lines += paragraph("WARNING", f"{times} simulation(s) without a fit: {failure}")
    if found.dependent:
        lines += paragraph(
            "WARNING",
            f"in {found.dependent} simulation(s) draws {LARGEST_SPACING} sweeps apart still depend on each other:"
            " ranks at both ends are then too frequent",
        )
    if found.redrawn:
        lines += paragraph(
            "NOTE",
            f"{found.redrawn} draws of data were made again since a category was missing or a number beyond any scale",
        )
    return lines


def verdict(found: Calibration) -> str:
    """The verdict with its rate of false alarms."""
    rate = f"in at most {100.0 * found.alpha:g} of 100 calibrations"
    bound = f"{found.alpha:g} / {len(found.quantities)} = {found.threshold:.2g}"
    if not found.quantities:
        return "none: no simulation has a fit."
    if found.wrong:
        names = ", ".join(found.wrong)
        return f"NOT CALIBRATED: {names} (p < {bound}). A right sampler is called that {rate}."
    if found.failures:
        return f"undecided: no p is below {bound}, but what simulations without a fit had in common is not known."
    return f"calibrated: no p is below {bound}. A right sampler fails this {rate}."


def probability(value: float) -> str:
    """A probability in the width of a cell."""
    return (f"{value:.4f}" if value >= 1e-3 else f"{value:.1e}").rjust(CELL)


def shaded(histogram: Sequence[int]) -> str:
    """Counts as characters, by their ratio to the expected one."""
    expected = sum(histogram) / len(histogram)
    ratios = [count / expected if expected else 0.0 for count in histogram]
    return "".join(SHADES[min(len(SHADES) - 1, round(4.5 * ratio)) if ratio else 0] for ratio in ratios)


# ------------------------------------------------------------------ JSON
class Judged(Protocol):
    """A dataclass of results with a verdict."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def threshold(self) -> float:
        """The p-value below which something is wrong."""

    @property
    def wrong(self) -> list[str]:
        """What is wrong, by name."""

    @property
    def passed(self) -> bool:
        """Is nothing wrong and all known."""


def judged_json(found: Judged, kind: str, wrong: str, verdict: str, **more: object) -> str:
    """All fields and `more`, and the judgement: what is wrong under the key `wrong`, the verdict in words."""
    content = asdict(found) | {
        "format": f"mlbayes {kind} 1",
        "version": __version__,
        **more,
        "threshold": found.threshold,
        wrong: found.wrong,
        "passed": found.passed,
        "verdict": verdict,
    }
    return json.dumps(content, indent=1) + "\n"


def as_json(found: Calibration) -> str:
    """Everything that was found."""
    return judged_json(found, "calibration", "not_calibrated", verdict(found), draws=DRAWS)

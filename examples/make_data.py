"""Simulate the data of the examples: `python make_data.py` rewrites every data file, byte for byte.

Each example has a function of its own with the true parameters in it, and a seed of its own, so that a
change of one leaves the others alone.  The school data are real and are not made here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64]]
MISSING = "NA"


def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - values.mean()


def knock_out(
    rng: np.random.Generator, values: NDArray[np.float64], share: NDArray[np.float64] | float
) -> None:
    """Make values missing, each with its own probability."""
    values[rng.random(len(values)) < share] = np.nan


def effects_of(
    rng: np.random.Generator, intercept: float, covariance: float, slope: float, units: int
) -> NDArray[np.float64]:
    """Random intercepts and slopes, shape (units, 2), by a Cholesky factor (the same on every machine)."""
    z = rng.standard_normal((units, 2))
    a = np.sqrt(intercept)
    b = covariance / a
    return np.column_stack([a * z[:, 0], b * z[:, 0] + np.sqrt(slope - b**2) * z[:, 1]])


def rising(values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Probabilities of about `share` on average that rise with observed values (missing at random)."""
    z = centred(values) / values.std()
    return share * 2.0 / (1.0 + np.exp(-z))


# ------------------------------------------------------------------ one function per example
def two_level_missing(rng: np.random.Generator) -> Columns:
    """Employees in 130 teams: random slope of autonomy; incomplete values at both levels."""
    teams, size = 130, 20
    team = np.repeat(np.arange(teams), size)
    climate = rng.normal(5.0, 1.5, teams)
    training = (rng.random(teams) < 0.5).astype(float)
    effects = effects_of(rng, 1.2, 0.15, 0.16, teams)
    autonomy_mean = rng.normal(12.0, 1.0, teams) + 0.3 * centred(climate)
    autonomy = autonomy_mean[team] + rng.normal(0.0, 2.0, len(team))
    support = 8.0 + 0.3 * (autonomy - 12.0) + 0.4 * centred(climate)[team] + rng.normal(0.0, 1.8, len(team))
    empower = (
        28.0
        + effects[team, 0]
        + (0.6 + effects[team, 1]) * (autonomy - autonomy_mean[team])
        + 0.35 * (support - 8.0)
        + 0.5 * (climate - 5.0)[team]
        + 1.1 * training[team]
        + rng.normal(0.0, 2.5, len(team))
    )
    empower_missing = rising(support, 0.1)
    knock_out(rng, autonomy, 0.08)
    knock_out(rng, empower, empower_missing)
    knock_out(rng, support, 0.06)
    knock_out(rng, climate, 0.08)
    return {
        "team": team + 1.0,
        "empower": empower,
        "autonomy": autonomy,
        "support": support,
        "climate": climate[team],
        "training": training[team],
    }


def contextual_effect(rng: np.random.Generator) -> Columns:
    """Pupils in 100 classes: the class mean of ability counts three times as much as the pupil's own."""
    classes, size = 100, 18
    group = np.repeat(np.arange(classes), size)
    mean = rng.normal(50.0, 4.0, classes)
    ability = mean[group] + rng.normal(0.0, 8.0, len(group))
    effects = effects_of(rng, 9.0, 0.2, 0.02, classes)
    interest = (
        60.0
        + effects[group, 0]
        + (0.3 + effects[group, 1]) * (ability - mean[group])
        + 0.9 * (mean[group] - 50.0)
        + rng.normal(0.0, 7.0, len(group))
    )
    knock_out(rng, ability, 0.1)
    knock_out(rng, interest, 0.05)
    return {"class": group + 1.0, "interest": interest, "ability": ability}


def cross_level_interaction(rng: np.random.Generator) -> Columns:
    """Days of 120 patients: pain lowers mood less where acceptance is high."""
    patients, days = 120, 15
    person = np.repeat(np.arange(patients), days)
    acceptance = rng.normal(30.0, 6.0, patients)
    usual = rng.normal(4.0, 1.0, patients) - 0.04 * (acceptance - 30.0)
    pain = usual[person] + rng.normal(0.0, 1.2, len(person))
    effects = effects_of(rng, 0.8, 0.02, 0.04, patients)
    slope = -0.5 + 0.03 * (acceptance - 30.0) + effects[:, 1]
    mood = (
        6.0
        + 0.05 * (acceptance - 30.0)[person]
        + effects[person, 0]
        + slope[person] * (pain - usual[person])
        + rng.normal(0.0, 1.0, len(person))
    )
    knock_out(rng, pain, 0.08)
    knock_out(rng, mood, 0.08)
    knock_out(rng, acceptance, 0.05)
    return {"person": person + 1.0, "mood": mood, "pain": pain, "acceptance": acceptance[person]}


def growth(rng: np.random.Generator) -> Columns:
    """Five occasions of 150 people in three arms of a trial (1 waiting list, 2 guided, 3 in person)."""
    people, occasions = 150, 5
    person = np.repeat(np.arange(people), occasions)
    week = np.tile(np.arange(occasions, dtype=float), people)
    arm = np.arange(people) % 3 + 1
    effects = effects_of(rng, 16.0, 0.6, 0.5, people)
    slope = np.array([0.0, -0.9, -1.6])[arm - 1] - 0.4 + effects[:, 1]
    symptoms = 24.0 + effects[person, 0] + slope[person] * week + rng.normal(0.0, 2.5, len(person))
    knock_out(rng, symptoms, 0.04 * week)
    return {"person": person + 1.0, "symptoms": symptoms, "week": week, "arm": arm[person].astype(float)}


def three_level_growth(rng: np.random.Generator) -> Columns:
    """Four occasions of 12 pupils in each of 60 schools; half of the schools have a new curriculum."""
    schools, pupils, occasions = 60, 12, 4
    pupil = np.repeat(np.arange(schools * pupils), occasions)
    school = pupil // pupils
    time = np.tile(np.arange(occasions, dtype=float), schools * pupils)
    curriculum = (np.arange(schools) % 2).astype(float)
    school_effects = effects_of(rng, 6.0, 0.3, 0.3, schools)
    pupil_effects = effects_of(rng, 20.0, 0.8, 0.6, schools * pupils)
    slope = 2.0 + 0.9 * curriculum[school] + school_effects[school, 1] + pupil_effects[pupil, 1]
    score = (
        50.0
        + school_effects[school, 0]
        + pupil_effects[pupil, 0]
        + slope * time
        + rng.normal(0, 3.0, len(pupil))
    )
    knock_out(rng, score, 0.03 + 0.04 * time)
    return {
        "school": school + 1.0,
        "pupil": pupil + 1.0,
        "score": score,
        "time": time,
        "curriculum": curriculum[school],
    }


def ordinal_predictor(rng: np.random.Generator) -> Columns:
    """Nurses on 90 wards: whether a nurse works nights is unknown for one in eight."""
    wards, size = 90, 16
    ward = np.repeat(np.arange(wards), size)
    staffing = rng.normal(0.0, 1.0, wards)
    workload = (
        10.0 - 0.8 * staffing[ward] + rng.normal(0.0, 1.0, wards)[ward] + rng.normal(0.0, 2.0, len(ward))
    )
    nights = (
        0.25 * (workload - 10.0) + rng.normal(0.0, 0.5, wards)[ward] + rng.normal(0.0, 1.0, len(ward)) > 0.3
    ) * 1.0
    strain = (
        20.0
        + rng.normal(0.0, 1.5, wards)[ward]
        + 0.7 * (workload - 10.0)
        + 2.0 * nights
        - 0.6 * staffing[ward]
        + rng.normal(0.0, 3.0, len(ward))
    )
    knock_out(rng, nights, 0.125)
    knock_out(rng, workload, 0.08)
    knock_out(rng, strain, 0.05)
    return {
        "ward": ward + 1.0,
        "strain": strain,
        "workload": workload,
        "nights": nights,
        "staffing": staffing[ward],
    }


def regression(rng: np.random.Generator) -> Columns:
    """300 people without clusters: the effect of stress depends on sleep; both are incomplete."""
    rows = 300
    sleep = rng.normal(7.0, 1.0, rows)
    stress = 5.0 - 0.6 * (sleep - 7.0) + rng.normal(0.0, 1.5, rows)
    age = np.round(rng.uniform(20.0, 65.0, rows))
    fatigue = (
        12.0
        + 1.0 * (stress - 5.0)
        - 1.2 * (sleep - 7.0)
        - 0.4 * (stress - 5.0) * (sleep - 7.0)
        + 0.03 * (age - 40.0)
        + rng.normal(0.0, 2.0, rows)
    )
    stress_missing = rising(age, 0.15)
    knock_out(rng, stress, stress_missing)
    knock_out(rng, sleep, 0.12)
    knock_out(rng, fatigue, 0.05)
    return {"fatigue": fatigue, "stress": stress, "sleep": sleep, "age": age}


def imputation(rng: np.random.Generator) -> Columns:
    """Members of 80 clubs: data with gaps at both levels that are to be filled for another program."""
    clubs, size = 80, 15
    club = np.repeat(np.arange(clubs), size)
    budget = rng.normal(100.0, 20.0, clubs)
    hours = 6.0 + rng.normal(0.0, 0.8, clubs)[club] + rng.normal(0.0, 2.0, len(club))
    effects = effects_of(rng, 2.0, 0.1, 0.1, clubs)
    skill = (
        40.0
        + effects[club, 0]
        + (1.5 + effects[club, 1]) * (hours - 6.0)
        + 0.05 * (budget - 100.0)[club]
        + rng.normal(0.0, 3.0, len(club))
    )
    knock_out(rng, skill, 0.12)
    knock_out(rng, hours, 0.1)
    knock_out(rng, budget, 0.1)
    return {"club": club + 1.0, "skill": skill, "hours": hours, "budget": budget[club]}


# ------------------------------------------------------------------ files
Maker = Callable[[np.random.Generator], Columns]
EXAMPLES: tuple[Maker, ...] = (
    two_level_missing,
    contextual_effect,
    cross_level_interaction,
    growth,
    three_level_growth,
    ordinal_predictor,
    regression,
    imputation,
)


def as_csv(columns: Columns) -> str:
    """Columns as text: a header, whole numbers without decimals, others with three."""
    words = [[written(value) for value in values] for values in columns.values()]
    lines = [",".join(columns), *(",".join(row) for row in zip(*words, strict=True))]
    return "\n".join(lines) + "\n"


def written(value: float) -> str:
    if np.isnan(value):
        return MISSING
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def main(folder: Path) -> None:
    for number, make in enumerate(EXAMPLES, 1):
        target = folder / make.__name__ / "data.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(as_csv(make(np.random.default_rng([2029, number]))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

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


def pair(
    rng: np.random.Generator, first: float, correlation: float, second: float, units: int
) -> NDArray[np.float64]:
    """Two correlated normal variables with these standard deviations, shape (units, 2)."""
    return effects_of(rng, first**2, correlation * first * second, second**2, units)


def factor_model(rng: np.random.Generator) -> Columns:
    """Six items of 400 people: three measure worry, three measure low mood; each item has gaps."""
    people = 400
    factors = pair(rng, 1.0, 0.5, 1.2, people)
    columns = {}
    for k, loading in enumerate((1.0, 0.8, 1.2, 1.0, 0.7, 1.1)):
        item = 3.0 + 0.2 * k + loading * factors[:, k // 3] + rng.normal(0.0, 0.7, people)
        knock_out(rng, item, 0.05)
        columns[f"{'worry' if k < 3 else 'mood'}{k % 3 + 1}"] = item
    return columns


def multilevel_sem(rng: np.random.Generator) -> Columns:
    """Pupils in 120 schools: intercept and slope of each school depend on its resources."""
    schools, size = 120, 15
    school = np.repeat(np.arange(schools), size)
    resources = rng.normal(0.0, 1.0, schools)
    effects = effects_of(rng, 4.0, 0.4, 0.25, schools)
    usual = rng.normal(6.0, 1.0, schools)
    hours = usual[school] + rng.normal(0.0, 2.0, len(school))
    prior = rng.normal(50.0, 3.0, schools)[school] + rng.normal(0.0, 8.0, len(school))
    score = (
        (70.0 + 1.5 * resources + effects[:, 0])[school]
        + (1.2 + 0.5 * resources + effects[:, 1])[school] * (hours - usual[school])
        + 0.4 * (prior - 50.0)
        + rng.normal(0.0, 4.0, len(school))
    )
    knock_out(rng, hours, 0.06)
    knock_out(rng, score, 0.06)
    knock_out(rng, resources, 0.05)
    return {
        "school": school + 1.0,
        "score": score,
        "hours": hours,
        "prior": prior,
        "resources": resources[school],
    }


def mediation(rng: np.random.Generator) -> Columns:
    """Workers in 150 firms: demands raise stress, stress lowers sleep; both slopes differ and go together."""
    firms, size = 150, 20
    firm = np.repeat(np.arange(firms), size)
    slopes = pair(rng, 0.3, 0.5, 0.4, firms)
    demands_firm = rng.normal(5.0, 0.8, firms)
    stress_firm = 4.0 + 0.5 * (demands_firm - 5.0) + rng.normal(0.0, 0.6, firms)
    sleep_firm = 7.0 - 0.4 * (stress_firm - 4.0) + rng.normal(0.0, 0.5, firms)
    demands = rng.normal(0.0, 1.0, len(firm))
    stress = (0.6 + slopes[firm, 0]) * demands + rng.normal(0.0, 1.0, len(firm))
    sleep = (-0.5 + slopes[firm, 1]) * stress - 0.2 * demands + rng.normal(0.0, 1.0, len(firm))
    demands, stress, sleep = (
        demands + demands_firm[firm],
        stress + stress_firm[firm],
        sleep + sleep_firm[firm],
    )
    knock_out(rng, stress, 0.05)
    knock_out(rng, sleep, 0.08)
    return {"firm": firm + 1.0, "demands": demands, "stress": stress, "sleep": sleep}


def growth_latent(rng: np.random.Generator) -> Columns:
    """Reading of 300 children at five occasions, one row for each child; half of them are tutored."""
    children = 300
    tutored = (np.arange(children) % 2).astype(float)
    effects = effects_of(rng, 9.0, 0.6, 0.8, children)
    columns = {"tutored": tutored}
    for t in range(5):
        reading = 20.0 + effects[:, 0] + (3.0 + 0.9 * tutored + effects[:, 1]) * t
        reading = reading + rng.normal(0.0, 2.0, children)
        knock_out(rng, reading, 0.03 * t)
        columns[f"read{t}"] = reading
    return columns


def panel(rng: np.random.Generator) -> Columns:
    """Four waves of 300 couples' support and conflict: stable differences, and what one wave does to the next."""
    people, waves = 300, 4
    stable = pair(rng, 0.8, -0.4, 0.7, people)
    now = pair(rng, 0.9, -0.3, 0.9, people)
    support, conflict = {}, {}
    for t in range(waves):
        if t:
            before = now
            now = pair(rng, 0.8, -0.2, 0.8, people)
            now[:, 0] += 0.4 * before[:, 0] - 0.2 * before[:, 1]
            now[:, 1] += 0.3 * before[:, 1]
        for name, k, columns in (("s", 0, support), ("c", 1, conflict)):
            values = (4.0 if k == 0 else 2.0) + 0.1 * t + stable[:, k] + now[:, k]
            knock_out(rng, values, 0.1 * (t == 3))
            columns[f"{name}{t + 1}"] = values
    return support | conflict


def latent_interaction(rng: np.random.Generator) -> Columns:
    """500 people: load strains more where control is low; both are measured by three items."""
    people = 500
    factors = pair(rng, 1.0, -0.3, 1.0, people)
    load, control = factors[:, 0], factors[:, 1]
    strain = 10.0 + 1.0 * load - 0.8 * control - 0.5 * load * control + rng.normal(0.0, 1.2, people)
    columns = {}
    for name, factor in (("load", load), ("control", control)):
        for k, loading in enumerate((1.0, 0.9, 1.1), 1):
            item = 3.0 + loading * factor + rng.normal(0.0, 0.6, people)
            knock_out(rng, item, 0.04)
            columns[f"{name}{k}"] = item
    knock_out(rng, strain, 0.06)
    return {**columns, "strain": strain}


def two_level_factor(rng: np.random.Generator) -> Columns:
    """Four ratings by 10 pupils in each of 100 classes: climate differs between classes and within them."""
    classes, size = 100, 10
    group = np.repeat(np.arange(classes), size)
    between = rng.normal(0.0, 0.6, classes)
    within = rng.normal(0.0, 1.0, len(group))
    columns = {"class": group + 1.0}
    for k, (low, high) in enumerate(((1.0, 1.0), (0.8, 1.1), (1.2, 0.9), (0.9, 1.2)), 1):
        rating = (
            4.0
            + (high * between + rng.normal(0.0, 0.3, classes))[group]
            + low * within
            + rng.normal(0.0, 0.8, len(group))
        )
        knock_out(rng, rating, 0.05)
        columns[f"rating{k}"] = rating
    return columns


def fcs_questionnaire(rng: np.random.Generator) -> Columns:
    """600 answers to six items with five categories, and well-being: given all others each item has variance 1."""
    rows, items = 600, 6
    precision = np.full((items + 1, items + 1), -0.15)
    np.fill_diagonal(precision, 1.0)
    precision[-1], precision[:, -1] = -0.03, -0.03
    precision[-1, -1] = 1.0 / 16.0
    drawn = rng.multivariate_normal(np.zeros(items + 1), np.linalg.inv(precision), rows)
    answers = 1.0 + np.digitize(drawn[:, :items], (-1.6, -0.5, 0.5, 1.6))
    wellbeing = 50.0 + drawn[:, -1]
    for item in answers.T:
        knock_out(rng, item, 0.08)
    knock_out(rng, wellbeing, 0.1)
    return {f"q{k + 1}": answers[:, k] for k in range(items)} | {"wellbeing": wellbeing}


def location_scale(rng: np.random.Generator) -> Columns:
    """120 people, 14 days each: mood of each person with a level and a variability of its own."""
    people, days = 120, 14
    person = np.repeat(np.arange(people), days)
    age = rng.integers(20, 70, people).astype(float)
    effects = effects_of(rng, 0.8, -0.2, 0.3, people)
    level = 6.0 + 0.02 * (age - 45.0) + effects[:, 0]
    log_variance = 0.2 - 0.02 * (age - 45.0) + effects[:, 1]
    stress = rng.normal(0.0, 1.0, len(person))
    spread = np.exp(0.5 * (log_variance[person] + 0.3 * stress))
    mood = level[person] - 0.5 * stress + spread * rng.standard_normal(len(person))
    knock_out(rng, mood, 0.08)
    return {"person": person + 1.0, "mood": mood, "stress": stress, "age45": (age - 45.0)[person]}


def ordinal_outcome(rng: np.random.Generator) -> Columns:
    """Patients of 80 clinics rate their stay from 1 to 4: probit, random intercepts, gaps in rating and waiting."""
    clinics, size = 80, 15
    clinic = np.repeat(np.arange(clinics), size)
    staff = rng.normal(0.0, 1.0, clinics)
    waiting = rng.normal(3.0, 0.5, clinics)[clinic] + rng.normal(0.0, 1.0, len(clinic))
    effect = 0.4 * staff + np.sqrt(0.3) * rng.standard_normal(clinics)
    response = 1.2 - 0.5 * (waiting - 3.0) + effect[clinic] + rng.standard_normal(len(clinic))
    rating = 1.0 + (response > 0.0) + (response > 1.0) + (response > 2.0)
    rating_missing = rising(waiting, 0.08)
    knock_out(rng, waiting, 0.06)
    knock_out(rng, rating, rating_missing)
    return {"clinic": clinic + 1.0, "rating": rating, "waiting": waiting, "staff": staff[clinic]}


def binary_outcome(rng: np.random.Generator) -> Columns:
    """Pupils of 120 schools pass a test or not: logistic regression with random slopes of practice."""
    schools, size = 120, 20
    school = np.repeat(np.arange(schools), size)
    coaching = (rng.random(schools) < 0.5).astype(float)
    practice = rng.normal(0.0, 1.0, len(school))
    effects = effects_of(rng, 0.6, 0.1, 0.2, schools)
    log_odds = -0.2 + 0.7 * coaching[school] + effects[school, 0] + (0.8 + effects[school, 1]) * practice
    passed = (log_odds + rng.logistic(size=len(school)) > 0.0).astype(float)
    knock_out(rng, passed, 0.05)
    knock_out(rng, practice, 0.05)
    return {"school": school + 1.0, "passed": passed, "practice": practice, "coaching": coaching[school]}


def nominal_outcome(rng: np.random.Generator) -> Columns:
    """How 900 people get to work: by bus (1), by bicycle (2) or by car (3), compared to the bus."""
    people = 900
    distance = rng.normal(0.0, 1.0, people)
    children = (rng.random(people) < 0.4).astype(float)
    bicycle = 0.3 - 0.9 * distance - 0.5 * children
    car = 0.2 + 0.6 * distance + 0.8 * children
    noise = -np.log(rng.standard_exponential((people, 3)))  # the largest of log odds + Gumbel noise is chosen
    mode = 1.0 + (np.column_stack([np.zeros(people), bicycle, car]) + noise).argmax(axis=1)
    knock_out(rng, mode, 0.05)
    return {"mode": mode, "distance": distance, "children": children}


def count_outcome(rng: np.random.Generator) -> Columns:
    """Days of sick leave in 90 teams: negative binomial with random intercepts."""
    teams, size = 90, 12
    team = np.repeat(np.arange(teams), size)
    nights = (rng.random(len(team)) < 0.35).astype(float)
    workload = rng.normal(0.0, 1.0, len(team))
    log_mean = 0.8 + 0.3 * workload + 0.5 * nights + np.sqrt(0.15) * rng.standard_normal(teams)[team]
    days = rng.poisson(np.exp(log_mean) * 0.5 * rng.standard_gamma(2.0, len(team))).astype(float)
    knock_out(rng, workload, 0.06)
    knock_out(rng, days, 0.05)
    return {"team": team + 1.0, "days": days, "workload": workload, "nights": nights}


def ordinal_items(rng: np.random.Generator) -> Columns:
    """Four items with four answers each, of 500 people: one factor, which depends on load."""
    people = 500
    load = rng.normal(0.0, 1.0, people)
    strain = 0.6 * load + rng.normal(0.0, 1.0, people)
    columns = {"load": load}
    for k, loading in enumerate((1.0, 0.8, 1.2, 0.9)):
        response = 1.0 + 0.1 * k + loading * strain + rng.standard_normal(people)
        answer = 1.0 + (response > 0.0) + (response > 1.0) + (response > 2.0)
        knock_out(rng, answer, 0.04)
        columns[f"item{k + 1}"] = answer
    return columns


def missing_not_at_random(rng: np.random.Generator) -> Columns:
    """Monthly income, which those who earn much keep to themselves; the interviewer matters for that alone."""
    people = 1500
    schooling = rng.normal(0.0, 1.0, people)
    age = rng.normal(0.0, 1.0, people)
    trained = (rng.random(people) < 0.5).astype(float)
    income = 3.0 + 0.6 * schooling + 0.3 * age + rng.normal(0.0, 1.0, people)
    hidden = -0.6 + 0.7 * (income - 3.0) - 0.9 * trained + rng.standard_normal(people) > 0.0
    income[hidden] = np.nan
    return {"income": income, "schooling": schooling, "age": age, "trained": trained}


def skewed_outcome(rng: np.random.Generator) -> Columns:
    """Reaction times in tenths of a second: skewed to the right, normal after a Yeo-Johnson transformation."""
    trials = 600
    load = rng.normal(0.0, 1.0, trials)
    sleep = rng.normal(7.0, 1.0, trials)
    power = 0.3
    w = 1.2 + 0.4 * load - 0.2 * (sleep - 7.0) + rng.normal(0.0, 0.6, trials)
    positive = (np.maximum(power * w, -0.99) + 1.0) ** (1.0 / power) - 1.0
    negative = 1.0 - (1.0 - (2.0 - power) * np.minimum(w, 0.0)) ** (1.0 / (2.0 - power))
    time = 5.0 + np.where(w >= 0.0, positive, negative)
    knock_out(rng, load, 0.1)
    knock_out(rng, time, 0.08)
    return {"time": time, "load": load, "sleep": sleep}


def hurdle(rng: np.random.Generator) -> Columns:
    """Alcohol a week of 1,000 people: whether they drink at all, and how much those who do."""
    people = 1000
    stress = rng.normal(0.0, 1.0, people)
    age = rng.normal(0.0, 1.0, people)
    drinks = 0.5 + 0.6 * stress - 0.4 * age + rng.logistic(size=people) > 0.0
    amount = np.exp(1.5 + 0.3 * stress + 0.2 * age + rng.normal(0.0, 0.5, people))
    knock_out(rng, stress, 0.08)
    return {"alcohol": np.where(drinks, amount, 0.0), "stress": stress, "age": age}


def survival(rng: np.random.Generator) -> Columns:
    """Years until teachers leave their school: one row for each teacher and year, until they leave or year 5 ends."""
    teachers = 500
    support = rng.normal(0.0, 1.0, teachers)
    hazard = np.array([-1.8, -1.5, -1.2, -1.4, -1.6])
    rows = []
    for teacher in range(teachers):
        for year, level in enumerate(hazard, 1):
            leaves = level - 0.6 * support[teacher] + rng.logistic() > 0.0
            rows.append((teacher + 1.0, float(year), support[teacher], float(leaves)))
            if leaves:
                break
    columns = dict(zip(("teacher", "year", "support", "left"), np.array(rows).T, strict=True))
    gone = rng.random(teachers) < 0.1
    columns["support"][gone[columns["teacher"].astype(int) - 1]] = np.nan
    return columns


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
    factor_model,
    multilevel_sem,
    mediation,
    growth_latent,
    panel,
    latent_interaction,
    two_level_factor,
    fcs_questionnaire,
    location_scale,
    ordinal_outcome,
    binary_outcome,
    nominal_outcome,
    count_outcome,
    ordinal_items,
    missing_not_at_random,
    skewed_outcome,
    hurdle,
    survival,
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

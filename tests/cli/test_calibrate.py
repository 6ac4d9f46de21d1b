"""`mlbayes calibrate` from the command line: tables, files, the same bytes for any number of jobs, going on."""

import json

MODEL = """DATA: data.csv; MISSING: NA; CLUSTERID: school; SEED: 3;
MODEL: score ~ hours size | hours;
"""


def start(folder, mlbayes, *arguments):
    (folder / "model.inp").write_text(MODEL)
    return mlbayes("calibrate", folder / "model.inp", "--burn", 60, "--quiet", *arguments)


def test_a_calibration_says_what_it_did(folder, mlbayes):
    made = start(folder, mlbayes, "--sims", 3, "--jobs", 1, "--json", folder / "c.json")
    assert made.status in (0, 4), made.err
    assert "OPTIONS: joint for the predictors hours size" in made.out
    assert "  score residual                  ig(4, " in made.out
    assert "log likelihood" in made.out and "VERDICT: " in made.out
    content = json.loads((folder / "c.json").read_text())
    assert len(content["ranks"]["log likelihood"]) == 3
    assert (folder / "model.calibration.jsonl").read_text().count("\n") == 4


def test_jobs_and_interruptions_change_no_byte(folder, mlbayes):
    one = start(folder, mlbayes, "--sims", 4, "--jobs", 1)
    path = folder / "model.calibration.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: 3 * len(content) // 5])
    two = start(folder, mlbayes, "--sims", 4, "--jobs", 2)
    assert path.read_bytes() == content
    assert two.out == one.out


DROPOUT = """DATA: panel.csv; MISSING: NA; CLUSTERID: id; TIMEID: t; DROPOUT: quit = y; FIXED: t; SEED: 5;
MODEL: y ~ t; quit ~ 1@a y@b | 1@0;
PARAMETERS: a ~ normal(-1.3, 0.1); b ~ normal(0, 0.1);
"""


def test_drawn_patterns_are_the_same_for_any_number_of_jobs_and_interruptions(folder, mlbayes):
    """Persons 0 to 23 have up to five occasions, and leave after 1 to 5 of them."""
    lines = ["id,t,y"]
    for person in range(24):
        for t in range(5):
            lines.append(
                f"{person},{t},{'NA' if t > person % 5 else round(0.3 * t + (7 * person + t) % 5, 2)}"
            )
    (folder / "panel.csv").write_text("\n".join(lines) + "\n")
    (folder / "panel.inp").write_text(DROPOUT)
    arguments = ("calibrate", folder / "panel.inp", "--burn", 60, "--quiet", "--sims", 4)
    one = mlbayes(*arguments, "--jobs", 1)
    assert one.status in (0, 4), one.err
    path = folder / "panel.calibration.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: 3 * len(content) // 5])
    two = mlbayes(*arguments, "--jobs", 2)
    assert path.read_bytes() == content
    assert two.out == one.out


def test_another_seed_does_not_go_on_with_the_same_file(folder, mlbayes):
    start(folder, mlbayes, "--sims", 1)
    made = start(folder, mlbayes, "--sims", 1, "--seed", 4)
    assert made.status == 3
    assert (
        "model.calibration.jsonl: error: this file has the results of a calibration with another" in made.err
    )
    assert "--file" in made.err


def test_groups_are_calibrated_one_by_one(folder, mlbayes):
    (folder / "model.inp").write_text("DATA: data.csv; MISSING: NA; BYGROUP: size; MODEL: score ~ hours;")
    made = mlbayes("calibrate", folder / "model.inp")
    assert made.status == 2 and "FILTER" in made.err and "model.inp:1:30: error:" in made.err


def test_blocks_are_held_against_the_joint_law(folder, mlbayes):
    made = start(folder, mlbayes, "--blocks", "--sims", 25, "--json", folder / "b.json")
    assert made.status == 0, made.err
    assert "  equation of score: joint Gaussian draw" in made.out
    assert "VERDICT: right: all steps leave the joint law as it is" in made.out
    content = json.loads((folder / "b.json").read_text())
    assert content["replicates"] == 25 and content["wrong"] == []


def test_blocks_go_on_where_they_were_interrupted(folder, mlbayes):
    path = folder / "blocks.jsonl"
    arguments = ("--blocks", "--sims", 22, "--file", path, "--jobs", 1)
    one = start(folder, mlbayes, *arguments)
    content = path.read_bytes()
    assert content.count(b"\n") == 23
    path.write_bytes(content[: 4 * len(content) // 5])
    two = start(folder, mlbayes, *arguments)
    assert path.read_bytes() == content
    assert two.out == one.out
    ranks = start(folder, mlbayes, "--sims", 1, "--file", path)
    assert ranks.status == 3 and "this file has no results of a calibration and" in ranks.err

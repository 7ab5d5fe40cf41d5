"""The report: figures from rows, and a document of committed files only."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.record import ROOT
from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.config.schema import Config
from rllib_psparsity.reporting.epochs import epoch_iterations, gain
from rllib_psparsity.reporting.metrics import METRICS
from rllib_psparsity.sweep.results import FAILED, FINISHED, write_results
from studies import references
from studies.figures import part_ratios, run_figures
from studies.oracle import SCHEMA as ORACLE_SCHEMA
from studies.reference_tables import Setting, reference_section, setting_key, space_of
from studies.report import read_all, report
from studies.results_file import write_table
from studies.run import STUDY_SCHEMA
from studies.sweep_tables import COLUMNS
from studies.triage import ITEMS

FAMILY = {"family": "anisotropic_diffusion_fd", "weight": 1.0, "size": [32, 32], "parameters": {}}


def config_of(**sections: dict[str, Any]) -> dict[str, Any]:
    config = Config().model_dump(mode="json", by_alias=True)
    config["problems"] |= {"families": [FAMILY], "training_problems": 20}
    config["reward"]["name"] = "energy_reduction"
    config["training"]["rollouts_per_problem"] = 2
    for section, values in sections.items():
        config[section] |= values
    return config


def rows_of(rewards: list[float], episodes: int = 16) -> list[dict[str, Any]]:
    filler = {m.name: 1 if m.is_integer else 0.5 for m in METRICS}
    return [
        filler | {"iteration": k, "episodes": episodes * k, "reward_mean": reward, "seconds": 10.0 * k}
        for k, reward in enumerate(rewards, 1)
    ]


def test_an_epoch_is_a_pass_over_the_problems_with_all_rollouts() -> None:
    rows = rows_of([0.0] * 9)
    assert epoch_iterations(rows, config_of()) == 3  # 40 episodes, 16 an iteration
    assert epoch_iterations(rows[:2], config_of()) == 2
    assert epoch_iterations(rows_of([0.0] * 30), config_of(problems={"training_problems": None})) == 19  # 300 / 16


def test_first_and_last_are_means_over_all_problems() -> None:
    figures = run_figures(rows_of([1.0, 2.0, 3.0, 9.0, 9.0, 4.0, 5.0, 6.0]), config_of())
    assert (figures["first"], figures["last"], figures["gain"]) == (2.0, 5.0, 1.5)
    assert (figures["epochs"], figures["seconds"]) == (128 / 40, 80.0)
    long = run_figures(rows_of([1.0] * 57 + [2.0] * 3 + [4.0] * 3), config_of())
    assert long["last"] == pytest.approx((2.0 * 3 + 4.0 * 3 + 1.0) / 7)  # a tenth of 63 is longer than an epoch


def test_gain() -> None:
    assert gain(0.5, 1.0, "energy_reduction") == 1.0
    assert gain(-0.5, -0.25, "energy_reduction") == 0.5
    assert gain(-math.log(10.0), -math.log(7.5), "work_per_digit") == pytest.approx(0.25)
    assert gain(-math.log(0.9), -math.log(1.8), "pcg_iterations") == pytest.approx(-1.0)
    assert math.isnan(gain(0.0, 1.0, "energy_reduction"))


def test_parts_of_the_gradient() -> None:
    row = {"grad_norm_encoder": 1.0, "grad_norm_edge_head": 4.0, "grad_norm_value_head": 0.0}
    assert part_ratios([row], config_of()) == [math.inf]
    assert part_ratios([row], config_of(training={"algorithm": "reinforce"})) == [4.0]
    rows = [row | {"grad_norm_value_head": norm} for norm in (0.5, 3.5, 1.0)]
    assert part_ratios(rows, config_of()) == [8.0, 4.0, 4.0]
    assert part_ratios(rows, config_of(), 2) == [4.0, 4.0], "of (1, 4, 2) and (1, 4, 2.25)"
    figures = run_figures([one | other for one, other in zip(rows_of([1.0] * 3), rows, strict=True)], config_of())
    assert figures["parts_worst"] == 8.0 and figures["parts_worst_epoch"] == 4.0, "an epoch has three iterations"


def test_without_any_gradient_the_edge_head_has_no_share() -> None:
    dead = {"grad_norm": 0.0, "grad_norm_edge_head": 0.0}
    figures = run_figures([row | dead for row in rows_of([1.0] * 30)], config_of())
    assert figures["edge_head_first"] == figures["edge_head_last"] == 0.0


def test_the_oracles_space_holds_the_configurations() -> None:
    plain = {"recipes": ["sa/jacobi/symmetric"]}
    two = {"max_levels": 2}
    assert space_of(config_of(environment=two, policy=plain | {"action": "top_k", "k": 5})) == "document"
    assert space_of(config_of(environment=two, policy=plain | {"action": "top_k", "k": 4})) == "two levels"
    assert space_of(config_of(environment=two, policy=plain)) == "two levels"
    assert space_of(config_of(environment=two)) is None
    assert space_of(config_of()) == "multilevel"


def test_references_from_before_a_limit_existed_are_compared_with() -> None:
    config = Config().model_dump(mode="json")
    older = {**config, "environment": {k: v for k, v in config["environment"].items() if k != "relaxed_levels"}}
    other = {**config, "environment": {**config["environment"], "relaxed_levels": 10}}
    assert setting_key(older) == setting_key(config) != setting_key(other)


def test_a_seed_that_the_oracle_has_searched_whole_is_measured_on_its_own_problems() -> None:
    config = config_of()
    setting = Setting(setting_key(config), config)
    setting.references = [{"seed": 0, "split": "heldout", "problem": "p", "method": PYAMG_DEFAULT.name, "reward": 9.0}]
    setting.references += [{**setting.references[0], "split": "training", "reward": 1.0}]
    searched = {"space": "multilevel", "evaluations": 9, "prior_alone": 3.0, "best_classical": 4.0, "start": 4.5}
    searched |= {"curve": [4.0, 5.0], "operator_complexity": 1.5, "levels": 3, "coarse_share": 0.25}
    setting.oracle = [
        searched | {"seed": seed, "problem": f"training-{k}", "pyamg_default": 2.0 + seed, "best": 4.0 + k}
        for seed, count in ((0, 30), (1, 2))
        for k in range(count)
    ]
    whole = config_of(problems={"training_problems": 30})
    assert setting.ends(whole, 0) == (2.0, 4.0 + 29 / 2)
    lead = (30 * (4.0 + 29 / 2) + 2 * 4.5) / 32 - (30 * 2.0 + 2 * 3.0) / 32
    assert setting.ends(whole, 1) == pytest.approx((1.0, 1.0 + lead)), "by the lead, where only some are searched"
    assert setting.ends(whole, 0, alike=True) is None
    alike = {**setting.oracle[0], "space": "multilevel, alike", "problem": "other", "pyamg_default": 0.5, "best": 2.5}
    setting.oracle.append({**alike, "seed": 1})
    assert setting.ends(whole, 0, alike=True) == (2.0, 4.0), "the default of the seed's problems, the lead of others"
    setting.oracle.pop()
    setting.references = []
    lines = [line for line in reference_section([setting]) if line.startswith("| multilevel |")]
    assert len(lines) == 3, "one for the many problems of seed 0"
    assert "| seed 0, mean of 30 | 2.000 | 3.000 | 4.000 | 4.500 | 18.500 | 9 |" in lines[0]
    assert "| seed 1, training-1 | 3.000 | 3.000 | 4.000 | 4.500 | 5.000 | 9 | 100% |" in lines[2]


def test_every_row_is_answered_by_what_exists() -> None:
    assert [item.name for item in ITEMS] == [f"T{k}" for k in range(1, 27)]
    for item in ITEMS:
        assert item.tests or item.figures or item.command
        for test in item.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / file).read_text()


STUDY = """
about: Two arms.
base:
  set:
    problems.families: [{family: anisotropic_diffusion_fd, size: [32, 32]}]
    problems.training_problems: 20
    reward.name: energy_reduction
    training.rollouts_per_problem: 2
arms:
  measured: {about: one, triage: [T4, T22]}
  missing: {about: two, triage: [T4, T9]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = config_of()
    (tmp_path / "tiny.yaml").write_text(STUDY)
    seeds = {seed: config | {"seed": seed} for seed in (0, 1)}
    seeds[2] = config_of(training={"lr": 0.5}) | {"seed": 2}  # which the study no longer has
    rows = [{"arm": "measured", "seed": seed} | row for seed in seeds for row in rows_of([2.0] * 3 + [3.0 + seed] * 9)]
    runs = {f"measured/{seed}": {"config": seeds[seed], "command": "c", "commit": "d"} for seed in seeds}
    write_table(tmp_path / "results" / "tiny.parquet", rows, STUDY_SCHEMA, {"runs": runs})
    origin = {"config": config, "command": "python -m studies.references", "commit": "0123456789abc"}
    methods = {"prior alone": 3.0, "PyAMG default": 1.0, "sa symmetric 0 jacobi": 1.0, "sa evolution 2 energy 1": 4.0}
    referred = [
        {"seed": 0, "split": split, "problem": f"{split}-{k}", "method": method, "reward": reward + k}
        for split in ("training", "heldout")
        for k in (0, 1)
        for method, reward in methods.items()
    ]
    write_table(tmp_path / "results" / "references" / "B.parquet", referred, references.SCHEMA, origin)
    searched = {
        "seed": 0,
        "problem": "training-0",
        "space": "multilevel",
        "evaluations": 100,
        "pyamg_default": 1.0,
        "prior_alone": 3.0,
        "best_classical": 4.0,
        "start": 4.5,
        "best": 5.0,
        "curve": [4.0] * 10 + [5.0] * 10,
        "operator_complexity": 1.5,
        "levels": 3,
        "coarse_share": 0.25,
    }
    write_table(tmp_path / "results" / "oracle" / "B.parquet", [searched], ORACLE_SCHEMA, origin)
    return tmp_path


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_the_document(folder: Path) -> None:
    text = report(read_all(folder, folder / "results"))
    assert text == report(read_all(folder, folder / "results"))
    assert line_of(text, "| T4 |").endswith("| measured: explained variance 50%<br>missing: not measured yet |")
    assert line_of(text, "| T9 |").endswith("| not measured yet |") and line_of(text, "| T15 |").endswith("yet |")
    assert "first epoch 2.000, last tenth 3.500, gain +75.0%, seconds 120 |" in line_of(text, "| T22 |")
    arm = line_of(text, "| measured | one | 2 |")
    # Mean default 1.5, and an oracle that leads it by 4.
    assert "| 2.000 (2.000..2.000) | 3.500 (3.000..4.000) | +75.0% (+50.0%..+100.0%) | 50% (38%..62%) |" in arm
    assert line_of(text, "| missing |").startswith("| missing | two | not measured yet |")
    assert line_of(text, "| prior alone |") == "| prior alone | 3.500 | 3.500 |"
    assert "4.500 sa evolution 2 energy 1" in line_of(text, "| best single method")
    assert "| 1.000 | 3.000 | 4.000 | 4.500 | 5.000 | 100 | 100% | 1.50 | 3 | 25% |" in line_of(text, "| multilevel |")
    assert "(commit 0123456789)" in text


def test_a_sweep_by_tune_is_shown_by_its_finished_seeds(folder: Path) -> None:
    columns = dict.fromkeys(COLUMNS, 0.5)
    rows = [
        columns | {"setting": setting, "seed": seed, "status": status, "figure": reward, "reward_mean": reward}
        for setting, seed, status, reward in (
            ("1e-4", 0, FINISHED, 1.0),
            ("1e-4", 1, FINISHED, 2.0),
            ("1e-3", 0, FINISHED, 4.0),
            ("1e-3", 1, FINISHED, 3.0),
            ("5e-3", 0, FINISHED, 9.0),
            ("5e-3", 1, FAILED, math.nan),
        )
    ]
    described = {"about": "Which rate?", "metric": "reward_mean", "iterations": 120}
    path = folder / "results" / "tune" / "learning_rate.parquet"
    path.parent.mkdir()
    write_results(
        path, rows, {"sweep": described, "command": "psparsity tune learning_rate", "commit": "0123456789abc"}
    )
    text = report(read_all(folder, folder / "results"))
    assert "Which rate? `psparsity tune learning_rate`, 120 iterations, at commit 0123456." in text
    lines = [line for line in text.splitlines() if line.startswith(("| 1e-", "| 5e-"))]
    assert [line.split(" | ")[:3] for line in lines] == [
        ["| 1e-3", "2 of 2", "3.500 (3.000..4.000)"],
        ["| 1e-4", "2 of 2", "1.500 (1.000..2.000)"],
        ["| 5e-3", "1 of 2", "9.000"],
    ]
    row = line_of(text, "| T15 |")
    assert row.endswith("| not measured yet<br>sweep learning_rate, reward: 1e-3 3.500, 1e-4 1.500, 5e-3 9.000 |")
    assert "`psparsity tune learning_rate`" in row


def test_nothing_measured_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    text = report(read_all(tmp_path, tmp_path / "results"))
    assert "Not measured yet: `python -m studies.references`" in text
    assert line_of(text, "| measured |").startswith("| measured | one | not measured yet |")

"""Schedulers and searchers, without a Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from rllib_psparsity.errors import InputError
from rllib_psparsity.sweep import search
from rllib_psparsity.sweep.definition import load_sweep, shipped_sweep
from rllib_psparsity.sweep.plan import TrialPlan
from rllib_psparsity.sweep.search import EverySeed, refuse_missing_optuna, scheduler_of, searcher_of
from tests.sweep.test_results import metrics


class Numbers:
    """A searcher that suggests 0.0, 1.0, ... three times, and remembers what it is told."""

    def __init__(self) -> None:
        self.count, self.told = 0, []

    def suggest(self, name: str):
        self.count += 1
        return {"training.lr": float(name)} if self.count <= 3 else None

    def on_trial_complete(self, name: str, result=None, error: bool = False) -> None:
        self.told.append((name, result, error))


def test_a_suggestion_is_trained_for_every_seed_and_judged_by_their_mean_even_after_a_restore(tmp_path: Path) -> None:
    searcher = EverySeed(Numbers(), (7, 8), "figure", "min")
    plans = [searcher.suggest(f"trial {k}") for k in range(3)]
    trials = [TrialPlan(**plan["plan"]) for plan in plans if plan]
    assert [(trial.seed, trial.values["training.lr"]) for trial in trials] == [(7, 0.0), (8, 0.0), (7, 1.0)]
    assert trials[0].setting == trials[1].setting == "00 lr=0" != trials[2].setting
    searcher.on_trial_complete("trial 0", {"figure": 4.0})
    searcher.save(str(tmp_path / "state"))

    restored = EverySeed(Numbers(), (7, 8), "figure", "min")
    restored.restore(str(tmp_path / "state"))
    assert restored.suggest("trial 3")["plan"] == {"setting": "01 lr=1", "seed": 8, "values": {"training.lr": 1.0}}
    restored.on_trial_complete("trial 1", {"figure": 6.0})
    restored.on_trial_complete("trial 2", {"figure": 3.0})
    restored.on_trial_complete("trial 3", error=True)
    for seed in (0, 1):
        restored.suggest(f"last {seed}")
        restored.on_trial_complete(f"last {seed}", error=True)
    assert restored._searcher.told == [("0", {"figure": 5.0}, False), ("1", {"figure": 3.0}, False), ("2", None, True)]
    assert restored.suggest("none") is None


def test_optuna_suggests_within_the_space(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    sweep, base = load_sweep(shipped_sweep("optuna_search"))
    searcher = searcher_of(sweep)
    assert searcher is not None
    for k in range(6):
        plan = TrialPlan(**searcher.suggest(str(k))["plan"])
        assert 1e-4 <= plan.config(base).training.lr <= 1e-2 and plan.seed == sweep.seeds[k % 2]
        searcher.on_trial_complete(str(k), {sweep.metric: plan.values["training.lr"]})
    searcher.save(str(tmp_path / "state"))
    again = searcher_of(sweep)
    again.restore(str(tmp_path / "state"))  # pyright: ignore
    assert again.suggest("6") is not None  # pyright: ignore


def test_a_missing_optuna_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    refuse_missing_optuna(load_sweep(shipped_sweep("entropy"))[0])
    with pytest.raises(InputError, match="search optuna needs Optuna, which is not installed; run pip install optuna"):
        refuse_missing_optuna(load_sweep(shipped_sweep("optuna_search"))[0])


def trial(name: str) -> SimpleNamespace:
    return SimpleNamespace(trial_id=name, config={"plan": TrialPlan(name, 0, {}).as_dict()})


def test_halving_knows_its_rungs_after_a_restore(tmp_path: Path) -> None:
    """Ray 2.60 restores trials but not their scheduler: a new one would let a bad trial pass the first rung."""
    sweep, _ = load_sweep(shipped_sweep("random_search"))
    metrics(TrialPlan("good", 0, {}).directory(tmp_path), [0.0] * 20)
    metrics(TrialPlan("better", 0, {}).directory(tmp_path), [1.0] * 20)
    controller = SimpleNamespace(experiment_path=str(tmp_path / "tune"))

    def first_rung(known: list[str]) -> str:
        scheduler = scheduler_of(sweep)
        assert scheduler is not None
        for name in [*known, "bad"]:
            scheduler.on_trial_add(controller, trial(name))
        early = scheduler.on_trial_result(controller, trial("bad"), {"iteration": 14, "reward_mean": -1.0})
        assert early == TrialScheduler.CONTINUE
        return scheduler.on_trial_result(controller, trial("bad"), {"iteration": 15, "reward_mean": -1.0})

    assert first_rung(["good", "better"]) == TrialScheduler.STOP
    assert first_rung([]) == TrialScheduler.CONTINUE


def test_a_replaced_member_keeps_its_name_and_stays_within_the_bounds() -> None:
    scheduler = scheduler_of(load_sweep(shipped_sweep("population"))[0])
    values = {"training.lr": 1e-2, "training.entropy_coefficient": 1e-3}
    good = SimpleNamespace(config={"plan": TrialPlan("good", 0, values).as_dict()})
    seen = set()
    for _ in range(20):
        config, _ = scheduler._get_new_config(trial("bad"), good)  # pyright: ignore
        plan = TrialPlan(**config["plan"])
        assert plan.name == "bad/seed-0"
        assert 1e-4 <= plan.values["training.lr"] <= 1e-2
        assert 1e-3 <= plan.values["training.entropy_coefficient"] <= 1e-1
        seen.add(plan.values["training.lr"])
    assert len(seen) > 2 and good.config["plan"]["values"] == values

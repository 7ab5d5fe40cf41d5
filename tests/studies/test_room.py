"""What room a policy leaves: alternatives are paid as they are, and trees learn what there is to learn and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import untrained_network
from studies.results_file import read_table
from studies.room import LEVELS, MOST, SHARES, TRIED, main, room, room_section, tried, with_share
from tests.environment.tiny import tiny_config

ELASTIC = "problems.families=[{family: elasticity, size: [5, 6]}]"


@pytest.mark.parametrize("level", range(2))
def test_an_alternative_gains_what_the_environment_pays_more(level: int) -> None:
    env = SparsifyEnv(tiny_config("reward.shaping=false", "problems.families.0.size=[14, 14]"))
    inference = inference_of(untrained_network(env.config.policy, 0))
    policy, paid = policy_decide(inference), {}
    row = list(tried(env, inference, 3))[level]
    assert row["level"] == LEVELS[level] and len(row["recipe"]) == len(env.menu)
    other = next(r for r, gain in enumerate(row["recipe"]) if gain != 0.0)
    for overruled in (False, True):
        graph, _ = env.reset(options={"index": 3})
        total, ended = 0.0, False
        while not ended:
            decision = policy(graph)
            if overruled and graph.level == level:
                assert decision.recipe != other
                decision = Decision(inference.logits([graph]).edge_logits(np.array([other]))[0] > 0, other)
            graph, reward, terminated, truncated, _ = env.step(decision)
            total, ended = total + float(reward), terminated or truncated
        paid[overruled] = total
    assert row["recipe"][other] == pytest.approx(paid[True] - paid[False]) != 0.0
    assert 0.0 in row["recipe"] and row["share"][-1] == 0.0 and len(row["share"]) == len(SHARES) + 1


def test_a_block_matrix_has_no_classical_alternative() -> None:
    env = SparsifyEnv(tiny_config(ELASTIC, "reward.shaping=false"))
    row = next(tried(env, inference_of(untrained_network(env.config.policy, 0)), 0))
    assert [gain == -np.inf for gain in row["recipe"]] == [recipe.scalar_only for recipe in env.menu]


def test_shares_are_of_the_policys_own_and_equals_are_all_in() -> None:
    env = SparsifyEnv(tiny_config("problems.families=[{family: jump_diffusion, size: [14, 14]}]"))
    inference = inference_of(untrained_network(env.config.policy, 0))
    graph, _ = env.reset(options={"index": 0})
    logits = inference.logits([graph]).edge_logits(np.array([0]))[0]
    own = logits > 0
    assert np.array_equal(with_share(logits, 0, 1.0).edge_is_strong, own)
    half = with_share(logits, 0, 0.5).edge_is_strong
    assert 0.5 * own.sum() - 1 <= half.sum() < own.sum() and logits[half].min() > logits[~half].max()
    assert with_share(logits, 0, 1e3).edge_is_strong.all()


def rows_of(gains: np.ndarray, inputs: np.ndarray) -> list[dict]:
    return [
        {"index": k, "level": level, "seen": of_problem, "recipe": gain, "share": gain}
        for level in LEVELS
        for k, (gain, of_problem) in enumerate(zip(gains, inputs, strict=True))
    ]


def test_what_follows_from_the_inputs_is_learnt_and_luck_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.room.TREES", 30)
    rng = np.random.default_rng(0)
    inputs = rng.choice([-1.0, 1.0], (300, 4))
    better = np.where(inputs[:, :1] > 0, [[0.0, 0.1, -9.0]], [[0.0, -0.1, -np.inf]])
    for figures in room(rows_of(better, inputs)):
        assert figures["problems"] == 300 and figures["hindsight"] == pytest.approx(0.1 * (inputs[:, 0] > 0).mean())
        assert figures["learnt"] == figures["hindsight"]
    inputs = rng.standard_normal((300, 4))
    luck = np.column_stack([np.zeros(300), rng.normal(-0.02, 0.05, (300, 2))])
    for figures in room(rows_of(luck, inputs)):
        assert figures["hindsight"] > 0.02 and figures["learnt"] < 0.003


def test_no_alternative_counts_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.room.TREES", 3)
    gains = np.column_stack([np.zeros(20), np.full(20, 7.0)])
    assert {row["hindsight"] for row in room(rows_of(gains, np.zeros((20, 1))))} == {MOST}


def test_the_command_goes_on_and_refuses_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, figures = tmp_path / "tried.parquet", tmp_path / "figures"
    options = ["--out", str(out), "--figures", str(figures), "--problems"]
    assert main([*options, "5"]) == 0
    first, _ = read_table(out)
    assert "| `default` | finest | recipe | 5 |" in capsys.readouterr().out
    assert main([*options, "6"]) == 0
    more, metadata = read_table(out)
    assert more[: len(first)] == first and {row["index"] for row in more[len(first) :]} == {10_000_005}
    assert set(metadata) >= {"config", "commit"} and list(more[0]) == TRIED.names
    assert set(read_table(figures / "default.parquet")[1]) == {"command", "seed", "commit", "dirty"}
    assert "| finest | recipe | 6 |" in "\n".join(room_section([figures / "default.parquet"]))
    capsys.readouterr()
    for arguments, refusal in (
        (["2"], "problems is 2, expected at least 5"),
        (["6", "--policy", "many_solves"], "the policy many_solves has other recipes than the variation few_solves"),
        (["6", "--policy", "many_solves", "--variation", "many_solves"], "was made with another policy"),
        (["6", "--policy", "nowhere"], "policy 'nowhere' is neither a shipped policy"),
    ):
        assert main([*options, *arguments]) == 2
        assert refusal in capsys.readouterr().err
    assert read_table(out)[0] == more

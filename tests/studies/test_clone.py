"""The clone's expert has hindsight, and its pupil learns what it is taught."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from rllib_psparsity.deploy.artifact import load_policy
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.network import untrained_network
from studies import clone, lessons
from studies.clone import cross_entropy, learn, main
from studies.lessons import Lesson, gather, lesson
from studies.results_file import read_table
from tests.environment.tiny import tiny_config

ELASTIC = "problems.families=[{family: elasticity, size: [5, 6]}]"


def test_the_expert_is_the_best_of_all_recipes() -> None:
    env = SparsifyEnv(tiny_config())
    one = lesson(env, 3)
    assert np.isfinite(one.paid).all()
    assert {decision.recipe for decision in one.decisions} == {int(one.paid.argmax())}
    _, total, ended = env.reset(options={"index": 3, "solve": False}), 0.0, False
    for decision in one.decisions:
        assert not ended
        _, reward, terminated, truncated, _ = env.step(decision)
        total, ended = total + float(reward), terminated or truncated
    assert ended and total == pytest.approx(one.paid.max())


def test_a_block_matrix_is_never_coarsened_classically() -> None:
    env = SparsifyEnv(tiny_config(ELASTIC))
    paid = lesson(env, 0).paid
    assert all(np.isfinite(p) != recipe.scalar_only for p, recipe in zip(paid, env.menu, strict=True))


def test_learning_lowers_the_loss_and_is_never_paid_more_than_the_expert() -> None:
    config = tiny_config()
    env = SparsifyEnv(config)
    taught = [lesson(env, index) for index in range(12)]
    policy = untrained_network(config.policy, 0)
    before = cross_entropy(policy, taught).item()
    epochs = list(learn(policy, taught, 15, np.random.default_rng(0)))
    assert cross_entropy(policy, taught).item() < before
    assert [epoch for epoch, *_ in epochs] == list(range(1, 16))
    assert all(paid <= expert for _, _, paid, expert in epochs)


def test_lessons_go_on_where_they_were_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gather(tiny_config(), 4, tmp_path / "whole.parquet", processes=2)  # the same for any number
    gather(tiny_config(), 2, tmp_path / "part.parquet")
    known_before: list[bool] = []

    def watched(env: SparsifyEnv, index: int, known: np.ndarray | None = None) -> Lesson:
        known_before.append(known is not None)
        return lesson(env, index, known)

    monkeypatch.setattr(lessons, "lesson", watched)
    both = gather(tiny_config(), 4, tmp_path / "part.parquet")
    assert known_before == [True, True, False, False]
    for one, other in zip(whole, both, strict=True):
        np.testing.assert_array_equal(one.paid, other.paid)
        assert len(one.graphs) == len(other.graphs) == len(other.decisions)
        for graph, same_graph in zip(one.graphs, other.graphs, strict=True):
            np.testing.assert_array_equal(graph.edge_features, same_graph.edge_features)
        for decision, same in zip(one.decisions, other.decisions, strict=True):
            assert decision.recipe == same.recipe
            np.testing.assert_array_equal(decision.edge_is_strong, same.edge_is_strong)
    assert len(gather(tiny_config(), 1, tmp_path / "part.parquet")) == 1
    assert len(read_table(tmp_path / "part.parquet")[0]) == 4  # none is lost


def test_lessons_of_another_configuration_are_refused_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "lessons.parquet"
    gather(tiny_config(), 1, out)
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"lessons.parquet was made with another configuration; name another --out"):
        gather(tiny_config(ELASTIC), 1, out)
    assert out.read_bytes() == before


def test_the_command_writes_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--problems", "2", "--epochs", "1", "--out", str(tmp_path / "clone")])
    assert "paid apart" in capsys.readouterr().out
    assert load_policy(tmp_path / "clone").menu[0].name == "sa/energy2/classical"
    with pytest.raises(SystemExit) as refused:  # before any lesson
        main(["--problems", "2", "--epochs", "1", "--out", str(tmp_path / "clone")])
    output = capsys.readouterr()
    assert refused.value.code == 2 and "exists already" in output.err and "lesson" not in output.out


@pytest.mark.parametrize("during", ["gather", "learn"])
def test_an_interruption_says_how_to_go_on(
    during: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(clone, "gather", lambda *_: [])
    monkeypatch.setattr(clone, during, interrupted)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["--problems", "2", "--out", str(tmp_path / "clone")])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert ended.value.code == 130
    assert f"goes on from {tmp_path / 'clone_lessons.parquet'}" in capsys.readouterr().out


def test_lessons_need_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--processes", "0", "--out", str(tmp_path / "clone")])
    assert refused.value.code == 2
    assert "--processes is 0; it must be at least 1" in capsys.readouterr().err

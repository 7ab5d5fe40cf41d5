"""What the episodes of one problem share, and that none of them changes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.sparse import issparse

from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.environment.start import KEPT, Starts
from tests.environment.tiny import ELASTIC, SCALAR, random_decision, run_episode, tiny_config

REWARDS = ("work_per_digit", "energy_reduction", "pcg_iterations", "hybrid", "total_work")


def arrays(value: object) -> Iterator[np.ndarray]:
    """All the arrays that a value holds, however deep."""
    if isinstance(value, np.ndarray):
        yield value
    elif issparse(value):
        yield from (value.indptr, value.indices, value.data)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays(getattr(value, field.name))
    elif hasattr(value, "__dict__"):
        yield from arrays(list(vars(value).values()))


def same(a: list[tuple], b: list[tuple]) -> bool:
    """Two episodes, bit for bit."""
    return len(a) == len(b) and all(
        x[1:4] == y[1:4]
        and all(np.array_equal(u, v) for u, v in zip(arrays(x[0]), arrays(y[0]), strict=True))
        and x[4].keys() == y[4].keys()
        and all(np.array_equal(x[4][key], y[4][key]) for key in x[4])
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("problems", [SCALAR, ELASTIC])
@pytest.mark.parametrize("reward", REWARDS)
def test_episodes_side_by_side_leave_the_start_and_each_other_alone(reward, problems):
    config = tiny_config(problems, f"reward.name={reward}", "environment.max_coarse=5")
    alone = [
        run_episode(SparsifyEnv(config), 0, random_decision(np.random.default_rng(seed), 3, 0.8)) for seed in (0, 1)
    ]
    assert not same(*alone)
    starts = Starts(config)
    envs = [SparsifyEnv(config, starts) for _ in alone]
    graphs = [env.reset(options={"index": 0})[0] for env in envs]
    assert graphs[0] is graphs[1]
    start = starts.training(0, 1.0)
    finest = envs[0].hierarchy.levels[0]
    assert finest.A is start.finest.A and finest.relaxation() is start.finest.relaxation()
    assert finest.candidates() is start.finest.candidates() and finest is not start.finest
    before = [(array, array.tobytes()) for array in arrays(start)]
    assert len(before) > 10
    decide = [random_decision(np.random.default_rng(seed), 3, 0.8) for seed in (0, 1)]
    episodes: list[list[tuple]] = [[], []]
    running = [0, 1]
    while running:
        for k in running:
            episodes[k].append(envs[k].step(decide[k](graphs[k])))
            graphs[k] = episodes[k][-1][0]
        running = [k for k in running if not (episodes[k][-1][2] or episodes[k][-1][3])]
    assert same(episodes[0], alone[0]) and same(episodes[1], alone[1])
    assert all(array.tobytes() == kept for array, kept in before)
    assert start.finest.P is None and start.finest.decision is None


def test_the_latest_starts_are_kept_by_index_and_difficulty():
    starts = Starts(tiny_config())
    first = starts.training(0, 1.0)
    assert starts.training(0, 1.0) is first
    easy = starts.training(0, 0.0)
    assert easy is not first and easy.problem.num_unknowns < 197 and starts.training(0, 1.0) is first
    for index in range(1, KEPT):
        starts.training(index, 1.0)
        starts.training(0, 1.0)  # asked for again, so not the oldest
    assert starts.training(0, 1.0) is first
    assert starts.training(0, 0.0) is not easy
    for index in range(1, KEPT + 1):
        starts.training(index, 1.0)
    assert starts.training(0, 1.0) is not first


def test_test_vectors_follow_from_the_index_and_not_from_the_difficulty():
    starts = Starts(tiny_config("problems.families=[{family: anisotropic_diffusion_fd, size: [10, 10]}]"))
    errors = [starts.training(*key).test_vectors.errors for key in ((0, 1.0), (0, 0.5), (1, 1.0))]
    np.testing.assert_array_equal(errors[0], errors[1])
    assert not np.array_equal(errors[0], errors[2])

"""One iteration as a row of `metrics.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

EPISODES = "episodes"
"""Key of the figures of an iteration's episodes, in the algorithm's results."""
FAILURES = ("stalled", "exploded", "failed")
"""Ends of an episode that are failed set-ups."""
EPISODE_COLUMNS = (
    "env_steps",
    "episodes",
    "reward_mean",
    "reward_std",
    "work_per_digit_mean",
    "operator_complexity_mean",
    "failed_setups",
    "seconds_sampling",
    "seconds_learning",
    "dropped_episodes",
)
LEARNER_COLUMNS = (
    "entropy_edge",
    "entropy_recipe",
    "entropy_softmax_over_edges",
    "explained_variance",
    "advantage_std",
    "grad_norm",
    "grad_norm_encoder",
    "grad_norm_edge_head",
    "grad_norm_value_head",
    "clipped_share",
    "learning_rate",
    "entropy_coefficient",
    "temperature",
    "skipped_updates",
)


def episode_figures(episodes: Sequence[SingleAgentEpisode]) -> dict[str, float]:
    """Means over an iteration's episodes.

    Work per digit (a geometric mean, where it was measured) and operator complexity are over the finished hierarchies;
    NaN if there is none.
    """
    returns = np.array([episode.get_return() for episode in episodes])
    ends = [episode.get_infos()[-1] for episode in episodes]
    finished = [end for end in ends if end["end"] not in FAILURES]
    work = [end["work_per_digit"] for end in finished if np.isfinite(end["work_per_digit"])]
    complexity = [end["operator_complexity"] for end in finished]
    return {
        "env_steps": float(sum(len(episode) for episode in episodes)),
        "episodes": float(len(episodes)),
        "reward_mean": float(returns.mean()),
        "reward_std": float(returns.std()),
        "work_per_digit_mean": float(np.exp(np.mean(np.log(work)))) if work else float("nan"),
        "operator_complexity_mean": float(np.mean(complexity)) if complexity else float("nan"),
        "failed_setups": float(len(ends) - len(finished)),
    }


def metrics_row(result: dict[str, Any], previous: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
    """The row of the iteration that follows `previous`, from the algorithm's result and the iteration's wall time.

    Steps, episodes and seconds are counted since the training began, whoever started the process.
    """
    figures = {name: float(result[EPISODES][name]) for name in EPISODE_COLUMNS}
    learner = result["learners"][DEFAULT_MODULE_ID]
    before = previous or {"iteration": 0, "env_steps": 0, "episodes": 0, "seconds": 0.0}
    return {
        **figures,
        **{name: float(learner[name]) for name in LEARNER_COLUMNS},
        "iteration": before["iteration"] + 1,
        "env_steps": before["env_steps"] + int(figures["env_steps"]),
        "episodes": before["episodes"] + int(figures["episodes"]),
        "seconds": before["seconds"] + seconds,
        "episodes_per_second": figures["episodes"] / seconds,
        "failed_setups": int(figures["failed_setups"]),
    }

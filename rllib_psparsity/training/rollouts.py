"""Rollouts of one problem: several episodes that start on the same finest graph."""

from __future__ import annotations

from collections.abc import Sequence

from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.training.advantages import LevelOutcome, Step


def problem_of(episode: SingleAgentEpisode, rollouts: int) -> int:
    """Number of the episode's problem, when every problem has `rollouts` episodes of consecutive numbers."""
    return int(episode.id_) // rollouts


def outcomes_of(episode: SingleAgentEpisode) -> list[LevelOutcome]:
    """What followed each step of an episode."""
    return [LevelOutcome(info["credit"], info["aggregates"]) for info in episode.get_infos()[1:]]


def by_graph(
    episodes: Sequence[SingleAgentEpisode], steps_of: Sequence[Sequence[Step]], rollouts: int
) -> list[list[Step]]:
    """The steps of all episodes in groups that were taken on one graph: on the finest level the rollouts of a problem
    meet, below every graph is the result of other decisions. In the order of the episodes."""
    finest: dict[int, list[Step]] = {}
    groups: list[list[Step]] = []
    for episode, steps in zip(episodes, steps_of, strict=True):
        problem = problem_of(episode, rollouts)
        if problem in finest:
            finest[problem].append(steps[0])
        else:
            finest[problem] = [steps[0]]
            groups.append(finest[problem])
        groups.extend([step] for step in steps[1:])
    return groups


def count_graphs(episodes: Sequence[SingleAgentEpisode], rollouts: int) -> int:
    """How many groups `by_graph` makes."""
    problems = {problem_of(episode, rollouts) for episode in episodes}
    return len(problems) + sum(len(episode) - 1 for episode in episodes)

"""A policy as the callable that `build_hierarchy` asks once per level."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.choice import mode as most_likely
from rllib_psparsity.policy.choice import sample
from rllib_psparsity.policy.inference import Inference, NetworkLogits


def policy_decide(inference: Inference, mode: bool = True, rng: np.random.Generator | None = None) -> Decide:
    """The policy's most likely decision, or, with ``mode=False``, one drawn with `rng`.

    `inference` is the ``inference`` of a `LoadedPolicy`, or what `inference_of` makes of a torch network.
    """
    if not mode and rng is None:
        raise InputError("mode is False, which draws decisions, but rng is None; pass a numpy Generator")

    def decide(graph: LevelGraph) -> Decision:
        logits = inference.logits([graph])
        chosen = (
            most_likely(inference.config, logits) if mode or rng is None else sample(inference.config, logits, [rng])
        )
        return chosen.decisions[0]

    return decide


def ranked_decides(inference: Inference, count: int) -> tuple[Decide, ...]:
    """Several hierarchies of one matrix by the policy, each with another recipe on the finest level: `mode`'s ranks.

    Everything else is the most likely decision, so the first is `policy_decide`. They are for use one after the other:
    the finest level's logits are computed for the first and forgotten with the last.
    """
    kept: list[NetworkLogits] = []

    def of_rank(rank: int) -> Decide:
        def decide(graph: LevelGraph) -> Decision:
            if graph.level > 0:
                return most_likely(inference.config, inference.logits([graph])).decisions[0]
            logits = kept.pop() if kept else inference.logits([graph])
            if rank + 1 < count:
                kept.append(logits)
            return most_likely(inference.config, logits, rank).decisions[0]

        return decide

    return tuple(of_rank(rank) for rank in range(count))


def prior_decide(inference: Inference) -> Decide:
    """The classical prior alone, as it was before any training: see `SparsifierPolicy.prior_output`."""

    def decide(graph: LevelGraph) -> Decision:
        return most_likely(inference.config, inference.prior_logits([graph])).decisions[0]

    return decide

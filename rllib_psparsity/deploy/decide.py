"""A policy as the callable that `build_hierarchy` asks once per level."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.choice import mode as most_likely
from rllib_psparsity.policy.choice import sample
from rllib_psparsity.policy.inference import Inference


def policy_decide(
    inference: Inference, mode: bool = True, rng: np.random.Generator | None = None, rank: int = 0
) -> Decide:
    """The policy's most likely decision, or, with ``mode=False``, one drawn with `rng`.

    `inference` is the ``inference`` of a `LoadedPolicy`, or what `inference_of` makes of a torch network. With a `rank`
    the most likely decision is taken but for the recipe of the finest level, which has that many likelier ones before
    it: another hierarchy that the policy thinks well of.
    """
    if not mode and rng is None:
        raise InputError("mode is False, which draws decisions, but rng is None; pass a numpy Generator")

    def decide(graph: LevelGraph) -> Decision:
        logits = inference.logits([graph])
        if mode or rng is None:
            return most_likely(inference.config, logits, rank if graph.level == 0 else 0).decisions[0]
        return sample(inference.config, logits, [rng]).decisions[0]

    return decide


def prior_decide(inference: Inference) -> Decide:
    """The classical prior alone, as it was before any training: see `SparsifierPolicy.prior_output`."""

    def decide(graph: LevelGraph) -> Decision:
        return most_likely(inference.config, inference.prior_logits([graph])).decisions[0]

    return decide

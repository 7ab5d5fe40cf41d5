"""A policy as the callable that `build_hierarchy` asks once per level."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.choice import mode as most_likely
from rllib_psparsity.policy.choice import ranks_of, sample
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


class RankedDecides:
    """Several hierarchies of one matrix by the policy, each with another recipe on the finest level: `mode`'s ranks.

    Everything else is the most likely decision, so the first is `policy_decide`. Iterating gives a `Decide` for each,
    to be used before the next one is asked for: which there are is known when the first has seen the finest level.
    There are the first `count`, and those up to `at_most` whose coarsening the policy gives `probability` or more.

    Attributes
    ----------
    finest : LevelGraph or None
        The finest level's graph while another `Decide` is to come, else None: it is kept with its logits, which are
        computed once.
    """

    def __init__(self, inference: Inference, count: int, at_most: int | None = None, probability: float = 0.0) -> None:
        self._inference = inference
        self._counts = count, count if at_most is None else at_most, probability
        self._logits: NetworkLogits | None = None
        self._coming: list[int] = []

    @property
    def finest(self) -> LevelGraph | None:
        return None if self._logits is None else self._logits.graphs[0]

    def __iter__(self) -> Iterator[Decide]:
        yield partial(self._decide, 0)
        while self._coming:
            yield partial(self._decide, self._coming.pop(0))

    def _decide(self, rank: int, graph: LevelGraph) -> Decision:
        config = self._inference.config
        if graph.level > 0:
            return most_likely(config, self._inference.logits([graph])).decisions[0]
        logits = self._logits
        if logits is None:
            logits = self._inference.logits([graph])
            self._coming = ranks_of(config, logits, *self._counts)[1:]
        self._logits = logits if self._coming else None
        return most_likely(config, logits, rank).decisions[0]


def prior_decide(inference: Inference) -> Decide:
    """The classical prior alone, as it was before any training: see `SparsifierPolicy.prior_output`."""

    def decide(graph: LevelGraph) -> Decision:
        return most_likely(inference.config, inference.prior_logits([graph])).decisions[0]

    return decide

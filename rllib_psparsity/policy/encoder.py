"""What a backbone is."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.batch import GraphBatch


class Encoder(nn.Module):
    """A graph encoder: from the features of a batch of level graphs to an embedding of every node.

    A subclass is made as ``encoder(node_dim, edge_dim, width, layers)``, all of them numbers; for a policy it is made
    twice where values have a trunk of their own (`policy.separate_value_trunk`). The embedding of a graph must depend
    on that graph alone, and renumbering its nodes must renumber the embedding.
    """

    def standardise(self) -> None:
        """See inputs by statistics that are given later (`policy.standardise`), before any training.

        Raises `InputError` for an encoder that cannot.
        """
        raise InputError(
            f"policy.standardise is true, but the backbone {type(self).__name__} does not standardise its inputs; set "
            "policy.standardise=false or take a built-in backbone"
        )

    def prepare(self, batch: GraphBatch) -> Any:
        """What depends on the batch alone and on no weight, for `forward` of this encoder and its twin."""
        raise NotImplementedError

    def forward(self, prepared: Any) -> Tensor:
        """(N, width) embedding of the nodes, from what `prepare` returned."""
        raise NotImplementedError

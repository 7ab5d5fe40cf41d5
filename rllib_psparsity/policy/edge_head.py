"""The edge head: logits per edge and recipe, a classical prior plus a thin network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy import row_kernels
from rllib_psparsity.policy.backward_kernels import edge_head_backward
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.inference import PRIOR_BOUND
from rllib_psparsity.policy.parts import in_parts
from rllib_psparsity.policy.standardised import StandardisedLinear, folded

BOUND = float(PRIOR_BOUND)


class ClassicalPrior(nn.Module):
    """Log-odds of a textbook strength test: ``steepness_r (feature_r - threshold_r)``, bounded.

    The threshold's offset and the steepness are learned for each recipe r; feature, first threshold and initial
    steepness are those of its `strength_test`. The steepness is softplus-parametrised, in units of its initial value.
    Where the prior is not `enabled`, it is zero, and so are the logits.
    """

    columns: Tensor
    initial_threshold: Tensor
    initial_steepness: Tensor

    def __init__(self, menu: tuple[Recipe, ...], enabled: bool) -> None:
        super().__init__()
        self.enabled = enabled
        names, thresholds, steepness = zip(*(recipe.strength_test for recipe in menu), strict=True)
        columns = torch.tensor([EDGE_FEATURES.index(name) for name in names])
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("initial_threshold", torch.tensor(thresholds), persistent=False)
        self.register_buffer("initial_steepness", torch.tensor(steepness), persistent=False)
        self.raw_steepness = nn.Parameter(torch.zeros(len(menu)))
        self.offset = nn.Parameter(torch.zeros(len(menu)))

    def steepness(self) -> Tensor:
        """(R,) learned steepness; at the start exactly that of the measure."""
        learned = F.softplus(self.raw_steepness) / F.softplus(torch.zeros_like(self.offset))
        return float(self.enabled) * self.initial_steepness * learned

    def threshold(self) -> Tensor:
        """(R,) learned threshold."""
        return self.initial_threshold + self.offset

    def forward(self, edge_features: Tensor) -> Tensor:
        """(E, R) logits."""
        return self._logits(edge_features, self.steepness(), self.threshold())

    def initial(self, edge_features: Tensor) -> Tensor:
        """(E, R) logits before any learning, also where the policy does without."""
        return self._logits(edge_features, self.initial_steepness, self.initial_threshold)

    def _logits(self, edge_features: Tensor, steepness: Tensor, threshold: Tensor) -> Tensor:
        margin = edge_features.index_select(1, self.columns) - threshold
        return (steepness * margin).clamp(-BOUND, BOUND)


class EdgeHead(nn.Module):
    """A thin MLP, symmetric in both ends: ``W relu(U (h_i + h_j) + V |D (h_i - h_j)| + F e_ij + b) + c``.

    What is linear acts per node instead of per edge, and the hidden layer is half as wide as the encoder. On a CPU it
    runs through the compiled kernel that inference uses too.
    """

    def __init__(self, edge_dim: int, width: int, recipes: int) -> None:
        super().__init__()
        hidden = max(8, width // 2)
        self.from_sum = nn.Linear(width, hidden, bias=False)
        self.contrast = nn.Linear(width, hidden, bias=False)
        self.from_contrast = nn.Linear(hidden, hidden, bias=False)
        self.from_features = nn.Linear(edge_dim, hidden)
        self.out = nn.Linear(hidden, recipes)

    def standardise(self) -> None:
        """See the edge features by statistics that are given later (`policy.standardise`)."""
        self.from_features = StandardisedLinear(self.from_features)

    def forward(self, h: Tensor, batch: GraphBatch, prior: ClassicalPrior, temperature: Tensor) -> Tensor:
        """(E, R) sum of the head's logits and the prior's, over the temperature, from the embedding h (N, width)."""
        if h.device.type != "cpu":
            return (self._own_logits(h, batch) + prior(batch.edge_features)) / temperature
        from_features, bias = folded(self.from_features)
        ends = F.linear(h, torch.cat([self.from_sum.weight, self.contrast.weight]))
        return _EdgeLogits.apply(  # type: ignore[no-any-return]
            ends,
            from_features.T,
            bias,
            self.from_contrast.weight.T,
            self.out.weight.T,
            self.out.bias,
            prior.threshold(),
            prior.steepness(),
            prior.columns,
            float(temperature),
            batch,
        )

    def _own_logits(self, h: Tensor, batch: GraphBatch) -> Tensor:
        """The head's logits by torch's own operations."""
        first, second = batch.edge_index
        s, c = self.from_sum(h), self.contrast(h)
        contrast = (c.index_select(0, first) - c.index_select(0, second)).abs()
        hidden = self.from_features(batch.edge_features) + self.from_contrast(contrast)
        return self.out(F.relu(hidden + s.index_select(0, first) + s.index_select(0, second)))


class _EdgeLogits(torch.autograd.Function):
    """`row_kernels.edge_head` with its gradient; ends (N, 2H) has both products of a node side by side."""

    @staticmethod
    def forward(
        ctx: Any,
        ends: Tensor,
        from_features: Tensor,
        bias: Tensor,
        from_contrast: Tensor,
        to_logits: Tensor,
        out_bias: Tensor,
        threshold: Tensor,
        steepness: Tensor,
        columns: Tensor,
        temperature: float,
        batch: GraphBatch,
    ) -> Tensor:
        ctx.prior = (columns.numpy(), threshold.numpy(), steepness.numpy(), PRIOR_BOUND)
        ctx.temperature = np.float32(temperature)
        ctx.graph = (batch.edge_index.int().numpy(), batch.edge_features.numpy())
        saved = [tensor.contiguous() for tensor in (ends, from_features, bias, from_contrast, to_logits)]
        ctx.save_for_backward(*saved)
        prior, graph, width = ctx.prior, ctx.graph, len(bias)
        rows, *weights = (tensor.numpy() for tensor in saved)
        arguments = (rows.reshape(-1, width), *graph, *weights, out_bias.numpy(), prior, ctx.temperature)
        logits = np.empty((len(graph[1]), len(out_bias)), dtype=np.float32)

        def head(first: int, last: int) -> None:
            row_kernels.edge_head(*arguments, logits, first, last, (0,) * width)  # type: ignore[call-arg]

        in_parts(head, len(logits))
        return torch.from_numpy(logits)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ends, from_features, bias, from_contrast, to_logits = (tensor.numpy() for tensor in ctx.saved_tensors)
        hidden = len(bias)
        arguments = (
            grads[0].contiguous().numpy(),
            ends.reshape(-1, hidden),
            *ctx.graph,
            from_features,
            bias,
            from_contrast,
            from_contrast.T.copy(),
            to_logits,
            to_logits.T.copy(),
            ctx.prior,
            ctx.temperature,
        )

        def head_backward(first: int, last: int) -> tuple[np.ndarray, ...]:
            return edge_head_backward(*arguments, first, last, (0,) * hidden)  # type: ignore[call-arg]

        parts = in_parts(head_backward, len(arguments[0]))
        d_ends, *others = (np.sum(shares, axis=0) for shares in zip(*parts, strict=True))
        of_ends = torch.from_numpy(d_ends).view(-1, 2 * hidden)
        return of_ends, *(torch.from_numpy(gradient).float() for gradient in others), None, None, None

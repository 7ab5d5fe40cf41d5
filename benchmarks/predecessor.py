"""A training loop in the manner of the project's predecessor, written from its description: what speed is measured by.

    python -m benchmarks.predecessor [--updates 50] [--width 16]

One process, one problem an update, a batch of one. A graph attention network scores the edges; every row keeps 5 of
them, drawn without replacement and made symmetric; PyAMG builds two levels on them; the reward is minus the mean log of
the energy ratio of one V-cycle on 6 vectors relaxed 25 times by weighted Jacobi, minus the operator complexity beyond
1.35; REINFORCE with a moving baseline learns from it. Problems are made before the clock starts. The description gives
no width: this project's own is taken, and the draws are vectorised, so that the loop is rather faster than the
original, which made 1.85 episodes a second.

Prints one line of JSON: the seconds of each update, the first one with everything that is done only once.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise

import numpy as np
import pyamg
import torch
from scipy.sparse import csr_array, eye_array
from torch import Tensor, nn
from torch_geometric.nn import GATConv

from rllib_psparsity.config.load import load_config
from rllib_psparsity.problems.distribution import ProblemDistribution

STRONG_PER_ROW = 5
VECTORS, RELAXATIONS, OMEGA = 6, 25, 2.0 / 3.0
FREE_COMPLEXITY = 1.35
TEMPERATURE, ENTROPY_COEFFICIENT, LEARNING_RATE, GRAD_CLIP = 0.9, 0.01, 1e-3, 1.0
MOMENTUM, VARIANCE_MOMENTUM, WARM_UP = 0.95, 0.99, 100
HEADS, LAYERS = 4, 3


class EdgeScorer(nn.Module):
    """Graph attention over the matrix graph, then a logit for every stored off-diagonal entry."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [2] + [width] * LAYERS
        self.layers = nn.ModuleList(GATConv(i, o // HEADS, HEADS, edge_dim=1) for i, o in pairwise(sizes))
        self.head = nn.Sequential(nn.Linear(2 * width + 1, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, nodes: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        for layer in self.layers:
            nodes = torch.relu(layer(nodes, edges, weights))
        return self.head(torch.cat([nodes[edges[0]], nodes[edges[1]], weights], dim=1))[:, 0]


def draw(logits: Tensor, rows: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """`STRONG_PER_ROW` entries of every row without replacement: chosen entries (M,), and the log-probability of all.

    `rows` (E,) is sorted. Gumbel noise orders a row's entries as draws without replacement do; the probability is the
    product, draw by draw, of the softmax over what is left.
    """
    count = torch.bincount(rows, minlength=num_rows)
    place = torch.arange(len(rows)) - (count.cumsum(0) - count)[rows]
    table = torch.full((num_rows, int(count.max())), -torch.inf)
    table = table.index_put((rows, place), logits)
    entry = torch.zeros_like(table, dtype=torch.int64).index_put((rows, place), torch.arange(len(rows)))
    with torch.no_grad():
        noisy = table - torch.log(-torch.log(torch.rand_like(table)))
        order = noisy.topk(STRONG_PER_ROW, dim=1).indices
    log_prob = logits.new_zeros(())
    for draw in range(STRONG_PER_ROW):
        chosen = order[:, draw : draw + 1]
        left = draw < count  # shorter rows are exhausted, and were taken whole
        log_prob = log_prob + (table.gather(1, chosen)[:, 0] - table.logsumexp(dim=1))[left].sum()
        table = table.scatter(1, chosen, -torch.inf)
    taken = torch.arange(STRONG_PER_ROW) < count[:, None]
    return entry.gather(1, order)[taken], log_prob


def reward(A: csr_array, B: np.ndarray, strong: csr_array, rng: np.random.Generator) -> float:
    """Of the two-level hierarchy that PyAMG builds on the strong entries."""
    ml = pyamg.smoothed_aggregation_solver(A, B=B, strength=[("predefined", {"C": strong})])
    diagonal, zero, logs = A.diagonal(), np.zeros(A.shape[0]), []
    for _ in range(VECTORS):
        error = rng.standard_normal(A.shape[0])
        for _ in range(RELAXATIONS):
            error = error - OMEGA * (A @ error) / diagonal
        after = ml.solve(zero, x0=error, maxiter=1, tol=1e-30)
        logs.append(np.log(after @ (A @ after) / (error @ (A @ error))))
    return float(-np.mean(logs) - max(0.0, ml.operator_complexity() - FREE_COMPLEXITY))


class Trainer:
    """REINFORCE, one problem an update."""

    def __init__(self, width: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = EdgeScorer(width)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)
        self.rng = np.random.default_rng(seed)
        self.mean, self.variance, self.updates = 0.0, 1.0, 0

    def update(self, A: csr_array, B: np.ndarray) -> float:
        """One hierarchy and one step of Adam; returns the reward."""
        entries = A.tocoo()
        off = entries.row != entries.col
        row, col = (torch.from_numpy(index[off].astype(np.int64)) for index in (entries.row, entries.col))
        scale = np.sqrt(A.diagonal())
        weights = torch.tensor(entries.data[off] / (scale[row] * scale[col]), dtype=torch.float32)[:, None]
        nodes = torch.tensor(np.stack([np.diff(A.indptr), scale**2], axis=1), dtype=torch.float32)
        nodes = nodes / nodes.amax(dim=0)

        logits = self.network(nodes, torch.stack([row, col]), weights) / TEMPERATURE
        chosen, log_prob = draw(logits, row, A.shape[0])
        ones = np.ones(len(chosen))
        C = csr_array((ones, (row[chosen].numpy(), col[chosen].numpy())), shape=A.shape)
        strong = csr_array(C.maximum(C.T).maximum(eye_array(A.shape[0], format="csr")))
        gained = reward(A, B, strong, self.rng)

        log_p = torch.log_softmax(logits, dim=0)
        entropy = -(log_p.exp() * log_p).sum()
        loss = -self._advantage(gained) * log_prob / A.shape[0] - ENTROPY_COEFFICIENT * entropy
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRAD_CLIP)
        self.optimizer.step()
        return gained

    def _advantage(self, gained: float) -> float:
        """Against exponential moving averages of mean and variance, normalised after the warm-up."""
        if self.updates == 0:
            self.mean = gained
        deviation = gained - self.mean
        self.mean = MOMENTUM * self.mean + (1 - MOMENTUM) * gained
        self.variance = VARIANCE_MOMENTUM * self.variance + (1 - VARIANCE_MOMENTUM) * deviation**2
        self.updates += 1
        return deviation / np.sqrt(self.variance + 1e-8) if self.updates > WARM_UP else deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--width", type=int, default=16, help="channels of the network, a multiple of 4")
    options = parser.parse_args()
    torch.set_num_threads(1)  # faster than more on graphs of 1,000 nodes
    config = load_config(variation="B")
    distribution = ProblemDistribution(config.problems, config.seed)
    problems = [distribution.training(index) for index in range(options.updates)]
    trainer, seconds, rewards = Trainer(options.width), [], []
    for problem in problems:
        start = time.perf_counter()
        rewards.append(trainer.update(csr_array(problem.A), problem.B))
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "reward_mean": float(np.mean(rewards))}))


if __name__ == "__main__":
    main()

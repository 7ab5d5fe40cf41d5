"""What it costs to ask the policy: torch's network, the package's own inference in numpy and numba, a pooled network.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.inference [--sizes N ...] [--repeats 5]

Batches of 1, 8 and 32 graphs of 1,024 nodes (32 x 32 grids, nine points): all that an env runner does with them in a
step, so from the level graphs to sampled decisions and their log-probabilities. Collating the graphs, and taking the
network's weights of the moment, are part of it. Then one graph of 10,000 to 1,000,000 nodes, as a deployed set-up asks:
the most likely decision.

The variants take turns, and the first two have the same weights. Times are CPU milliseconds of one thread. Memory is
the peak resident set above that with the graph loaded, of one call in a process of its own. Making the graphs is not
inference: it is "features" in `benchmarks.setup` and `benchmarks.profile`.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import in_fresh_process, resident_peak
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.problems.families import FAMILIES

BATCHES = (1, 8, 32)
GRID = 32
GRAPHS_A_REPEAT = 64
"""Batches are asked again until they add up to this many graphs, so that a repeat is long enough to be timed."""
SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (2_000,)
TARGET_MILLISECONDS = 1.0
"""A graph of 1,000 nodes, in a batch of 8."""
VARIANTS = ("torch", "numpy", "pooled")
ARRAYS = ("node_features", "edge_index", "edge_features")


def graph(seed: int, side: int) -> LevelGraph:
    """The finest level of rotated anisotropic diffusion on side x side points."""
    rng = np.random.default_rng(seed)
    shape = {"epsilon": 10 ** rng.uniform(-3, -0.3), "theta": rng.uniform(0, 2 * np.pi)}
    problem = FAMILIES["anisotropic_diffusion_fd"].make(rng, side, **shape)
    return level_graph(problem.A, problem.B, 0)


def logits_of() -> dict[str, Callable[[Sequence[LevelGraph]], Any]]:
    """Variant -> logits of graphs, by a network before any training."""
    import torch

    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.policy.inference import inference_of
    from rllib_psparsity.policy.network import SparsifierPolicy
    from rllib_psparsity.policy.torch_inference import TorchInference

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = SparsifierPolicy(PolicyConfig()).eval()
    pooled = SparsifierPolicy(PolicyConfig(network="pooled")).eval()
    return {
        "torch": lambda graphs: TorchInference(network).logits(graphs),
        "numpy": lambda graphs: inference_of(network).logits(graphs),
        "pooled": lambda graphs: inference_of(pooled).logits(graphs),
    }


def act(logits: Callable[[Sequence[LevelGraph]], Any], graphs: Sequence[LevelGraph]) -> None:
    """What an env runner asks of a batch: decisions and their log-probabilities."""
    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.policy.choice import sample

    choice = sample(PolicyConfig(), logits(graphs), [np.random.default_rng(k) for k in range(len(graphs))])
    choice.unit_log_prob()
    choice.recipe_log_prob()


def decide(logits: Callable[[Sequence[LevelGraph]], Any], graphs: Sequence[LevelGraph]) -> None:
    """What a deployed set-up asks of a level: the most likely decision."""
    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.policy.choice import mode

    mode(PolicyConfig(), logits(graphs))


def milliseconds(call: Callable[[], None], times: int) -> float:
    """CPU milliseconds of a call, the mean of so many."""
    gc.collect()
    start = time.process_time()
    for _ in range(times):
        call()
    return 1e3 * (time.process_time() - start) / times


def time_batches(task: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
    """In a process of its own: milliseconds a graph by variant, for every batch size a row per repeat."""
    variants, graphs = logits_of(), [graph(seed, GRID) for seed in range(max(BATCHES))]
    for logits in variants.values():
        act(logits, graphs)
    rows = {}
    for batch in BATCHES:
        calls = {name: partial(act, logits, graphs[:batch]) for name, logits in variants.items()}
        timed = {name: partial(milliseconds, call, GRAPHS_A_REPEAT // batch) for name, call in calls.items()}
        repeats = interleave(timed, task["repeats"])
        rows[str(batch)] = [{name: value / batch for name, value in row.items()} for row in repeats]
    return rows


def ask_large(task: dict[str, Any]) -> list[dict[str, dict[str, float]]]:
    """In a process of its own: milliseconds and added peak memory by variant of one large graph, a row per repeat."""
    variants = {name: logits for name, logits in logits_of().items() if name in task["variants"]}
    for logits in variants.values():
        decide(logits, [graph(0, GRID)])
    with np.load(task["graph"]) as arrays:
        large = LevelGraph(**{name: arrays[name] for name in ARRAYS}, level=0, block_size=1)

    def once(logits: Callable[[Sequence[LevelGraph]], Any]) -> dict[str, float]:
        before = resident_peak()
        took = milliseconds(partial(decide, logits, [large]), 1)
        return {"milliseconds": took, "added_peak_bytes": resident_peak() - before}

    return interleave({name: partial(once, logits) for name, logits in variants.items()}, task["repeats"])


def save_graph(task: dict[str, Any]) -> dict[str, int]:
    """In a process of its own, since making a graph takes more memory than holding it."""
    made = graph(0, round(task["nodes"] ** 0.5))
    np.savez(task["graph"], **{name: getattr(made, name) for name in ARRAYS})
    size = sum(getattr(made, name).nbytes for name in ARRAYS)
    return {"nodes": made.num_nodes, "edges": made.num_edges, "graph_bytes": size}


def measure_large(nodes: int, repeats: int, directory: str) -> dict[str, Any]:
    """Times, all variants in one process, and memory, each in its own, of one graph."""
    task = {"nodes": nodes, "graph": str(Path(directory, "graph.npz")), "repeats": repeats, "variants": VARIANTS}
    size = in_fresh_process("benchmarks.inference:save_graph", task)
    rows = in_fresh_process("benchmarks.inference:ask_large", task)
    memory = {}
    for name in VARIANTS:
        alone = in_fresh_process("benchmarks.inference:ask_large", {**task, "variants": [name], "repeats": 1})
        memory[name] = alone[0][name]["added_peak_bytes"]
    times = [{name: row[name]["milliseconds"] for name in VARIANTS} for row in rows]
    return {**size, "milliseconds": times, "added_peak_bytes": memory}


def compared(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """All variants, and medians over the repeats of their ratios."""
    ratios = {
        f"{one}_to_{other}": round(statistics.median(row[one] / row[other] for row in rows), 3)
        for one, other in pairwise(reversed(VARIANTS))
    }
    return {**{name: spread([row[name] for row in rows]) for name in VARIANTS}, **ratios}


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__, repeats=5)
    parser.add_argument("--sizes", type=int, nargs="+", help=f"nodes of the large graphs {SIZES}")
    options = parser.parse_args(arguments)
    repeats = 1 if options.quick else options.repeats
    sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)

    batches = in_fresh_process("benchmarks.inference:time_batches", {"repeats": repeats})
    figures: dict[str, Any] = {"unit": "CPU milliseconds, one thread", "target_batch_of_8": TARGET_MILLISECONDS}
    figures["milliseconds_a_graph"] = {batch: compared(rows) for batch, rows in batches.items()}
    for batch, line in figures["milliseconds_a_graph"].items():
        each = [f"{name} {line[name]['median']:.3f}" for name in VARIANTS]
        print(f"batch of {batch:>2}, ms a graph: {', '.join(each)}")
    large = []
    with tempfile.TemporaryDirectory() as directory:
        for nodes in sorted(sizes):
            large.append(measure_large(nodes, repeats, directory))
    figures["one_graph"] = [
        {
            **{key: case[key] for key in ("nodes", "edges", "graph_bytes", "added_peak_bytes")},
            "milliseconds": compared(case["milliseconds"]),
        }
        for case in large
    ]
    for case in figures["one_graph"]:
        line, memory = case["milliseconds"], case["added_peak_bytes"]
        each = [f"{name} {line[name]['median']:.1f} ms, {memory[name] / 1e6:.1f} MB" for name in VARIANTS]
        print(f"{case['nodes']} nodes, {case['edges']} edges: {'; '.join(each)}")
    print(
        write_result("inference", arguments, figures, [{"batches": batches, "large": large}], result_directory(options))
    )


if __name__ == "__main__":
    main()

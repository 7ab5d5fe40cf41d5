"""The data that the recipe selector of `psparsity evaluate --selector FILE` is grown from.

    python -m benchmarks.selector --problems 2070 --out selector.parquet

Random small problems of every family, 300 to 1,600 unknowns, with their pooled features and the figures of the 27
configurations (one round each). Problem i depends on the seed and i alone; a second call with the same --out and a
larger number goes on where the first one ended, also after an interruption.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.progress import track

from rllib_psparsity.amg.portfolio import PORTFOLIO
from rllib_psparsity.config.schema import FamilyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.comparison import compare
from rllib_psparsity.evaluation.method import PORTFOLIO_NAMES, Method
from rllib_psparsity.evaluation.provenance import commit
from rllib_psparsity.evaluation.selector import (
    FEATURES,
    SelectorData,
    pooled_features,
    read_selector_data,
    targets,
    write_selector_data,
)
from rllib_psparsity.problems.distribution import family_member
from rllib_psparsity.problems.problem import Problem

SIZES = {
    "anisotropic_diffusion_fd": (18, 40),
    "anisotropic_diffusion_fe": (18, 40),
    "jump_diffusion": (18, 40),
    "elasticity": (12, 24),
    "helmholtz_shifted": (18, 40),
    "unstructured_diffusion": (18, 40),
    "triangular_mesh": (18, 40),
    "graph_laplacian": (18, 40),
    "power_network": (18, 40),
    "diffusion_3d": (7, 12),
    "random_field_elements": (18, 40),
    "tensor_elements": (18, 40),
    "hexahedral_elements": (6, 11),
    "tetrahedral_elements": (6, 11),
    "tetrahedral_elasticity": (4, 8),
    "discontinuous_galerkin": (18, 40),
    "triangular_elements": (18, 40),
    "neighbour_graph": (18, 40),
    "closed_surface": (18, 40),
    "reservoir": (7, 12),
    "spline_elements": (18, 40),
    "complex_network": (18, 40),
    "random_walker": (18, 40),
}
SELECTION = 3
"""The split of the seeds; those of training, held-out problems and suites are 0, 1 and 2."""
SAVE_EVERY = 10


def selector_problem(seed: int, index: int) -> Problem:
    """Problem `index`: a family in turn, everything else drawn."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SELECTION, index)))
    family = list(SIZES)[index % len(SIZES)]
    return family_member(FamilyConfig(family=family, size=SIZES[family])).draw(rng, 1.0)


def gather(problems: int, seed: int, out: Path) -> SelectorData:
    """Data of problems 0 to `problems` - 1, saved to `out` as it grows; what `out` holds already is kept."""
    methods = [Method.classical(method) for method in PORTFOLIO]
    data, indices = SelectorData(np.zeros((0, len(FEATURES))), *np.zeros((2, 0, len(PORTFOLIO_NAMES)))), []
    if out.exists():
        data, metadata = read_selector_data(out)
        if metadata.get("seed") != seed:
            raise InputError(f"{out} was made with seed {metadata.get('seed')}, not {seed}; name another --out")
        indices = list(metadata["indices"])
    start = max(indices, default=-1) + 1
    compare([selector_problem(seed, index) for index in range(len(SIZES))], methods, seed)  # compiles, loads
    for index in track(range(start, problems), description="the portfolio on random problems"):
        problem = selector_problem(seed, index)
        rows = compare([problem], methods, seed)
        if any(row["converged"] for row in rows):
            new = pooled_features(problem), targets(rows, "work"), targets(rows, "time")
            held = (data.features, data.work, data.time)
            data = SelectorData(*(np.vstack([old, row]) for old, row in zip(held, new, strict=True)))
            indices.append(index)
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == problems:
            write_selector_data(out, data, {"seed": seed, "indices": indices, "commit": commit()})
    return data


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=2070)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("selector.parquet"))
    options = parser.parse_args()
    gathered = gather(options.problems, options.seed, options.out)
    print(f"{len(gathered.features)} problems in {options.out}")

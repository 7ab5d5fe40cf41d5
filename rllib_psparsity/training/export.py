"""From a run or a checkpoint to a policy that is used without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from rllib_psparsity.config.load import from_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.checkpoint import MANIFEST, check_checkpoint, newest_checkpoint
from rllib_psparsity.training.model_card import model_card

MODULE_PATH = Path("algorithm/learner_group/learner/rl_module/default_policy")


def export_policy(source: Path, target: Path) -> None:
    """Write the policy of a run directory (its newest whole checkpoint) or of one checkpoint to `target`."""
    source = Path(source)
    if not source.is_dir():
        raise InputError(f"{source} is not a directory; name a run directory or one of its checkpoints")
    if (source / MANIFEST).exists():
        checkpoint, iteration, run_dir = source, check_checkpoint(source), source.parent.parent
    else:
        checkpoint, iteration, _ = newest_checkpoint(source)
        run_dir = source
    config = from_json(run_dir / "config.json")
    card = model_card(config, iteration, _metrics(run_dir), _heldout(run_dir, iteration))
    save_policy(load_network(checkpoint, config), config.environment, Path(target), card)


def _metrics(run_dir: Path) -> list[dict[str, Any]]:
    path = run_dir / "metrics.parquet"
    return pq.read_table(path, columns=["iteration", "episodes", "seconds"]).to_pylist() if path.is_file() else []


def _heldout(run_dir: Path, iteration: int) -> list[dict[str, Any]]:
    """Rows of the comparison at the end of a run, if it was of the policy of that iteration."""
    path = run_dir / "heldout.parquet"
    if not path.is_file():
        return []
    table = pq.read_table(path, partitioning=None)
    of_iteration = (table.schema.metadata or {}).get(b"iteration", b"")
    return table.to_pylist() if of_iteration == str(iteration).encode() else []


def load_network(checkpoint: Path, config: Config) -> SparsifierPolicy:
    """The network of a checkpoint.

    RLlib keeps weights in a pickle: checkpoints are for their owner, and only the exported policy is for others.
    """
    import pickle

    path = checkpoint / MODULE_PATH
    (file,) = [name for name in path.iterdir() if name.name.startswith("module_state")]
    state: dict[str, Any] = pickle.loads(file.read_bytes())
    prefix = "network."
    network = SparsifierPolicy(config.policy)
    network.load_state_dict(
        {name.removeprefix(prefix): torch.tensor(value) for name, value in state.items() if name.startswith(prefix)}
    )
    return network.eval()

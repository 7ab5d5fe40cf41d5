"""From a run or a checkpoint to a policy that is used without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from rllib_psparsity.config.load import from_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.checkpoint import MANIFEST, check_checkpoint, newest_checkpoint

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
    save_policy(load_network(checkpoint, config), config.environment, Path(target), model_card(config, iteration))


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
        {name.removeprefix(prefix): torch.as_tensor(value) for name, value in state.items() if name.startswith(prefix)}
    )
    return network.eval()


def model_card(config: Config, iteration: int) -> str:
    """What the exported policy was trained on, in Markdown."""
    families = "\n".join(
        f"- {family.family}: weight {family.weight:g}, size {family.size[0]} to {family.size[1]}"
        for family in config.problems.families
    )
    return f"""# A learned strength of connection for algebraic multigrid

Trained with rllib_psparsity: {iteration} iterations of {config.training.episodes_per_iteration} episodes, seed
{config.seed}, reward `{config.reward.name}`, backbone `{config.policy.backbone}` of width {config.policy.width} with
{config.policy.layers} layers.

Trained on:

{families}

Recipes: {", ".join(config.policy.recipes)}.

Matrices unlike these were not seen in training: compare with a classical method before you rely on it there.
"""

"""`psparsity export`."""

from __future__ import annotations

from pathlib import Path

from rllib_psparsity.cli.options import require_free, require_training_extra
from rllib_psparsity.errors import InputError


def export(run_dir_or_checkpoint: Path, directory: Path, /) -> int:
    """Write the policy of a run as an artifact that loads without Ray.

    Parameters
    ----------
    run_dir_or_checkpoint
        A run directory, whose newest checkpoint is taken, or one checkpoint.
    directory
        A new directory for the artifact.
    """
    if not run_dir_or_checkpoint.is_dir():
        raise InputError(f"{run_dir_or_checkpoint} is not a directory; name a run directory or one of its checkpoints")
    require_free(directory, "is not empty, and export overwrites nothing; name a new directory")
    require_training_extra("export")
    from rllib_psparsity.training.export import export_policy

    export_policy(run_dir_or_checkpoint, directory)
    print(f"policy written to {directory}")
    return 0

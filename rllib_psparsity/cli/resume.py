"""`psparsity resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import require_run_dir, require_training_extra
from rllib_psparsity.errors import InputError


def resume(
    run_dir: Path,
    /,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
) -> int:
    """Go on with a run from its newest checkpoint.

    Parameters
    ----------
    run_dir
        The directory of the run.
    set_
        training.iterations=N, to train longer than the run was meant to.
    """
    from rllib_psparsity.config.load import from_json

    require_run_dir(run_dir)
    checkpoints = run_dir / "checkpoints"
    if not checkpoints.is_dir() or not any(checkpoints.iterdir()):
        raise InputError(f"{run_dir} holds no checkpoint to resume from; start over with psparsity train")
    from_json(run_dir / "config.json", set_)
    require_training_extra("resume")
    from rllib_psparsity.training.run import resume as run

    return run(run_dir, set_)

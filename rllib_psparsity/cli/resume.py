"""`psparsity resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import is_uri, require_run_dir, require_training_extra, use_one_thread
from rllib_psparsity.errors import InputError


def resume(
    run_dir: str,
    /,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
) -> int:
    """Go on with a run from its newest checkpoint.

    Parameters
    ----------
    run_dir
        The directory of the run, or its URI.
    set_
        training.iterations=N, to train longer than the run was meant to.
    """
    use_one_thread()
    from rllib_psparsity.config.load import from_json

    if is_uri(run_dir):
        require_training_extra("resume")
        from rllib_psparsity.training.remote_run import resume as run_remotely

        return run_remotely(run_dir, set_)
    directory = Path(run_dir)
    require_run_dir(directory)
    checkpoints = directory / "checkpoints"
    if not checkpoints.is_dir() or not any(checkpoints.iterdir()):
        raise InputError(f"{run_dir} holds no checkpoint to resume from; start over with psparsity train")
    from_json(directory / "config.json", set_)
    require_training_extra("resume")
    from rllib_psparsity.training.run import resume as run

    return run(directory, set_)

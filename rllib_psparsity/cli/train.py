"""`psparsity train`."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import is_uri, require_free, require_training_extra, use_one_thread

if TYPE_CHECKING:
    from rllib_psparsity.config.schema import Config


def train(
    *,
    config: Path | None = None,
    variation: str | None = None,
    run_dir: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=1, negative=())] = (),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train a policy on a local Ray.

    Parameters
    ----------
    config
        A study in YAML; the default study without one.
    variation
        One of the study's variations; without --config, A or B of the triage study.
    run_dir
        A new directory for everything that the run writes, or a URI such as s3://bucket/runs/first; runs/ and the time
        (UTC) by default.
    set_
        key=value with any dotted key of the configuration and a YAML value, as in training.lr=1e-3.
    dry_run
        Print the resolved configuration and the resources it asks for, and start nothing.
    """
    use_one_thread()
    from rllib_psparsity.config.load import load_config, resolved_json
    from rllib_psparsity.problems.distribution import ProblemDistribution

    resolved = load_config(config, variation, set_)
    ProblemDistribution(resolved.problems, resolved.seed)  # refuses families, ranges and files that cannot be
    if resolved.training.start_from is not None:
        from rllib_psparsity.training.starting_weights import starting_weights

        starting_weights(resolved)  # refuses what cannot be loaded, and another network
    directory = run_dir or f"runs/{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if not is_uri(directory):
        require_free(
            Path(directory),
            f"already holds a run; go on with it by psparsity resume {shlex.quote(directory)}, or name another "
            "--run-dir",
        )
    if dry_run:
        print(resolved_json(resolved))
        print(_resources(resolved))
        return 0
    require_training_extra("train")
    if is_uri(directory):
        from rllib_psparsity.training.remote_run import train as run_remotely

        return run_remotely(resolved, directory)
    from rllib_psparsity.training.run import train as run

    return run(resolved, Path(directory))


def _resources(config: Config) -> str:
    runners, learners = config.env_runners.count, config.learner.count
    gpus = config.learner.gpus * max(learners, 1)
    return (
        f"resources: {runners + learners + 1} CPUs (driver 1, env runners {runners}, learners {learners}), "
        f"{gpus:g} GPUs"
    )

"""`psparsity tune`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import refuse_uri, require_free, require_training_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rllib_psparsity.config.schema import Config
    from rllib_psparsity.sweep.definition import Sweep
    from rllib_psparsity.sweep.plan import TrialPlan


def tune(
    file: Path,
    /,
    *,
    run_dir: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    address: str | None = None,
) -> int:
    """Train the settings and seeds of a sweep, side by side where there are processors, and rank the settings.

    Parameters
    ----------
    file
        A sweep in YAML, or the name of a shipped one such as learning_rate.
    run_dir
        A new directory for everything that the sweep writes, which all nodes see; runs/sweeps/NAME by default.
    resume
        Go on with the sweep in that directory, after Ctrl-C, a crash or a kill.
    dry_run
        Print the trials and the processors that they ask for, and start nothing.
    address
        A Ray cluster to run on, such as auto; without it a local Ray, or the one that RAY_ADDRESS names.
    """
    path, sweep, base, trials = checked_sweep(file)
    if run_dir is not None:
        refuse_uri(run_dir)
    directory = Path(run_dir or f"runs/sweeps/{path.stem}")
    if not resume:
        require_free(
            directory,
            f"already holds a sweep; go on with it by psparsity tune {file} --run-dir {directory} --resume, "
            "or name another --run-dir",
        )
    if dry_run:
        _print_plan(sweep, base, trials)
        return 0
    require_training_extra("tune")
    from rllib_psparsity.sweep.run import run_sweep

    return run_sweep(sweep, base, file, directory, resume=resume, address=address)


def checked_sweep(file: Path) -> tuple[Path, Sweep, Config, Sequence[TrialPlan]]:
    """The YAML that a file or a shipped sweep's name stands for, and what it says; `InputError` if it cannot be."""
    from rllib_psparsity.sweep.definition import load_sweep, shipped_sweep
    from rllib_psparsity.sweep.plan import planned_trials, refuse_impossible

    path = shipped_sweep(str(file)) if not file.suffix and not file.exists() else file
    sweep, base = load_sweep(path)
    trials = planned_trials(sweep)
    refuse_impossible(base, trials)
    return path, sweep, base, trials


def _print_plan(sweep: Sweep, base: Config, trials: Sequence[TrialPlan]) -> None:
    from rllib_psparsity.sweep.plan import bundles, configurations, number_of_trials, resources_text

    print(f"{sweep.about}\nranked by {sweep.metric}, scheduler {sweep.scheduler.name}, search {sweep.search.name}")
    for plan in trials:
        config = plan.config(base)
        values = ", ".join(f"{key}={value}" for key, value in plan.values.items())
        print(f"{plan.name}: {config.training.iterations} iterations, {resources_text(bundles(config))}: {values}")
    total = number_of_trials(sweep)
    if not trials:
        print(f"Optuna suggests {total // len(sweep.seeds)} settings one by one, each for seeds {list(sweep.seeds)}")
    kinds = Counter(resources_text(bundles(config)) for config in configurations(sweep, base, trials))
    if len(kinds) == 1 or not trials:
        print(f"{total} trials of {' or '.join(kinds)} each")
    else:
        print(", ".join(f"{count} trials of {kind} each" for kind, count in kinds.items()))

"""Train a policy that ships with the package from nothing: its behaviour clone, and training by reward from there.

    python -m studies.ship --variation few_solves [--out runs/shipped/few_solves]

Two steps, as `studies/shipped.yaml` has them: `studies.clone`, and a `psparsity train` that starts from it. The same
command goes on where an earlier one was interrupted: lessons and a clone that are there are kept, and training is
resumed from its newest checkpoint. The trained policy is in OUT/run/policy, for `learned_solver` and `psparsity
evaluate`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rllib_psparsity.config.load import load_config
from rllib_psparsity.errors import InputError
from studies import clone
from studies.run import train_or_resume


def ship(variation: str, seed: int, out: Path, settings: Sequence[str] = (), clone_options: Sequence[str] = ()) -> int:
    """Do what is left of the two steps; the exit code of the training.

    `settings` are further ``--set`` of the training, `clone_options` further ones of `studies.clone`.
    """
    start, run_dir = out / "clone", out / "run"
    sets = [f"training.start_from={start}", f"seed={seed}", *settings]
    words = ["--config", str(clone.STUDY), "--variation", variation]
    words += [word for setting in sets for word in ("--set", setting)]
    load_config(clone.STUDY, variation, sets)  # before the lessons, which take minutes
    if start.is_dir():
        print(f"{start} is there already", flush=True)
    else:
        clone.main(["--variation", variation, "--seed", str(seed), "--out", str(start), *clone_options])
    print(shlex.join(["psparsity", "train", *words]), flush=True)
    return train_or_resume(words, run_dir)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variation", default="few_solves", help="of studies/shipped.yaml")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="runs/shipped/VARIATION without it")
    options = parser.parse_args(arguments)
    try:
        return ship(options.variation, options.seed, options.out or Path("runs") / "shipped" / options.variation)
    except InputError as error:
        print(f"studies.ship: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Options that commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cyclopts import CoercionError, Parameter, Token, convert

from rllib_psparsity.errors import InputError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use_one_thread() -> None:
    """One thread for every method and process, unless the user's environment says otherwise; call it before NumPy is
    imported, which reads this then."""
    for variable in THREADS:
        os.environ.setdefault(variable, "1")


def _whole_numbers(type_: Any, tokens: Sequence[Token]) -> Any:
    for token in tokens:
        if not re.fullmatch(r"[+-]?[0-9]+", token.value):
            raise CoercionError(msg=f"{token.keyword} is {token.value!r}, expected a whole number such as 3; mend it")
    return convert(type_, tokens)


WHOLE = Parameter(converter=_whole_numbers)
"""Of options of integers: cyclopts would round 2.5."""


def require_training_extra(command: str) -> None:
    """Refuse a command that needs Ray where only the solver is installed."""
    if find_spec("ray") is None:
        raise InputError(
            f"psparsity {command} needs Ray, which is not installed; run pip install 'rllib_psparsity[train]'"
        )


def is_uri(location: str) -> bool:
    """Whether a run directory lies in storage such as s3://bucket/runs/first."""
    return "://" in location


def refuse_uri(run_dir: str) -> None:
    """Refuse storage where a sweep writes: all nodes work in its directory at the same time."""
    if is_uri(run_dir):
        raise InputError(
            f"--run-dir {run_dir} is a URI, but a sweep needs a directory that all nodes see; name one on a file "
            "system that they share, such as /shared/sweeps/first"
        )


def require_run_dir(run_dir: Path) -> None:
    """Refuse a path that is not the directory of a run."""
    if not run_dir.is_dir():
        raise InputError(f"{run_dir} is not a directory; name the run directory of a psparsity train")
    if not (run_dir / "config.json").is_file():
        raise InputError(f"{run_dir} holds no config.json, so it is not a run directory; name one that train made")


def require_free(directory: Path, cure: str) -> None:
    """Refuse to write into anything that holds something already; `cure` says what to do instead."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; name a directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise InputError(f"{directory} {cure}")


def require_matplotlib() -> None:
    """Refuse a picture where nothing can draw it."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "--plot needs matplotlib, which is not installed; run pip install matplotlib, or leave --plot out"
        )


def require_new_file(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Refuse a file that is there already, or cannot be written to, or whose suffix names no format."""
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"{option} {path} has the suffix {path.suffix!r}, expected one of {', '.join(suffixes)}; name another file"
        )
    if path.exists():
        raise InputError(f"{option} {path} is there already, and nothing is overwritten; name another file")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path} is in a directory that is not there; make {path.parent} first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{option} {path} is in a directory that cannot be written to; name another one")

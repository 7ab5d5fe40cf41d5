"""Checkpoints that are whole or not there, and that are known to be whole before they are used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from rllib_psparsity.errors import InputError

MANIFEST = "manifest.json"
PREFIX = "iteration_"
PARTIAL = ".partial"


def checkpoints_in(directory: Path) -> list[Path]:
    """The checkpoints of a `checkpoints/` directory, oldest first; half-written ones are not among them."""
    return sorted(path for path in directory.glob(f"{PREFIX}*") if path.is_dir() and path.suffix != PARTIAL)


def save_checkpoint(algorithm: Any, directory: Path, iteration: int, keep: int) -> Path:
    """Write ``iteration_N`` and then drop all but the `keep` newest.

    The state is written beside its place with a manifest of checksums, and renamed: a process that is killed at any
    time leaves the checkpoints before it as they were.
    """
    target = directory / f"{PREFIX}{iteration:06d}"
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    algorithm.save_to_path((partial / "algorithm").resolve())  # RLlib takes a relative path for a URI
    files = {str(path.relative_to(partial)): _checksum(path) for path in sorted(partial.rglob("*")) if path.is_file()}
    (partial / MANIFEST).write_text(json.dumps({"iteration": iteration, "sha256": files}, indent=1))
    if target.exists():  # a resumed run has come by here again
        shutil.rmtree(target)
    os.replace(partial, target)
    for old in checkpoints_in(directory)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def check_checkpoint(path: Path) -> int:
    """The iteration of a checkpoint whose files are all there and unchanged; otherwise `InputError`."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        iteration, files = int(manifest["iteration"]), dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a whole checkpoint (its {MANIFEST} is missing or unreadable); name another one"
        ) from error
    for name, checksum in files.items():
        if not (path / name).is_file() or _checksum(path / name) != checksum:
            raise InputError(f"{path} is damaged: {name} is missing or differs from its checksum; name another one")
    return iteration


def newest_checkpoint(run_dir: Path) -> tuple[Path, int, list[str]]:
    """The newest whole checkpoint of a run, its iteration, and a sentence for every newer one that is damaged."""
    candidates = checkpoints_in(run_dir / "checkpoints")
    remarks: list[str] = []
    for path in reversed(candidates):
        try:
            return path, check_checkpoint(path), remarks
        except InputError as error:
            remarks.append(str(error))
    if remarks:
        raise InputError(f"no checkpoint of {run_dir} can be used: {remarks[0]}")
    raise InputError(f"{run_dir} holds no checkpoint to resume from; start over with psparsity train")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

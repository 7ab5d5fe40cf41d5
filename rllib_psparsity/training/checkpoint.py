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
    time leaves the checkpoints before it as they were, and so does an error (`OSError` where the storage fails), which
    also leaves nothing half-written.
    """
    target = directory / f"{PREFIX}{iteration:06d}"
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        algorithm.save_to_path((partial / "algorithm").resolve())  # RLlib takes a relative path for a URI
        paths = [path for path in sorted(partial.rglob("*")) if path.is_file()]
        files = {str(path.relative_to(partial)): _checksum(path) for path in paths}
        (partial / MANIFEST).write_text(json.dumps({"iteration": iteration, "sha256": files}, indent=1))
        for path in (*paths, partial / MANIFEST):
            _bring_to_the_disk(path)
        if target.exists():  # damaged, and a resumed run has come by here again
            shutil.rmtree(target)
        os.replace(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    # Those of later iterations are damaged, or the run would have been resumed from them: they do not count as kept.
    for old in [path for path in checkpoints_in(directory) if path.name <= target.name][:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def restore_checkpoint(algorithm: Any, path: Path) -> None:
    """Let the algorithm go on from a checkpoint, which was checked before; `InputError` if it does not fit."""
    try:
        algorithm.restore_from_path(str((path / "algorithm").resolve()))
    except InputError as error:
        raise InputError(f"{path} cannot be resumed: {error}") from error
    except (AttributeError, ImportError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"{path} cannot be resumed ({reason}): its files are whole, so most likely another version of "
            "rllib_psparsity wrote it; resume it with that version, or start over with psparsity train"
        ) from error


def check_checkpoint(path: Path) -> int:
    """The iteration of a checkpoint whose files are all there and unchanged; otherwise `InputError`."""
    try:
        return _check(path)
    except _Damaged as damage:
        raise InputError(f"{damage}; name another one") from damage


class _Damaged(Exception):
    """What is wrong with a checkpoint."""


def _check(path: Path) -> int:
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        iteration, files = int(manifest["iteration"]), dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Damaged(f"{path} is not a whole checkpoint (its {MANIFEST} is missing or unreadable)") from error
    for name, checksum in files.items():
        if not (path / name).is_file() or _checksum(path / name) != checksum:
            raise _Damaged(f"{path} is damaged: {name} is missing or differs from its checksum")
    return iteration


def newest_checkpoint(run_dir: Path) -> tuple[Path, int, list[str]]:
    """The newest whole checkpoint of a run, its iteration, and what is wrong with every newer one."""
    candidates = checkpoints_in(run_dir / "checkpoints")
    remarks: list[str] = []
    for path in reversed(candidates):
        try:
            return path, _check(path), remarks
        except _Damaged as damage:
            remarks.append(str(damage))
    if remarks:
        raise InputError(f"no checkpoint of {run_dir} can be used: {remarks[0]}; start over with psparsity train")
    raise InputError(f"{run_dir} holds no checkpoint to resume from; start over with psparsity train")


def _bring_to_the_disk(path: Path) -> None:
    """Some storage says only here that it is full."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A `psparsity` command that is to run on a cluster: checked here, before anything is uploaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from rllib_psparsity.cli.options import is_uri, refuse_uri
from rllib_psparsity.errors import InputError

if TYPE_CHECKING:
    from rllib_psparsity.config.schema import Config

REMOTE = ("train", "tune", "resume")
FOLDER = "submitted"
"""Of the job's working directory, for files from outside of the working directory that goes with it."""


@dataclass(frozen=True, slots=True)
class RemoteCommand:
    """What the job runs.

    Attributes
    ----------
    arguments : of `psparsity`, with the files' names in the job's working directory
    files : the files that it reads, by these names
    """

    arguments: tuple[str, ...]
    files: dict[str, Path]


def check_command(tokens: Sequence[str], working_dir: Path | None) -> RemoteCommand:
    """Refuse what would fail on the cluster and can be known here; `InputError`.

    Options are parsed as by `psparsity` itself, configuration files and ``--set`` are resolved, and directories must be
    such that the job finds them again.
    """
    from rllib_psparsity.cli.app import app

    if not tokens or tokens[0] not in REMOTE:
        given = f"{tokens[0]} cannot be submitted" if tokens else "there is nothing to submit"
        raise InputError(f"{given}; write one of {', '.join(REMOTE)} and its options after --")
    command, bound, *_ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    arguments = bound.arguments
    name = tokens[0]
    if command.__name__ != name:  # --help and --version
        raise InputError(f"{' '.join(tokens)} starts nothing; run it here, by psparsity {' '.join(tokens)}")
    read, configs = _what_it_reads(name, arguments)
    _check_directory(name, arguments)
    names = _names_in_job(read, working_dir)
    files = {names[path]: path for path in read} | _policy_files(configs, working_dir)
    return RemoteCommand(tuple(_renamed(token, names) for token in tokens), files)


def _what_it_reads(name: str, arguments: dict[str, Any]) -> tuple[list[Path], list[Config]]:
    """Files on this machine that the command reads, of which the first is the one it names, and what it is to train."""
    from rllib_psparsity.config.load import load_config

    if name == "train":
        file = arguments.get("config")
        config = load_config(file, arguments.get("variation"), arguments.get("set_", ()))
        return [] if file is None else [file], [config]
    if name == "tune":
        return _what_a_sweep_reads(arguments["file"])
    from rllib_psparsity.training.run import refuse_changes

    overrides = arguments.get("set_", ())
    refuse_changes(overrides)
    load_config(overrides=overrides)
    return [], []  # its configuration and weights are in its run directory


def _what_a_sweep_reads(file: Path) -> tuple[list[Path], list[Config]]:
    """A sweep and the study that it builds on; of these none for the name of a shipped sweep or study, nor for an
    absolute path in the sweep, which is one on storage that the cluster sees."""
    from rllib_psparsity.cli.tune import checked_sweep
    from rllib_psparsity.sweep.plan import configurations

    path, sweep, base, trials = checked_sweep(file)
    study = sweep.base.study
    beside = study.endswith(".yaml") and not PurePath(study).is_absolute()
    files = [file, *([file.parent / study] if beside else [])] if path == file else []
    return files, configurations(sweep, base, trials)


def _policy_files(configs: Iterable[Config], working_dir: Path | None) -> dict[str, Path]:
    """Those of the exported policies that a training starts from, under the names that its configuration has.

    An absolute path is one on storage that the cluster sees, and what lies in `working_dir` alone goes with it.
    """
    from rllib_psparsity.deploy.artifact import MANIFEST, WEIGHTS, shipped_policies
    from rllib_psparsity.training.starting_weights import starting_weights

    files: dict[str, Path] = {}
    for config in configs:
        start = config.training.start_from
        if start is None or start in shipped_policies() or Path(start).is_absolute():
            continue
        if working_dir is not None and (working_dir / start).is_dir() and not Path(start).is_dir():
            continue
        starting_weights(config)  # refuses what cannot be loaded, and another network
        place = PurePath(os.path.normpath(start))
        if ".." in place.parts:
            raise InputError(
                f"training.start_from {start} leads out of this directory, where the job has nothing; submit from a "
                "directory above it, or name an absolute path on storage that the cluster sees"
            )
        files |= {(place / name).as_posix(): Path(start) / name for name in (MANIFEST, WEIGHTS)}
    return files


def _check_directory(name: str, arguments: dict[str, Any]) -> None:
    """The job's own working directory goes when the job is over."""
    directory = arguments.get("run_dir")
    option = "the run directory" if name == "resume" else "--run-dir"
    example = "name one on storage that the cluster sees, such as /shared/runs/first"
    if name != "tune":
        example += " or s3://bucket/runs/first"
    if directory is None:
        raise InputError(f"{name} on a cluster needs {option}; {example}")
    if name == "tune":
        refuse_uri(directory)
    if not is_uri(directory) and not PurePosixPath(directory).is_absolute():
        raise InputError(
            f"{option} {directory} is relative, and would be lost with the job's temporary directory; {example}"
        )


def _names_in_job(paths: Sequence[Path], working_dir: Path | None) -> dict[Path, str]:
    """Names that keep the files where they are to each other, since one names the other by a relative path.

    They are those of `working_dir`, if all files are in it, or else begin below the directory that has them all.
    """
    if not paths:
        return {}
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    if working_dir is not None:
        root = Path(os.path.abspath(working_dir))
        if all(path.is_relative_to(root) for path in absolute.values()):
            return {path: place.relative_to(root).as_posix() for path, place in absolute.items()}
    root = os.path.commonpath([place.parent for place in absolute.values()])
    return {path: f"{FOLDER}/{place.relative_to(root).as_posix()}" for path, place in absolute.items()}


def _renamed(token: str, names: dict[Path, str]) -> str:
    """A file's name in the job, also where it stands behind an option and an equals sign."""
    option, equals, value = token.partition("=") if token.startswith("--") else ("", "", token)
    return f"{option}{equals}{names.get(Path(value), value)}" if value else token

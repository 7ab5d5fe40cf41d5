"""A `psparsity` command that is to run on a cluster: checked here, before anything is uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rllib_psparsity.errors import InputError

REMOTE = ("train", "tune", "resume")
FOLDER = "submitted"
"""Of the job's working directory, for files from outside of the working directory that goes with it."""


@dataclass(frozen=True, slots=True)
class RemoteCommand:
    """What the job runs.

    Attributes
    ----------
    arguments : of `psparsity`, with the files' names in the job's working directory
    files : the files that it names, by these names
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
    named = _files_of(name, arguments)
    _check_directory(name, arguments)
    names = {path: _name_in_job(path, working_dir) for path in named}
    return RemoteCommand(tuple(_renamed(token, names) for token in tokens), {names[path]: path for path in named})


def _files_of(name: str, arguments: dict[str, Any]) -> list[Path]:
    """Files on this machine that the command reads, of which the first is the one it names."""
    if name == "train":
        from rllib_psparsity.config.load import load_config

        file = arguments.get("config")
        load_config(file, arguments.get("variation"), arguments.get("set_", ()))
        return [] if file is None else [file]
    if name == "tune":
        return _sweep_files(arguments["file"])
    from rllib_psparsity.config.load import load_config
    from rllib_psparsity.training.run import refuse_changes

    overrides = arguments.get("set_", ())
    refuse_changes(overrides)
    load_config(overrides=overrides)
    return []


def _sweep_files(file: Path) -> list[Path]:
    """A sweep, and the study beside it that it may build on; none for the name of a shipped sweep."""
    from rllib_psparsity.cli.tune import checked_sweep

    path, sweep, *_ = checked_sweep(file)
    if path != file:
        return []
    study = sweep.base.study
    return [file, file.parent / study] if study.endswith(".yaml") else [file]


def _check_directory(name: str, arguments: dict[str, Any]) -> None:
    """The job's own working directory goes when the job is over."""
    directory = arguments.get("run_dir")
    option = "the run directory" if name == "resume" else "--run-dir"
    example = "name one on storage that the cluster sees, such as /shared/runs/first"
    if name != "tune":
        example += " or s3://bucket/runs/first"
    if directory is None:
        raise InputError(f"{name} on a cluster needs {option}; {example}")
    if "://" not in str(directory) and not PurePosixPath(directory).is_absolute():
        raise InputError(
            f"{option} {directory} is relative, and would be lost with the job's temporary directory; {example}"
        )


def _name_in_job(path: Path, working_dir: Path | None) -> str:
    if working_dir is not None and path.resolve().is_relative_to(working_dir.resolve()):
        return path.resolve().relative_to(working_dir.resolve()).as_posix()
    return f"{FOLDER}/{path.name}"


def _renamed(token: str, names: dict[Path, str]) -> str:
    """A file's name in the job, also where it stands behind an option and an equals sign."""
    option, equals, value = token.partition("=") if token.startswith("--") else ("", "", token)
    return f"{option}{equals}{names.get(Path(value), value)}" if value else token

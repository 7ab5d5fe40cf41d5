"""`psparsity submit`."""

from __future__ import annotations

import secrets
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rllib_psparsity.cli.options import require_training_extra
from rllib_psparsity.errors import InputError

if TYPE_CHECKING:
    from rllib_psparsity.submission.job_server import JobServer

FAILED, INTERRUPTED = 1, 130
SECONDS_TO_STOP = 120
"""How long a job that is stopped has to finish its iteration and save it, before it is killed; Ray gives it 3."""


def submit(
    *command: str,
    address: str,
    no_wait: Annotated[bool, Parameter(negative=())] = False,
    working_dir: Path | None = None,
    installed: Annotated[bool, Parameter(negative=())] = False,
    status: str | None = None,
    stop: str | None = None,
    logs: str | None = None,
) -> int:
    """Run train, tune or resume on a Ray cluster, and follow its log; its exit code becomes this one's.

    Parameters
    ----------
    command
        train, tune or resume with their options, after --; files that they name travel along.
    address
        URL of the cluster's dashboard, such as http://127.0.0.1:8265.
    no_wait
        Print the job's id and leave it; with --logs, print what there is; with --stop, do not wait for the end.
    working_dir
        A directory to upload and to run in, less what its .gitignore and .rayignore name. A package rllib_psparsity in
        it is the one that runs.
    installed
        Run the package that is installed on the cluster, instead of uploading this one.
    status
        Say how the job with this id is.
    stop
        Stop the job with this id; it saves a checkpoint first.
    logs
        Follow the log of the job with this id.
    """
    asked = [name for name, value in (("--status", status), ("--stop", stop), ("--logs", logs)) if value is not None]
    if len(asked) + bool(command) != 1:
        given = " and ".join([*asked, *(["a command"] if command else [])]) or "neither"
        raise InputError(
            f"submit takes a command after --, or one of --status, --stop and --logs, but {given} was given; give one"
        )
    require_training_extra("submit")
    from rllib_psparsity.submission.job_server import JobServer

    if command:
        return _submit(command, address, working_dir, installed, no_wait)
    server = JobServer(address)
    if status is not None:
        print(_state(server, status))
        return 0
    if stop is not None:
        return _stop(server, stop, no_wait)
    assert logs is not None
    if no_wait:
        print(server.logs(logs), end="")
        return 0
    server.details(logs)  # an id that is unknown is found out before anything is tried again
    return _follow(server, logs)


def _submit(command: tuple[str, ...], address: str, working_dir: Path | None, installed: bool, no_wait: bool) -> int:
    from rllib_psparsity.cli.remote_command import check_command
    from rllib_psparsity.submission.job_server import JobServer
    from rllib_psparsity.submission.package import copy_package, write_working_dir

    checked = check_command(command, working_dir)
    server = JobServer(address)
    job_id = f"psparsity-{command[0]}-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "working_dir.zip"
        has_package = write_working_dir(archive, checked.files, working_dir)
        environment: dict[str, Any] = {
            "working_dir": str(archive),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(SECONDS_TO_STOP)},
        }
        if not (installed or has_package):
            environment["py_modules"] = [str(copy_package(Path(directory)))]
        server.submit(shlex.join(["python", "-m", "rllib_psparsity", *checked.arguments]), job_id, environment)
    if no_wait:
        print(job_id)
        return 0
    print(f"psparsity: submitted {job_id}", file=sys.stderr)
    return _follow(server, job_id)


def _follow(server: JobServer, job_id: str) -> int:
    from rllib_psparsity.submission.follow import Lost, exit_code, follow

    ways = "\n".join(
        f"{what}: psparsity submit --address {server.address} --{option} {job_id}"
        for what, option in (("follow it", "logs"), ("stop it", "stop"))
    )
    try:
        details = follow(server, job_id, _write)
    except KeyboardInterrupt:
        print(f"\npsparsity: {job_id} goes on without this terminal\n{ways}", file=sys.stderr)
        return INTERRUPTED
    except Lost as lost:
        print(f"psparsity: {lost}; {job_id} may still run\n{ways}", file=sys.stderr)
        return FAILED
    if details.status != "SUCCEEDED":
        print(f"psparsity: {_state(server, job_id)}", file=sys.stderr)
        if details.status == "FAILED" and details.driver_exit_code is None and details.message:
            print(details.message, file=sys.stderr)
    return exit_code(details)


def _stop(server: JobServer, job_id: str, no_wait: bool) -> int:
    from rllib_psparsity.submission.follow import wait_until_ended

    if server.stop(job_id) and not no_wait:
        wait_until_ended(server, job_id)
    print(_state(server, job_id))
    return 0


def _state(server: JobServer, job_id: str) -> str:
    details = server.details(job_id)
    state = f"{job_id} is {details.status.value}"
    return f"{state} with exit code {details.driver_exit_code}" if details.driver_exit_code else state


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

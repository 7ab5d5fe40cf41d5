"""The log of a job as it grows, and the exit code at its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
from ray.job_submission import JobDetails, JobStatus

from rllib_psparsity.errors import InputError
from rllib_psparsity.submission.job_server import JobServer

ATTEMPTS = 6
"""How often in a row a connection may fail before the following is given up."""
PAUSE_SECONDS = 2.0
POLL_SECONDS = 0.5
STOPPED = 143
"""Exit code of a job that was stopped, as of a process that was sent SIGTERM."""


class Lost(Exception):
    """The cluster cannot be reached any more; what becomes of the job is not known."""


def follow(server: JobServer, job_id: str, write: Callable[[str], object]) -> JobDetails:
    """Write the job's log, from its first line, until it ends; its last state.

    A connection that breaks is made anew, and what was written is not written again.
    """
    written = 0
    failures = 0
    while True:
        before = written
        try:
            details = server.details(job_id)
            written = asyncio.run(_tail(server, job_id, written, write))
            if details.status.is_terminal():
                return details
            failures = 0
            time.sleep(POLL_SECONDS)
        except _Broken as broken:
            written, error = broken.written, broken
        except (OSError, InputError) as caught:  # requests' errors are among the first
            error = caught
        else:
            continue
        failures = 1 if written > before else failures + 1
        if failures == ATTEMPTS:
            raise Lost(f"the connection to {server.address} is lost ({error})") from error
        time.sleep(PAUSE_SECONDS)


def exit_code(details: JobDetails) -> int:
    """Of the command that the job was; 1 where it did not get as far, 143 where it was stopped."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    if details.status == JobStatus.STOPPED:
        return STOPPED
    return details.driver_exit_code or 1


def wait_until_ended(server: JobServer, job_id: str) -> JobDetails:
    while not (details := server.details(job_id)).status.is_terminal():
        time.sleep(POLL_SECONDS)
    return details


class _Broken(Exception):
    def __init__(self, written: int, reason: str) -> None:
        super().__init__(reason)
        self.written = written


async def _tail(server: JobServer, job_id: str, written: int, write: Callable[[str], object]) -> int:
    """Write what comes after the first `written` characters; how many there are in the end."""
    position = 0
    try:
        async for text in server.client.tail_job_logs(job_id):
            end = position + len(text)
            if end > written:
                write(text[max(0, written - position) :])
                written = end
            position = end
    except (aiohttp.ClientError, OSError, RuntimeError) as error:
        raise _Broken(written, " ".join(str(error).split())) from error
    return written

"""The job server of a Ray cluster, with its errors in one sentence each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from rllib_psparsity.errors import InputError

SECONDS_TO_CONNECT, SECONDS_TO_ANSWER, SECONDS_TO_START = 10.0, 60.0, 60.0
NOT_YET = "No available agent"
"""Part of the answer of a head whose agent, which starts jobs, is not up yet."""
OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables by which Ray's client replaces the address that it is given."""
HOW_TO_AUTHENTICATE = "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH=FILE, where FILE holds the cluster's token"


class JobServer:
    """Jobs of the cluster whose dashboard is at a URL.

    Ray's client sends the token of ``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH`` or ``~/.ray/auth_token`` if
    ``RAY_AUTH_MODE`` is ``token``.

    Raises
    ------
    InputError
        Not a URL, nobody answers there, what answers is no Ray dashboard, or it wants another token. Every method
        raises it for an id that the cluster does not know.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked(address)
        for module in ("dashboard_sdk", "job.sdk"):  # they log each upload and each connection that ends
            logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
        _check_token_file()
        try:
            # Ray's client waits without limit; a firewall that drops packets would hold it for minutes.
            requests.get(f"{self.address}/api/version", timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER))
            with _without(OVERRIDING), self._one_sentence():
                self.client = JobSubmissionClient(self.address)
        except (requests.RequestException, ConnectionError) as error:
            raise InputError(
                f"no Ray cluster answers at {self.address} ({_reason(error)}); see that it is up and that the port of "
                "its dashboard is forwarded to this machine, as by ray dashboard or kubectl port-forward"
            ) from error

    def submit(self, entrypoint: str, job_id: str, runtime_env: dict[str, Any]) -> None:
        """Upload what the environment names and start the job; waits a while for a head that has only just started."""
        give_up = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                with self._one_sentence():
                    self.client.submit_job(entrypoint=entrypoint, submission_id=job_id, runtime_env=runtime_env)
                return
            except InputError as error:
                if NOT_YET not in str(error) or time.monotonic() > give_up:
                    raise
            time.sleep(1.0)

    def details(self, job_id: str) -> JobDetails:
        with self._one_sentence(job_id):
            return self.client.get_job_info(job_id)

    def stop(self, job_id: str) -> bool:
        """Ask the job to stop; whether it was running."""
        with self._one_sentence(job_id):
            return self.client.stop_job(job_id)

    def logs(self, job_id: str) -> str:
        """All that the job has written until now."""
        with self._one_sentence(job_id):
            return self.client.get_job_logs(job_id)

    @contextmanager
    def _one_sentence(self, job_id: str | None = None) -> Iterator[None]:
        try:
            yield
        except AuthenticationError as error:
            answer = "wants a token" if "required" in str(error) else "does not accept this token"
            raise InputError(f"the cluster at {self.address} {answer}; {HOW_TO_AUTHENTICATE}") from error
        except RuntimeError as error:
            if job_id is not None and "status code 404" in str(error):
                raise InputError(
                    f"the cluster at {self.address} knows no job {job_id}; ray job list --address {self.address} "
                    "prints those that it knows"
                ) from error
            raise InputError(f"the server at {self.address} refused the request ({_reason(error)})") from error
        except ValueError as error:  # an answer that is no JSON
            raise InputError(
                f"what answers at {self.address} is no Ray dashboard ({_reason(error)}); give its URL, such as "
                "http://127.0.0.1:8265"
            ) from error


def _checked(address: str) -> str:
    example = "give the URL of the cluster's dashboard, such as http://127.0.0.1:8265"
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is none
        valid = False
    if not valid:
        raise InputError(f"--address {address} is not a URL that begins with http:// or https://; {example}")
    return address.rstrip("/")


def _check_token_file() -> None:
    """Ray would end the process for a file that is not there."""
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    wanted = os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and not os.environ.get("RAY_AUTH_TOKEN")
    if wanted and path and not Path(path).is_file():
        raise InputError(f"RAY_AUTH_TOKEN_PATH is {path}, which is not a file; name the file with the cluster's token")


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    held: dict[str, Any] = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)


def _reason(error: BaseException) -> str:
    """The innermost cause, which says most, in one line."""
    cause = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    reason = getattr(cause, "reason", None) or cause
    return " ".join(str(reason).split())[:200].rstrip(".")

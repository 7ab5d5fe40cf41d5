"""A Ray head of its own on this machine, with a job server and a token, on ports that were free."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import rllib_psparsity
from benchmarks.processes import descendants

ROOT = Path(rllib_psparsity.__file__).parents[1]
SECONDS_TO_START = 240.0
STARTS = 3
"""Another process may take a port between its choice and its use."""
PORTS = ("--port", "--dashboard-port", "--dashboard-agent-listen-port", "--ray-client-server-port")
CODE = "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"


class Head:
    """Started when it is made, gone with all its processes after `close`.

    Attributes
    ----------
    address : URL of the dashboard
    ray_address : where drivers join it
    token_file : Path of the token that it wants

    Parameters
    ----------
    token : what is in that file
    """

    def __init__(self, token: str = "a-long-random-text-" * 3) -> None:
        # Not pytest's directory: Ray's sockets need a short path.
        self.directory = Path(tempfile.mkdtemp(prefix="ps-"))
        self.token_file = self.directory / "token"
        self.token_file.write_text(token)
        self.token_file.chmod(0o600)
        self._known: set[int] = set()
        for attempt in range(1, STARTS + 1):
            try:
                self._start()
                return
            except AssertionError:
                self._end()
                if attempt == STARTS:
                    self.close()
                    raise

    def close(self) -> None:
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        ports = free_ports(len(PORTS))
        self.ray_address, self.address = f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        options = [f"{name}={port}" for name, port in zip(PORTS, ports, strict=True)]
        options += ["--num-cpus=2", "--object-store-memory=150000000", "--disable-usage-stats"]
        options += [f"--temp-dir={self.directory}/r"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
        }
        with (self.directory / "head.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CODE, "start", "--head", "--block", *options],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            log_text = (self.directory / "head.log").read_text()
            assert self._process.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.5)

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"{self.address}/api/version", timeout=10.0).close()
        except urllib.error.HTTPError as error:
            return error.code in (401, 403)  # it wants the token, so it is there
        except OSError:
            return False
        return True

    def _end(self) -> None:
        self._known |= descendants(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=30.0)
        for pid in (self._process.pid, *self._known):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]

"""Which episodes were learned from: none missing, none twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from threading import Timer
from typing import Any


class Ledger:
    """Writes down the number of every episode that an algorithm learns from, and those that it drops."""

    def __init__(self, algorithm: Any) -> None:
        self._counts: Counter[int] = Counter()
        self._algorithm = algorithm
        self.dropped = 0
        learn = algorithm._learn

        def noted(episodes: list[Any]) -> Any:
            self._counts.update(int(episode.id_) for episode in episodes)
            self.dropped += len(algorithm.dropped)
            return learn(episodes)

        algorithm._learn = noted

    def figures(self) -> dict[str, int]:
        """Of all episodes that were started: how many are missing, and how many came more than once."""
        started = self._algorithm.episodes_started
        return {
            "episodes": sum(self._counts.values()),
            "dropped": self.dropped,
            "missing": started - len(self._counts) - self.dropped,
            "double": sum(count - 1 for count in self._counts.values()),
        }


def runner_processes(algorithm: Any) -> list[int]:
    """The process ids of the env runners that are well, on whatever (simulated) node of this machine."""
    return algorithm.env_runner_group.foreach_env_runner(_process, local_env_runner=False)


def _process(runner: Any) -> int:
    return os.getpid()


def after(seconds: float, action: Callable[[], Any]) -> Timer:
    """Do something in the midst of the iteration that is started next."""
    timer = Timer(seconds, action)
    timer.start()
    return timer


def kill(pid: int) -> None:
    """As the kernel does when memory is short."""
    os.kill(pid, signal.SIGKILL)

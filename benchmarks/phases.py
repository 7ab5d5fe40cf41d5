"""Seconds by phase, from outside: while a benchmark runs, functions of the package are replaced by timed ones.

The package holds no timers, so what is measured is what users run, up to a microsecond a call.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

PACKAGE = "rllib_psparsity"


class Phases:
    """Exclusive seconds by phase: what an inner phase takes is taken out of the phase around it.

    Parameters
    ----------
    targets : phase -> functions as ``"module:name"`` or ``"module:Class.method"``
    clock : seconds; the CPU time of this thread by default, which neighbours on the machine do not count in
    """

    def __init__(self, targets: Mapping[str, Sequence[str]], clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._targets = targets
        self._clock = clock
        self._inner: list[float] = []

    @contextmanager
    def measuring(self) -> Iterator[Phases]:
        """Time the targets inside the block, and put the package back as it was after it."""
        undo: list[Callable[[], None]] = []
        try:
            for phase, names in self._targets.items():
                for name in names:
                    undo += self._replace(phase, name)
            yield self
        finally:
            for restore in reversed(undo):
                restore()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block of the benchmark's own as a phase."""
        self._inner.append(0.0)
        start = self._clock()
        try:
            yield
        finally:
            elapsed = self._clock() - start
            self.seconds[name] += elapsed - self._inner.pop()
            self.calls[name] += 1
            if self._inner:
                self._inner[-1] += elapsed

    def _replace(self, phase: str, target: str) -> list[Callable[[], None]]:
        module_name, _, path = target.partition(":")
        module = importlib.import_module(module_name)
        *classes, name = path.split(".")
        if classes:
            owner = functools.reduce(getattr, classes, module)
            kept = inspect.getattr_static(owner, name)
            if isinstance(kept, (classmethod, staticmethod)):
                return [_set(owner, name, type(kept)(self._timed(phase, kept.__func__)))]
            return [_set(owner, name, self._timed(phase, kept))]
        kept = getattr(module, name)
        timed = self._timed(phase, kept)
        # `from module import name` binds the function in the importing module too.
        holders = [m for key, m in list(sys.modules.items()) if key.partition(".")[0] == PACKAGE and m is not None]
        return [_set(m, key, timed) for m in holders for key, value in list(vars(m).items()) if value is kept]

    def _timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(phase):
                return function(*args, **kwargs)

        return timed


def _set(owner: Any, name: str, value: Any) -> Callable[[], None]:
    """Set an attribute; the result undoes it, and an inherited attribute is inherited again."""
    kept = vars(owner).get(name)
    inherited = name not in vars(owner)
    setattr(owner, name, value)
    return lambda: delattr(owner, name) if inherited else setattr(owner, name, kept)

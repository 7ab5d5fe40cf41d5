"""Runs whose directory is a URI, such as s3://bucket/runs/first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import StorageLost
from rllib_psparsity.training import run
from rllib_psparsity.training.mirror import Mirror

FAILED = 1


def train(config: Config, uri: str) -> int:
    """As `run.train`, with what it writes mirrored to the URI."""
    mirror = Mirror(uri)
    return _mirrored(mirror, mirror.require_new, lambda: run.train(config, mirror.directory, mirror))


def resume(uri: str, overrides: Sequence[str] = ()) -> int:
    """As `run.resume`, of a run that was mirrored to the URI."""
    mirror = Mirror(uri)

    def check() -> None:
        mirror.fetch()
        mirror.require_writable()

    return _mirrored(mirror, check, lambda: run.resume(mirror.directory, overrides, mirror))


def _mirrored(mirror: Mirror, check: Callable[[], None], work: Callable[[], int]) -> int:
    """Do the work, and bring everything over in the end; the local directory goes only if that worked."""
    try:
        check()
        code = work()
    except StorageLost:  # tried often enough, and the sentence says where the run lies
        raise
    except BaseException:
        _finish(mirror)
        raise
    return code if _finish(mirror) else code or FAILED


def _finish(mirror: Mirror) -> bool:
    try:
        if mirror.has_news:
            mirror.push()
    except OSError as error:
        print(
            f"psparsity: {error}; the run is in {mirror.directory} alone; copy it, or go on with psparsity resume "
            f"{shlex.quote(str(mirror.directory))}"
        )
        return False
    mirror.discard()
    if mirror.has_run:
        print(f"psparsity: what was saved is in {mirror.uri}")
    return True

"""Metrics for TensorBoard, which must never cost a training run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar


class Board:
    """An event file of its own in `directory`; a context manager.

    Written without the thread of tensorboardX's `SummaryWriter`: where the disk is full that thread dies, and the next
    `add_scalar` waits for it for ever. After the first error nothing is written any more, and `failure` says why.

    Parameters
    ----------
    directory : of the run's event files
    first_iteration : the first that will be added; TensorBoard hides what earlier files have from there on
    """

    def __init__(self, directory: Path, first_iteration: int) -> None:
        self.failure: OSError | None = None
        self._directory, self._first = directory, first_iteration
        self._writer: EventsWriter | None = None

    def __enter__(self) -> Board:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            # The name has the time in seconds, which two files may share.
            self._writer = EventsWriter(str(self._directory / "events"), f".{self._first:06d}.{os.getpid()}")
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(step=self._first, wall_time=time.time(), session_log=start))
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._give_up(error)

    def add(self, row: Mapping[str, float]) -> None:
        """The figures of an iteration."""
        if self._writer is None:
            return
        try:
            for name, value in row.items():
                event = Event(step=int(row["iteration"]), wall_time=time.time(), summary=scalar(name, value))
                self._writer.write_event(event)
            self._writer.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure, self._writer = error, None

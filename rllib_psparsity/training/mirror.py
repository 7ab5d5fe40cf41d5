"""A run directory on object storage: the run works in a local one, which is mirrored after every checkpoint.

Object storage renames nothing and promises nothing about half of a directory, so order does it: a file appears under
its name when it is whole, and a checkpoint's manifest of checksums, without which it is none, comes last.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import tempfile
import time
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from rllib_psparsity.errors import InputError
from rllib_psparsity.training.checkpoint import MANIFEST, PARTIAL

CHECKPOINTS = "checkpoints"
PART = ".part"
"""End of the names of files that are not whole yet, here and there."""
ATTEMPTS = 3
PAUSE_SECONDS = 2.0
"""Before the second attempt; twice as long before every further one."""
STORAGE_ERRORS = (OSError, pa.ArrowException)
CREDENTIALS = "see that the address is right, and that this machine reaches it and may read and write there"


class Mirror:
    """Copies of a run directory in storage that pyarrow knows: s3://, gs://, file:// and others.

    Parameters
    ----------
    uri : where the run is kept
    filesystem, path : in place of what pyarrow makes of the URI

    Attributes
    ----------
    directory : Path
        The local directory that the run works in, made anew.

    Raises
    ------
    InputError
        Storage that cannot be reached, or that pyarrow does not know.
    """

    def __init__(
        self,
        uri: str,
        filesystem: fs.FileSystem | None = None,
        path: str | None = None,
    ) -> None:
        self.uri = uri.rstrip("/")
        try:
            if filesystem is None:
                filesystem, path = fs.FileSystem.from_uri(self.uri)
            assert path is not None
            self._files, self._root = filesystem, PurePosixPath(path)
            self._there = self._listing()
        except (*STORAGE_ERRORS, ValueError) as error:
            raise InputError(f"{uri} cannot be read ({_reason(error)}); {CREDENTIALS}") from error
        self._pushed: dict[str, tuple[int, int]] = {}
        self.directory = Path(tempfile.mkdtemp(prefix=f"psparsity-{self._root.name}-"))

    def require_new(self) -> None:
        """Refuse storage that holds anything, or that cannot be written."""
        if self._there:
            raise InputError(
                f"{self.uri} already holds a run; go on with it by psparsity resume {shlex.quote(self.uri)}, or "
                "name another --run-dir"
            )
        self.require_writable()

    def require_writable(self) -> None:
        probe = ".psparsity-probe"
        try:
            self._write(probe, b"")
            self._files.delete_file(self._at(probe))
        except STORAGE_ERRORS as error:
            raise InputError(f"{self.uri} cannot be written ({_reason(error)}); {CREDENTIALS}") from error

    def fetch(self) -> None:
        """Copy the run to the local directory, without checkpoints that are not whole; `InputError` if it is none."""
        if "config.json" not in self._there:
            raise InputError(f"{self.uri} holds no config.json, so it is not a run directory; name one that train made")
        whole = {name.parent for name in map(PurePosixPath, self._there) if name.name == MANIFEST}
        try:
            for name in self._there:
                checkpoint = _checkpoint_of(name)
                if checkpoint is not None and checkpoint not in whole:
                    continue
                target = self.directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._files.open_input_stream(self._at(name)) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                self._pushed[name] = _version(target)
        except STORAGE_ERRORS as error:
            raise InputError(f"{self.uri} cannot be read ({_reason(error)}); {CREDENTIALS}") from error

    def push(self) -> None:
        """Bring the storage up to date; `OSError` if that fails several times. The local directory stays as it is."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._push()
                return
            except STORAGE_ERRORS as error:
                if attempt == ATTEMPTS:
                    raise OSError(f"{self.uri} could not be brought up to date ({_reason(error)})") from error
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))

    @property
    def name(self) -> str:
        """Of the run: the last part of its URI."""
        return self._root.name

    @property
    def node_path(self) -> Path | None:
        """Where a node keeps the run if its URI is a path of that node (file://), which others may see or not."""
        return Path(self._root) if isinstance(self._files, fs.LocalFileSystem) else None

    @property
    def has_news(self) -> bool:
        """Whether anything here is not in the storage."""
        return any(
            self._pushed.get(path.relative_to(self.directory).as_posix()) != _version(path)
            for path in _whole_files(self.directory)
        )

    @property
    def has_run(self) -> bool:
        """Whether this process has found a run in the storage or brought one there."""
        return bool(self._pushed)

    def discard(self) -> None:
        """Delete the local directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _push(self) -> None:
        local = {path.relative_to(self.directory).as_posix(): path for path in _whole_files(self.directory)}
        # Metrics before checkpoints: a run can be resumed from each that is there.
        for name in sorted(local, key=lambda name: (_checkpoint_of(name) is not None, name)):
            if PurePosixPath(name).name != MANIFEST:
                self._bring(name, local[name])
        for name in sorted(name for name in local if PurePosixPath(name).name == MANIFEST):
            if self._pushed.get(name) != _version(local[name]):
                self._check_copies(PurePosixPath(name).parent, json.loads(local[name].read_text())["sha256"])
                self._bring(name, local[name])
        self._drop({checkpoint for name in local if (checkpoint := _checkpoint_of(name)) is not None})

    def _bring(self, name: str, path: Path) -> None:
        version = _version(path)
        if self._pushed.get(name) != version:
            self._write(name, path.read_bytes())
            self._pushed[name] = version

    def _write(self, name: str, data: bytes) -> None:
        target = self._at(name)
        self._files.create_dir(str(PurePosixPath(target).parent), recursive=True)
        with self._files.open_output_stream(target + PART) as stream:
            stream.write(data)
        self._files.move(target + PART, target)

    def _check_copies(self, checkpoint: PurePosixPath, checksums: dict[str, str]) -> None:
        """Read a checkpoint's files back; `OSError` if one of them is not what was written."""
        for name, checksum in checksums.items():
            with self._files.open_input_stream(self._at(str(checkpoint / name))) as stream:
                if hashlib.sha256(stream.read()).hexdigest() != checksum:
                    self._pushed.pop(str(checkpoint / name), None)
                    raise OSError(f"{checkpoint / name} came out of the storage other than it went in")

    def _drop(self, kept: set[PurePosixPath]) -> None:
        """Delete the checkpoints that are here no more, their manifests first."""
        there = {checkpoint for name in self._listing() if (checkpoint := _checkpoint_of(name)) is not None}
        for checkpoint in sorted(there - kept):
            manifest = self._at(str(checkpoint / MANIFEST))
            if self._files.get_file_info(manifest).type == fs.FileType.File:
                self._files.delete_file(manifest)
            self._files.delete_dir(self._at(str(checkpoint)))
            self._pushed = {name: seen for name, seen in self._pushed.items() if _checkpoint_of(name) != checkpoint}

    def _listing(self) -> list[str]:
        """The names of all whole files in the storage."""
        selector = fs.FileSelector(str(self._root), recursive=True, allow_not_found=True)
        found = [info.path for info in self._files.get_file_info(selector) if info.type == fs.FileType.File]
        names = [PurePosixPath(path).relative_to(self._root).as_posix() for path in found]
        return sorted(name for name in names if not name.endswith(PART))

    def _at(self, name: str) -> str:
        return str(self._root / name)


def _whole_files(directory: Path) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file()
        and not path.name.endswith(PART)
        and not any(part.endswith(PARTIAL) for part in path.relative_to(directory).parts)
    ]


def _checkpoint_of(name: str) -> PurePosixPath | None:
    parts = PurePosixPath(name).parts
    return PurePosixPath(*parts[:2]) if len(parts) > 2 and parts[0] == CHECKPOINTS else None


def _version(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")

"""What travels to the cluster: the package, the files that the command names, and a working directory if one is given.

Ray names an upload by its content and keeps it on the nodes. The package is one of its own, so that the kernels that
numba has compiled for it are there for the next job, whatever its files are.
"""

from __future__ import annotations

import logging
import shutil
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ray._private.runtime_env.packaging import _dir_travel

from rllib_psparsity.errors import InputError

PACKAGE = Path(__file__).parents[1]
BESIDE_THE_PACKAGE = ("studies", "tune_configs")
"""Folders of a checkout whose YAML a wheel carries inside the package."""
MOST_BYTES = 100 * 2**20
"""Of an upload; the job server keeps it in the memory of the head node."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_working_dir(target: Path, files: Mapping[str, Path], working_dir: Path | None = None) -> bool:
    """Write the zip file that becomes the working directory of the job; whether a package of ours is in it.

    Parameters
    ----------
    target : Path
        A new file that ends with .zip.
    files : mapping of str to Path
        Files to be there under these relative names.
    working_dir : Path, optional
        A directory to go with them, without what its .gitignore and .rayignore name.

    Raises
    ------
    InputError
        No such directory, or more than `MOST_BYTES`.
    """
    entries = {} if working_dir is None else _entries_of(working_dir)
    entries |= files
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, EPOCH)  # the time of its files is no part of what an upload is
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = stat.S_IMODE(entries[name].stat().st_mode) << 16
            archive.writestr(info, entries[name].read_bytes())
        archive.writestr(zipfile.ZipInfo(".psparsity", EPOCH), "")  # Ray takes no empty archive
    return f"{PACKAGE.name}/__init__.py" in entries


def copy_package(directory: Path) -> Path:
    """Copy the package, as a wheel would have it, into an existing directory; the copy."""
    copy = directory / PACKAGE.name
    for name, path in _package_files():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return copy


def _package_files() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(PACKAGE).as_posix(), path
    for folder in BESIDE_THE_PACKAGE:
        beside = PACKAGE.parent / folder
        if not (PACKAGE / folder).is_dir():
            for path in sorted(beside.rglob("*.yaml")):
                yield f"{folder}/{path.relative_to(beside).as_posix()}", path


def _entries_of(directory: Path) -> dict[str, Path]:
    """Its files by their names in the archive, as Ray would choose them."""
    if not directory.is_dir():
        raise InputError(f"--working-dir {directory} is not a directory; name the one that the job is to run in")
    root = directory.resolve()
    entries: dict[str, Path] = {}
    bytes_in: Counter[str] = Counter()

    def take(path: Path) -> None:
        if not path.is_file():
            return
        name = path.relative_to(root)
        entries[name.as_posix()] = path
        bytes_in[name.parts[0]] += path.stat().st_size
        if bytes_in.total() > MOST_BYTES:
            ((largest, most),) = bytes_in.most_common(1)
            raise InputError(
                f"--working-dir {directory} has more than the {_mebibytes(MOST_BYTES)} that can be uploaded, "
                f"{_mebibytes(most)} and more of it in {largest}; name what the job does not need in "
                f"{directory / '.rayignore'}, and keep data on storage that the cluster sees"
            )

    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.CRITICAL)  # Ray logs the path at which it was interrupted
    _dir_travel(root, [], take, include_gitignore=True, logger=quiet)
    return entries


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"

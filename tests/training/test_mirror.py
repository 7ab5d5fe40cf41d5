"""Run directories in storage: whole checkpoints or none, whatever fails, and nothing lost."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from pyarrow import fs

from rllib_psparsity.cli import main
from rllib_psparsity.errors import InputError
from rllib_psparsity.training import mirror as mirror_module
from rllib_psparsity.training.checkpoint import MANIFEST, check_checkpoint, newest_checkpoint
from rllib_psparsity.training.mirror import Mirror


@pytest.fixture(autouse=True)
def no_pause(monkeypatch, tmp_path):
    monkeypatch.setattr(mirror_module, "PAUSE_SECONDS", 0.0)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(mirror_module.tempfile, "tempdir", str(tmp_path / "tmp"))


def write_checkpoint(run_dir: Path, iteration: int, content: bytes = b"weights") -> Path:
    path = run_dir / "checkpoints" / f"iteration_{iteration:06d}"
    (path / "algorithm").mkdir(parents=True)
    (path / "algorithm" / "state").write_bytes(content)
    checksums = {"algorithm/state": hashlib.sha256(content).hexdigest()}
    (path / MANIFEST).write_text(json.dumps({"iteration": iteration, "sha256": checksums}))
    return path


def write_run(run_dir: Path, *iterations: int) -> None:
    (run_dir / "config.json").write_text("{}")
    (run_dir / "metrics.parquet").write_bytes(bytes(max(iterations)))
    for iteration in iterations:
        write_checkpoint(run_dir, iteration)


class Failing(fs.FileSystemHandler):
    """The storage below it, whose writes and moves can be counted, cut off, and spoilt."""

    def __init__(self, below: fs.FileSystem) -> None:
        self.below = below
        self.left: float = float("inf")
        self.moved: list[str] = []
        self.spoil = ""

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError("the storage does not answer")

    def open_output_stream(self, path, metadata):
        self._count()
        stream = self.below.open_output_stream(path)
        if self.spoil and self.spoil in path:
            stream.write(b"rot")
        return stream

    def move(self, src, dest):
        self._count()
        self.below.move(src, dest)
        self.moved.append(dest)

    def get_type_name(self):
        return "failing"

    def normalize_path(self, path):
        return path

    def get_file_info(self, paths):
        return self.below.get_file_info(paths)

    def get_file_info_selector(self, selector):
        return self.below.get_file_info(selector)

    def create_dir(self, path, recursive):
        self.below.create_dir(path, recursive=recursive)

    def delete_dir(self, path):
        self.below.delete_dir(path)

    def delete_dir_contents(self, path, missing_dir_ok=False):
        self.below.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self):
        raise NotImplementedError

    def delete_file(self, path):
        self.below.delete_file(path)

    def copy_file(self, src, dest):
        self.below.copy_file(src, dest)

    def open_input_stream(self, path):
        return self.below.open_input_stream(path)

    def open_input_file(self, path):
        return self.below.open_input_file(path)

    def open_append_stream(self, path, metadata):
        raise NotImplementedError


def storage(directory: Path) -> Failing:
    directory.mkdir(exist_ok=True)
    return Failing(fs.SubTreeFileSystem(str(directory), fs.LocalFileSystem()))


def mirror_on(handler: Failing) -> Mirror:
    return Mirror("mock://bucket/runs/x", fs.PyFileSystem(handler), "runs/x")


def whole_checkpoints(directory: Path) -> list[int]:
    return sorted(check_checkpoint(manifest.parent) for manifest in directory.rglob(MANIFEST))


def test_a_run_comes_back_as_it_went(tmp_path):
    handler = storage(tmp_path / "bucket")
    there = mirror_on(handler)
    there.require_new()
    write_run(there.directory, 1, 2)
    (there.directory / "checkpoints" / "iteration_000003.partial").mkdir()
    (there.directory / "checkpoints" / "iteration_000003.partial" / "state").write_text("half")
    assert there.has_news and there.name == "x" and there.node_path is None
    there.push()
    assert not there.has_news
    # Metrics come before the checkpoints that need them, and each manifest after what it vouches for.
    names = [name.removeprefix("runs/x/") for name in handler.moved if "probe" not in name]
    assert names[:2] == ["config.json", "metrics.parquet"]
    assert [MANIFEST in name for name in names] == [False] * 4 + [True] * 2

    handler.moved.clear()
    shutil.rmtree(there.directory / "checkpoints" / "iteration_000001")
    write_checkpoint(there.directory, 3)
    there.push()
    assert len(handler.moved) == 2, "what is there is not sent again"
    assert whole_checkpoints(tmp_path / "bucket") == [2, 3]

    with pytest.raises(InputError, match="mock://bucket/runs/x already holds a run; go on with it by psparsity resume"):
        mirror_on(handler).require_new()
    (tmp_path / "bucket" / "runs" / "x" / "checkpoints" / "iteration_000003" / MANIFEST).unlink()
    back = mirror_on(handler)
    back.fetch()
    assert whole_checkpoints(back.directory) == [2] and not back.has_news
    assert not (back.directory / "checkpoints" / "iteration_000003").exists()
    back.discard()
    assert not back.directory.exists()


@pytest.mark.parametrize("left", range(9))
def test_storage_that_fails_at_any_point_holds_whole_checkpoints(tmp_path, left):
    handler = storage(tmp_path / "bucket")
    mirror = mirror_on(handler)
    write_run(mirror.directory, 1)
    mirror.push()
    (mirror.directory / "metrics.parquet").write_bytes(bytes(2))
    write_checkpoint(mirror.directory, 2)
    handler.left = left
    enough = left >= 6  # three files, written and moved
    with nullcontext() if enough else pytest.raises(OSError, match=r"^mock://bucket/runs/x could not be brought up"):
        mirror.push()
    assert whole_checkpoints(tmp_path / "bucket") == ([1, 2] if enough else [1])
    assert whole_checkpoints(mirror.directory) == [1, 2], "the local copy"
    if not enough:
        assert mirror.has_news
        handler.left = float("inf")
        mirror.push()
        assert whole_checkpoints(tmp_path / "bucket") == [1, 2]
    back = mirror_on(handler)
    back.fetch()
    assert newest_checkpoint(back.directory)[1] == 2


def test_a_checkpoint_that_arrived_damaged_is_sent_again_and_never_shown(tmp_path):
    handler = storage(tmp_path / "bucket")
    mirror = mirror_on(handler)
    write_run(mirror.directory, 1)
    handler.spoil = "state"
    with pytest.raises(OSError, match="came out of the storage other than it went in"):
        mirror.push()
    assert list((tmp_path / "bucket").rglob(MANIFEST)) == []
    handler.spoil = ""
    mirror.push()
    assert whole_checkpoints(tmp_path / "bucket") == [1]


def test_refusals(tmp_path, capsys):
    for uri in ("nosuch://bucket/x", "s3://"):
        with pytest.raises(InputError, match=r"cannot be read \(.*; see that the address is right"):
            Mirror(uri)
    handler = storage(tmp_path / "bucket")
    handler.left = 0
    with pytest.raises(InputError, match=r"cannot be written \(.*the storage does not answer.*\)"):
        mirror_on(handler).require_new()
    (tmp_path / "bucket" / "runs" / "x").mkdir(parents=True, exist_ok=True)
    write_run(tmp_path / "bucket" / "runs" / "x", 1)
    handler.left = float("inf")
    with pytest.raises(InputError, match=r"by psparsity resume 'mock://bucket/runs/x\?a=1&b=2', or name another"):
        Mirror("mock://bucket/runs/x?a=1&b=2", fs.PyFileSystem(handler), "runs/x").require_new()
    assert main(["resume", f"file://{tmp_path}/nothing"]) == 2
    assert f"file://{tmp_path}/nothing holds no config.json, so it is not a run directory" in capsys.readouterr().err

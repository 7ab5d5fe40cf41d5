"""docs/examples/extension as pip would install it: its package and its entry points, in a directory on the path."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rllib_psparsity

EXAMPLE = Path(rllib_psparsity.__file__).parents[1] / "docs" / "examples" / "extension"
PACKAGE = "psparsity_example"


def register(site: Path, distribution: str, entry_points: dict[str, dict[str, str]]) -> None:
    """Write the metadata of an installed distribution; `entry_points` are name and target by group."""
    directory = site / f"{distribution.replace('-', '_')}-0.1.0.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n")
    lines = [
        line
        for group, targets in entry_points.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in targets.items()))
    ]
    (directory / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory on the path, for packages; what was imported from it is forgotten at the end."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    yield directory
    for name in [
        name for name, module in sys.modules.items() if str(directory) in str(getattr(module, "__file__", ""))
    ]:
        del sys.modules[name]


@pytest.fixture
def installed(site: Path) -> Path:
    """The site with the example in it."""
    shutil.copytree(EXAMPLE / PACKAGE, site / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    register(site, project["name"], project["entry-points"])
    return site

"""cluster/Dockerfile, and that no file of cluster/ holds a secret."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import tomllib

import pytest

from tests.cluster.files import CLUSTER, ROOT, shellcheck

DOCKERFILE = (CLUSTER / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    if line.strip()
]


def values(instruction: str) -> list[str]:
    return [value for name, value in INSTRUCTIONS if name == instruction]


def test_python_is_one_that_the_project_is_checked_for():
    (base,) = values("FROM")
    version = re.fullmatch(r"python:(3\.\d+)-slim-bookworm", base)
    assert version is not None
    assert version[1] == PROJECT["tool"]["pyright"]["pythonVersion"]
    assert PROJECT["project"]["requires-python"] == f">={version[1]}"


def test_packages_are_those_of_the_constraints():
    (install,) = [value for value in values("RUN") if "pip install" in value]
    assert "--constraint constraints.txt" in install and '".[train]"' in install
    # No version is said a second time, where it could differ.
    assert "==" not in DOCKERFILE and not re.search(r"(ray|torch)[-:]\d", DOCKERFILE)


def test_the_image_runs_without_root_and_with_a_token():
    assert values("USER") == ["1000:1000"]
    last = [name for name, _ in INSTRUCTIONS]
    assert "RUN" not in last[last.index("USER") :]
    assert any("RAY_AUTH_MODE=token" in value for value in values("ENV"))
    assert not values("EXPOSE") and "sudo" not in DOCKERFILE


def test_what_the_image_copies_is_there_and_not_ignored():
    rules = [
        line for line in (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    copied = [word for value in values("COPY") for word in value.split()[:-1] if not word.startswith("--")]
    for source in copied:
        assert (ROOT / source).exists()
        assert [rule for rule in rules if fnmatch.fnmatch(source, rule.lstrip("!"))][-1] == f"!{source}"
    # What pip needs to build the package: hatchling reads these, and packs those without a word where one is missing.
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["only-include"]) <= set(copied)
    assert {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(copied)


def test_commands_are_sound_shell():
    shellcheck("#!/bin/bash\nset -e\n" + "\n".join(values("RUN")) + "\n")


def test_hadolint_finds_nothing():
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    checked = subprocess.run([program, str(CLUSTER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{32,}\b|(password|passwd|secret|api[_-]?key|token)\s*[:=]\s*['\"]?[A-Za-z0-9+/]{12,}",
    re.IGNORECASE,
)


def test_no_file_holds_a_secret():
    assert SECRETS.search("RAY_AUTH_TOKEN=" + "0123456789abcdef" * 4)
    for path in CLUSTER.rglob("*"):
        if path.is_file():
            assert SECRETS.search(path.read_text()) is None, path

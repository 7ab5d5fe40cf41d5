"""The commands of docs/cluster.md: those that one machine can run are run, and the page says so of all others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rllib_psparsity.training.checkpoint import newest_checkpoint
from tests.submission.head import ROOT, Head
from tests.submission.test_submit import PATIENCE_SECONDS, STUDY, missing

PAGE = (ROOT / "docs" / "cluster.md").read_text()
SECTIONS = {
    title: [re.sub(r"\s+#.*", "", line) for line in re.findall(r"^ {4,6}(\S.*)$", text, re.MULTILINE)]
    for title, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE.replace("\\\n", " "), re.MULTILINE)
}
"""The commands below each heading."""


def listed(beginning: str) -> tuple[str, ...]:
    """The programs that the page names in one of its two lists."""
    (text,) = re.findall(rf"^- {beginning}[^:]*:((?:.|\n)*?)[;.]\n", PAGE, re.MULTILINE)
    return tuple(re.findall(r"`(.+?)`", text))


RUN, NOT_RUN = listed("run by the tests"), listed("not run by the tests")
TO_RUN = {
    title: to_run
    for title, commands in SECTIONS.items()
    if (to_run := [command for command in commands if f"{command} ".startswith(tuple(f"{one} " for one in RUN))])
}


def test_every_command_is_run_or_named_as_not_run():
    commands = [command for section in SECTIONS.values() for command in section]
    programs = [
        [one for one in (*RUN, *NOT_RUN) if f"{command} ".startswith(f"{one} ")] or command for command in commands
    ]
    assert all(len(program) == 1 for program in programs), programs
    assert {program for (program,) in programs} == {*RUN, *NOT_RUN}
    assert list(TO_RUN) == ["Kubernetes", "AWS and Google Cloud", "Machines of your own"]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Head]]:
    """A directory with the user's files, and a head that wants the token which is made by the page's command."""
    if missing:
        pytest.skip(f"Ray's job server needs {', '.join(missing)}")
    directory = tmp_path_factory.mktemp("user")
    (directory / "tiny.yaml").write_text(STUDY)
    (make_token,) = [line for lines in TO_RUN.values() for line in lines if line.startswith("ray get-auth-token")]
    done = bash(make_token, directory)
    made = directory / ".ray" / "auth_token"
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert len(made.read_text()) >= 32 and made.stat().st_mode & 0o077 == 0
    for copy in (directory / "token", directory / "shared" / "psparsity" / ".auth_token"):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(made.read_text())
    head = Head(made.read_text())
    yield directory, head
    head.close()


def bash(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(directory)}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "COLUMNS": "300"}
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("title", TO_RUN)
def test_the_commands(user: tuple[Path, Head], title: str):
    """As written, but for the head's address, directories below the test's, and a small training.

    The jobs differ in their directory alone: one of them trains, and the others say what they would do.
    """
    directory, head = user
    trains = title == next(iter(TO_RUN))
    small = f"--set env_runners.count=1 --config tiny.yaml {'' if trains else '--dry-run'}"
    script = "\n".join(TO_RUN[title])
    for words, real in (
        ("http://127.0.0.1:8265", head.address),
        ("psparsity submit", "psparsity submit --installed"),
        ("--set env_runners.count=32", small),
        ("--run-dir /", f"--run-dir {directory}/"),
        ("_PATH=/", f"_PATH={directory}/"),
    ):
        script = script.replace(words, real)
    done = bash(script, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = re.findall(r"--run-dir (\S+)", script)
    if trains:
        assert newest_checkpoint(Path(run_dir))[1:] == (2, [])
    else:
        assert "resources: 2 CPUs" in done.stdout and not Path(run_dir).exists()

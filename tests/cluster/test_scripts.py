"""cluster/*.sh: sound shell, and what they start, seen through stand-ins for srun, scontrol, ray and psparsity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rllib_psparsity.submission.package import write_working_dir
from rllib_psparsity.training.run import RESUMABLE
from tests.cluster.files import CLUSTER, ROOT, shellcheck

STAND_IN = """#!{python}
import json, os, stat, sys
token = os.environ.get("RAY_AUTH_TOKEN_PATH")
seen = {{
    "arguments": sys.argv[1:],
    "address": os.environ.get("RAY_ADDRESS"),
    "mode": os.environ.get("RAY_AUTH_MODE"),
    "token": open(token).read() if token else None,
    "rights": stat.S_IMODE(os.stat(token).st_mode) if token else None,
}}
with open({log!r}, "a") as log:
    print(json.dumps({{os.path.basename(sys.argv[0]): seen}}), file=log)
"""
SCONTROL = "#!/bin/sh\nprintf 'node-a\\nnode-b\\nnode-c\\n'\n"
SRUN = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
RAY = '#!/bin/bash\n"$(dirname "$0")/symmetric-run" "$@"\nwhile [[ $1 != -- ]]; do shift; done; shift\nexec "$@"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with cluster/ and .venv/bin/ whose programs write down how they were called."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    stand_in = STAND_IN.format(python=sys.executable, log=str(tmp_path / "log"))
    contents = {"psparsity": stand_in, "symmetric-run": stand_in, "ray": RAY, "srun": SRUN, "scontrol": SCONTROL}
    for name, content in contents.items():
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    (tmp_path / "cluster").symlink_to(CLUSTER)
    return tmp_path


def run(machine: Path, script: str, *arguments: str, **environment: str) -> tuple[int, list[tuple[str, dict]], str]:
    """Exit code, calls of the stand-ins in order, and standard error."""
    (machine / "log").write_text("")
    path = f"{machine / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(CLUSTER / script), *arguments],
        env={"PATH": path, **environment},
        cwd=machine,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = (machine / "log").read_text().splitlines()
    return done.returncode, [next(iter(json.loads(line).items())) for line in lines], done.stderr


@pytest.mark.parametrize("path", sorted(CLUSTER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_sound(path: Path):
    assert os.access(path, os.X_OK)
    shellcheck(path.read_text())


def slurm(machine: Path, *arguments: str) -> tuple[int, list[tuple[str, dict]], str]:
    return run(
        machine,
        "slurm.sh",
        *arguments,
        SLURM_SUBMIT_DIR=str(machine),
        SLURM_JOB_ID="42",
        SLURM_JOB_NODELIST="node-[a-c]",
        SLURM_JOB_NUM_NODES="3",
        SLURM_CPUS_ON_NODE="8",
        SLURM_GPUS_ON_NODE="1",
    )


def test_slurm_starts_ray_on_all_nodes_and_trains_on_the_first(machine: Path):
    code, calls, errors = slurm(machine, str(machine / "run"), "--set", "training.lr=1e-4")
    assert code == 0, errors
    (ray, started), (psparsity, trained) = calls
    assert (ray, psparsity) == ("symmetric-run", "psparsity")
    options = started["arguments"][: started["arguments"].index("--")]
    assert options == [
        "symmetric-run",
        *("--address", "node-a:6379", "--min-nodes", "3"),
        *("--num-cpus=8", "--num-gpus=1"),
    ]
    assert started["address"] is None and trained["address"] == "node-a:6379"
    run_dir = ["--run-dir", str(machine / "run")]
    # 24 CPUs, less one for the driver and one for its learner; what the user says comes last, so it wins.
    assert trained["arguments"] == ["train", *run_dir, "--set", "env_runners.count=22", "--set", "training.lr=1e-4"]


def test_slurm_gives_every_job_a_token_that_nobody_else_can_read(machine: Path):
    _, ((_, first), _), _ = slurm(machine, "run")
    _, ((_, second), _), _ = slurm(machine, "run-2")
    assert first["mode"] == "token" and first["rights"] == 0o600
    assert len(first["token"]) == 64 and first["token"] != second["token"]
    assert not list(machine.glob(".psparsity-token*"))


def test_tokens_in_a_checkout_are_neither_committed_nor_uploaded(tmp_path: Path):
    assert ".psparsity-token-$SLURM_JOB_ID" in (CLUSTER / "slurm.sh").read_text()
    assert "/.auth_token" in (CLUSTER / "on_premises.yaml").read_text()
    tokens = [".psparsity-token-42", ".auth_token"]
    for file in (".gitignore", ".rayignore"):
        work = tmp_path / file.removeprefix(".")
        work.mkdir()
        (work / file).write_text((ROOT / file).read_text())
        for name in (*tokens, "study.yaml"):
            (work / name).write_text("")
        write_working_dir(tmp_path / f"{work.name}.zip", {}, work)
        names = zipfile.ZipFile(tmp_path / f"{work.name}.zip").namelist()
        assert "study.yaml" in names and not set(tokens) & set(names)
    checkout = tmp_path / "gitignore"
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    asked = ["git", "check-ignore", *tokens, "study.yaml"]
    assert subprocess.run(asked, cwd=checkout, capture_output=True, text=True).stdout.split() == tokens


def test_slurm_refuses_before_it_starts_anything(machine: Path):
    code, calls, errors = slurm(machine)
    assert code == 2 and not calls and "name the run directory" in errors
    (machine / ".venv" / "bin" / "psparsity").unlink()
    code, calls, errors = slurm(machine, "run")
    assert code == 2 and not calls and "scripts/bootstrap" in errors


def test_a_job_that_is_started_again_goes_on(machine: Path):
    run_dir = machine / "run"
    _, ((_, first),), _ = run(machine, "train_or_resume.sh", str(run_dir), "--set", "seed=1")
    assert first["arguments"] == ["train", "--run-dir", str(run_dir), "--set", "seed=1"]

    # Stopped before its first checkpoint: train would refuse the directory, and nothing in it may be lost.
    run_dir.mkdir()
    (run_dir / "config.json").write_text("{}")
    _, ((_, second),), _ = run(machine, "train_or_resume.sh", str(run_dir))
    assert second["arguments"] == ["train", "--run-dir", str(run_dir)]
    (kept,) = machine.glob("run.stopped-*")
    assert (kept / "config.json").read_text() == "{}" and not run_dir.exists()

    (run_dir / "checkpoints" / "000010").mkdir(parents=True)
    _, ((_, third),), _ = run(machine, "train_or_resume.sh", str(run_dir), "--set", "seed=1")
    assert third["arguments"] == ["resume", str(run_dir)]

    # With the runners of the allocation that it has now, or of the user, whose count comes last.
    counts = ["--set", "env_runners.count=22", "--set", "seed=1", "--set=env_runners.count=6"]
    _, ((_, fourth),), _ = run(machine, "train_or_resume.sh", str(run_dir), *counts)
    assert fourth["arguments"] == ["resume", str(run_dir), "--set", "env_runners.count=6"]
    _, (_, (_, fifth)), _ = slurm(machine, str(run_dir))
    assert fifth["arguments"] == ["resume", str(run_dir), "--set", "env_runners.count=22"]
    assert "env_runners.count" in RESUMABLE

    (run_dir / "heldout.parquet").write_text("")
    code, calls, _ = run(machine, "train_or_resume.sh", str(run_dir))
    assert code == 0 and not calls


@pytest.mark.parametrize("arguments", [[], ["--set", "seed=1"], ["s3://bucket/run"]])
def test_a_job_without_a_directory_that_all_nodes_see_is_refused(machine: Path, arguments: list[str]):
    code, calls, errors = run(machine, "train_or_resume.sh", *arguments)
    assert code == 2 and not calls and "shared file system" in errors

"""What `psparsity submit` refuses before it reaches a cluster, and what it would upload."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from rllib_psparsity.cli import main
from rllib_psparsity.cli.remote_command import check_command
from rllib_psparsity.config.load import load_config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.submission import package
from rllib_psparsity.submission.package import copy_package, write_working_dir
from rllib_psparsity.sweep.definition import load_sweep
from tests.submission.head import free_ports

RUN = "--run-dir=/shared/x"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["submit", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("psparsity: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["evaluate"], "evaluate cannot be submitted; write one of train, tune, resume and its options after --"),
        (["train", RUN, "--set", "lr=1"], "unknown key 'lr'; the nearest valid key is 'training.lr'"),
        (["train", RUN, "--config", "none.yaml"], "none.yaml does not exist"),
        (["train", RUN, "--sett", "seed=1"], "Unknown option"),
        (["train"], "train on a cluster needs --run-dir; name one on storage that the cluster sees, such as /shared/"),
        (["train", "--run-dir", "runs/x"], "--run-dir runs/x is relative, and would be lost with the job's temporary"),
        (["resume", "runs/x"], "the run directory runs/x is relative"),
        (["resume", "s3://b/x", "--set", "training.lr=1"], "training.lr cannot change when a run is resumed"),
        (["resume", "/shared/x", "--set", "training.iterations=few"], 'training.iterations is "few", but must be'),
        (["tune", "none.yaml", RUN], "none.yaml does not exist"),
        (["tune", "learning_rate"], "tune on a cluster needs --run-dir"),
        (
            ["tune", "learning_rate", "--run-dir", "s3://b/x"],
            "--run-dir s3://b/x is a URI, but a sweep needs a directory",
        ),
        (["train", RUN, "--set", "training.start_from=mine"], "policy 'mine' is neither a shipped policy (default,"),
        (["train", "--help"], "train --help starts nothing; run it here"),
    ],
)
def test_commands(capsys, command, sentence):
    assert sentence in refusal(capsys, "--address", "http://127.0.0.1:1", "--", *command)


SWEEP = """
about: a test
base: {{study: {study}}}
settings: {{one: {{training.lr: 1e-3}}}}
seeds: [0]
iterations: 1
metric: reward_mean
"""


@pytest.mark.parametrize(
    ("sweep", "study", "working_dir", "names"),
    [
        ("tune_configs/a.yaml", "bases/b.yaml", None, ["submitted/a.yaml", "submitted/bases/b.yaml"]),
        ("a.yaml", "bases/a.yaml", None, ["submitted/a.yaml", "submitted/bases/a.yaml"]),
        ("sweeps/a.yaml", "../b.yaml", None, ["submitted/b.yaml", "submitted/sweeps/a.yaml"]),
        ("sweeps/a.yaml", "../bases/a.yaml", "sweeps", ["submitted/bases/a.yaml", "submitted/sweeps/a.yaml"]),
        ("work/sweeps/a.yaml", "../b.yaml", "work", ["b.yaml", "sweeps/a.yaml"]),
        ("a.yaml", "triage", None, ["submitted/a.yaml"]),
    ],
)
def test_a_sweep_finds_its_study_where_it_is_unpacked(tmp_path, sweep, study, working_dir, names):
    file = tmp_path / sweep
    for path in (file, file.parent / study):
        path.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SWEEP.format(study=study))
    if study.endswith(".yaml"):
        (file.parent / study).write_text("training: {gamma: 0.5}")
    directory = None if working_dir is None else Path(working_dir)
    checked = check_command(["tune", sweep, RUN], directory)
    assert sorted(checked.files) == names

    write_working_dir(tmp_path / "job.zip", checked.files, directory)
    zipfile.ZipFile(tmp_path / "job.zip").extractall(tmp_path / "job")
    loaded, base = load_sweep(tmp_path / "job" / checked.arguments[1])
    assert loaded.about == "a test" and base.training.gamma == (0.5 if study != "triage" else base.training.gamma)


def test_a_shipped_sweep_needs_no_file_and_another_one_its_study_as_it_is(monkeypatch):
    assert check_command(["tune", "learning_rate", RUN], None).files == {}
    monkeypatch.chdir(package.PACKAGE.parent)
    names = check_command(["tune", "tune_configs/learning_rate.yaml", RUN], None).files
    assert set(names) == {"submitted/learning_rate.yaml", "submitted/bases/from_nothing.yaml"}


def test_the_policy_that_a_training_starts_from_goes_along(tmp_path, capsys, monkeypatch):
    policy = load_config(overrides=["policy.width=8", "policy.layers=1"])
    save_policy(untrained_network(policy.policy, 0), policy.environment, tmp_path / "policies" / "mine", "a card")
    start = ["--set", "policy.width=8", "--set", "policy.layers=1", "--set", "training.start_from=policies/mine"]
    checked = check_command(["train", RUN, *start], None)
    assert checked.arguments == ("train", RUN, *start), "where the job looks for it"
    assert sorted(checked.files) == ["policies/mine/policy.json", "policies/mine/policy.safetensors"]
    write_working_dir(tmp_path / "job.zip", checked.files)
    zipfile.ZipFile(tmp_path / "job.zip").extractall(tmp_path / "job")
    monkeypatch.chdir(tmp_path / "job")
    assert main(["train", "--dry-run", *start]) == 0
    capsys.readouterr()

    # A sweep's settings may start from different ones; shipped and absolute ones do not travel.
    monkeypatch.chdir(tmp_path)
    sweep = yaml.safe_load(SWEEP.format(study="triage")) | {
        "set": {"policy.width": 8, "policy.layers": 1},
        "settings": {name: {"training.start_from": place} for name, place in
                     (("here", "./policies/mine"), ("shared", "/shared/mine"), ("nothing", None))},
    }  # fmt: skip
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(sweep))
    checked = check_command(["tune", "a.yaml", RUN], None)
    assert sorted(checked.files) == [
        "policies/mine/policy.json", "policies/mine/policy.safetensors", "submitted/a.yaml",
    ]  # fmt: skip
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    command = ["train", RUN, *start[:-1], "training.start_from=../policies/mine"]
    assert "training.start_from ../policies/mine leads out of this directory" in refusal(
        capsys, "--address", "http://127.0.0.1:1", "--", *command
    )
    # One that is in the working directory alone is there already.
    assert check_command(["train", RUN, *start], tmp_path).files == {}


def test_addresses_and_options(capsys, monkeypatch, tmp_path):
    for address in ("127.0.0.1:8265", "ray://head:10001", "http://", "http://head:port"):
        assert f"--address {address} is not a URL that begins with http://" in refusal(
            capsys, "--address", address, "--status", "x"
        )
    (port,) = free_ports(1)
    sentence = refusal(capsys, "--address", f"http://127.0.0.1:{port}/", "--", "train", RUN)
    assert f"no Ray cluster answers at http://127.0.0.1:{port} (" in sentence and "Connection refused" in sentence
    assert "neither was given; give one" in refusal(capsys, "--address", "http://127.0.0.1:1")
    assert "--status and --stop was given" in refusal(
        capsys, "--address", "http://127.0.0.1:1", "--status", "x", "--stop", "x"
    )
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert f"RAY_AUTH_TOKEN_PATH is {tmp_path}/none, which is not a file" in refusal(
        capsys, "--address", "http://127.0.0.1:1", "--status", "x"
    )


def test_the_package_is_whole_small_and_always_the_same(tmp_path):
    copy = copy_package(tmp_path)
    size = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    assert size < 4 * 2**20 and not list(copy.rglob("__pycache__"))
    for command in (["train", "--variation", "B"], ["tune", "learning_rate"]):
        done = subprocess.run(
            [sys.executable, "-m", "rllib_psparsity", *command, "--dry-run"],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    (tmp_path / "study.yaml").write_text("seed: 1")
    for name in ("one.zip", "two.zip"):
        assert not write_working_dir(tmp_path / name, {"submitted/study.yaml": tmp_path / "study.yaml"})
        (tmp_path / "study.yaml").touch()
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == ["submitted/study.yaml", ".psparsity"]


def test_a_heavy_working_directory_is_refused_with_what_weighs(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "MOST_BYTES", 3 * 2**20)
    work = tmp_path / "work"
    (work / "matrices").mkdir(parents=True)
    (work / "code.py").write_text("pass")
    (work / "matrices" / "a.npz").write_bytes(bytes(4 * 2**20))
    with pytest.raises(InputError, match=r"more than the 3 MiB .*4 MiB and more of it in matrices; name .*\.rayignore"):
        write_working_dir(tmp_path / "a.zip", {}, work)
    (work / ".rayignore").write_text("matrices/\n")
    write_working_dir(tmp_path / "b.zip", {}, work)
    assert "code.py" in zipfile.ZipFile(tmp_path / "b.zip").namelist()
    with pytest.raises(InputError, match="--working-dir none is not a directory"):
        write_working_dir(tmp_path / "c.zip", {}, Path("none"))

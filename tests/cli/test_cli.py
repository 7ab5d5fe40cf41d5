from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import rllib_psparsity
from rllib_psparsity.cli import app as app_module
from rllib_psparsity.cli import main, options
from rllib_psparsity.config.load import from_json, load_config, resolved_json
from rllib_psparsity.errors import InputError

ROOT = Path(rllib_psparsity.__file__).parents[1]


def psparsity(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "rllib_psparsity", *arguments, cwd=cwd)


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def run_dir(parent: Path) -> Path:
    """A directory that looks like that of a run."""
    directory = parent / "run"
    (directory / "checkpoints" / "iteration_1").mkdir(parents=True)
    (directory / "config.json").write_text(resolved_json(load_config()))
    return directory


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence on stderr, without its prefix."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("psparsity: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("psparsity: ").rstrip("\n")


def test_bad_input_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = psparsity("train", "--set", "lr=1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "psparsity: unknown key 'lr'; the nearest valid key is 'training.lr'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_leaves_gets_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "rllib_psparsity", "info"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_broken_pipe_of_another_kind_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError("the socket of a worker")

    monkeypatch.setattr(app_module, "app", broken)
    assert main(["info"]) == 1
    assert "BrokenPipeError: the socket of a worker" in capfd.readouterr().err


def test_dry_run_prints_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from rllib_psparsity.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "assert not {'ray', 'torch', 'gymnasium'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    arguments = ["train", "--dry-run", "--variation", "B", "--set", "training.lr=1e-4", "env_runners.count=4"]
    arguments += ["--set", "learner.gpus=1", "--set", "learner.count=2"]
    done = python("-c", code, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    config, end = json.JSONDecoder().raw_decode(done.stdout)
    assert config["training"]["lr"] == 1e-4
    assert config["problems"]["families"][0]["size"] == [32, 32]
    assert done.stdout[end:].strip() == "resources: 7 CPUs (driver 1, env runners 4, learners 2), 2 GPUs"
    assert list(tmp_path.iterdir()) == []


def test_help_and_version(tmp_path: Path) -> None:
    done = psparsity("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("train", "resume", "export", "diagnose", "info"))
    done = psparsity("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, rllib_psparsity.__version__)


def test_info_without_ray(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from rllib_psparsity.cli import main; sys.exit(main(['info']))"
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "pyamg",
        "anisotropic_diffusion_fd",
        "sa/jacobi/evolution",
        "work_per_digit",
        "gat",
        "training.lambda",
    ):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], 'Unknown command "trian". Did you mean "train"? '),
        (["train", "--foo"], "Unknown option: --foo."),
        (["train", "x"], "Unused Tokens: ['x']."),
        (["resume"], 'Command "resume" parameter RUN_DIR requires an argument.'),
        (["train", "--set"], 'Command "train" parameter --set '),
        (["train", "--set", "--dry-run"], 'Command "train" parameter --set '),
        (["train", "--config"], 'Command "train" parameter --config requires an argument.'),
        (["evaluate", "--repeats", "1.5"], "--repeats is '1.5', expected a whole number such as 3; mend it"),
        (["evaluate", "--seeds", "0", "2.5"], "--seeds is '2.5', expected a whole number such as 3; mend it"),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    assert refusal(capsys, *arguments).startswith(sentence)


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (InputError("it is\nso"), 2, "psparsity: it is so"),
        (KeyboardInterrupt(), 130, "psparsity: interrupted"),
        (RuntimeError("broken"), 1, "RuntimeError: broken"),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    line: str,
) -> None:
    def command(*_: object, **__: object) -> int:
        raise raised

    monkeypatch.setattr(app_module, "app", command)
    assert main(["train"]) == code
    assert capsys.readouterr().err.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("problems.families.0.size=[40, 24]", "the size of 'anisotropic_diffusion_fd' ranges from 40 to 24"),
        ("problems.families.0.family=poison", "there is no problem family 'poison'"),
        ("problems.families.0.family=file:none.mtx", "none.mtx"),
    ],
)
def test_train_checks_the_problems_before_it_starts(
    capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert sentence in refusal(capsys, "train", "--set", override)


def test_train_hands_over_and_returns_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    training = ModuleType("rllib_psparsity.training.run")
    training.train = lambda config, directory: calls.append((config, directory)) or 1  # pyright: ignore
    monkeypatch.setitem(sys.modules, training.__name__, training)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["train", "--run-dir", "empty", "--set", "seed=3"]) == 1
    assert main(["train"]) == 1
    assert calls[0] == (load_config(None, None, ["seed=3"]), Path("empty"))
    assert calls[1][1].parent == Path("runs")


def test_train_refuses_a_directory_that_holds_something(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    directory = run_dir(tmp_path)
    assert refusal(capsys, "train", "--run-dir", str(directory)) == (
        f"{directory} already holds a run; go on with it by psparsity resume {directory}, or name another --run-dir"
    )
    file = directory / "config.json"
    assert refusal(capsys, "train", "--run-dir", str(file)) == f"{file} is a file; name a directory"


def test_train_without_ray(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    assert refusal(capsys, "train", "--run-dir", str(tmp_path / "new")) == (
        "psparsity train needs Ray, which is not installed; run pip install 'rllib_psparsity[train]'"
    )


def test_resume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    calls = []
    training = ModuleType("rllib_psparsity.training.run")
    training.resume = lambda directory, overrides: calls.append((directory, tuple(overrides))) or 0  # pyright: ignore
    monkeypatch.setitem(sys.modules, training.__name__, training)
    directory = run_dir(tmp_path)
    assert main(["resume", str(directory), "--set", "training.iterations=9"]) == 0
    assert main(["resume", "--set", "training.iterations=9", str(directory)]) == 0
    assert calls == [(directory, ("training.iterations=9",))] * 2
    assert refusal(capsys, "resume", str(directory), "--set", "training.iterations=0") == (
        "training.iterations is 0, but must be greater than 0"
    )
    assert len(calls) == 2


def test_resume_refuses_what_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    none = tmp_path / "none"
    sentence = f"{none} is not a directory; name the run directory of a psparsity train"
    assert refusal(capsys, "resume", str(none)) == sentence
    assert refusal(capsys, "diagnose", str(none)) == sentence
    sentence = f"{tmp_path} holds no config.json, so it is not a run directory; name one that train made"
    assert refusal(capsys, "resume", str(tmp_path)) == sentence
    assert refusal(capsys, "diagnose", str(tmp_path)) == sentence
    directory = run_dir(tmp_path)
    (directory / "checkpoints" / "iteration_1").rmdir()
    sentence = f"{directory} holds no checkpoint to resume from; start over with psparsity train"
    assert refusal(capsys, "resume", str(directory)) == sentence
    assert from_json(directory / "config.json") == load_config()


def test_export(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    calls = []
    training = ModuleType("rllib_psparsity.training.export")
    training.export_policy = lambda source, target: calls.append((source, target))  # pyright: ignore
    monkeypatch.setitem(sys.modules, training.__name__, training)
    directory, target = run_dir(tmp_path), tmp_path / "policy"
    assert main(["export", str(directory), str(target)]) == 0
    assert calls == [(directory, target)]
    capsys.readouterr()
    assert refusal(capsys, "export", str(target), str(tmp_path)) == (
        f"{target} is not a directory; name a run directory or one of its checkpoints"
    )
    assert refusal(capsys, "export", str(directory), str(directory)) == (
        f"{directory} is not empty, and export overwrites nothing; name a new directory"
    )


def test_diagnose_prints_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reporting = ModuleType("rllib_psparsity.reporting.diagnose")
    reporting.diagnose = lambda directory: f"report of {directory.name}"  # pyright: ignore
    monkeypatch.setitem(sys.modules, reporting.__name__, reporting)
    assert main(["diagnose", str(run_dir(tmp_path))]) == 0
    assert capsys.readouterr().out == "report of run\n"

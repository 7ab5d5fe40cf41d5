"""Result files say where their figures come from."""

from __future__ import annotations

import json
import subprocess

import pytest

from benchmarks.record import ROOT, arguments_parser, interleave, result_directory, spread, write_result


def test_a_result_names_command_commit_and_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("benchmarks.record.ENVIRONMENT", ("OMP_NUM_THREADS",))
    path = write_result("some", ["--repeats", "2"], {"rate": 3.5}, [{"rate": 3.0}, {"rate": 4.0}], tmp_path)
    content = json.loads(path.read_text())
    assert path == tmp_path / "some.json" and [file.name for file in tmp_path.iterdir()] == ["some.json"]
    assert content["command"] == "OMP_NUM_THREADS=1 python -m benchmarks.some --repeats 2"
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert content["commit"] == head and isinstance(content["dirty"], bool)
    assert content["figures"] == {"rate": 3.5} and [row["rate"] for row in content["repeats"]] == [3.0, 4.0]
    assert content["machine"]["cores"] >= 1 and content["machine"]["memory_gb"] > 0
    assert "numpy" in content["machine"]["packages"] and content["date"].endswith("+00:00")


def test_the_host_is_not_named(tmp_path):
    path = write_result("some", [], {}, [], tmp_path)
    machine = json.loads(path.read_text())["machine"]
    assert set(machine) == {"system", "cpu", "cores", "memory_gb", "load_average", "python", "packages", "environment"}


def test_variants_take_turns_in_going_first():
    order: list[str] = []
    variants = {name: (lambda name=name: order.append(name) or len(order)) for name in "abc"}
    rows = interleave(variants, 3)
    assert "".join(order) == "abcbcacab"
    assert [list(row) for row in rows] == [["a", "b", "c"]] * 3
    assert rows[1] == {"b": 4, "c": 5, "a": 6}


def test_spread():
    assert spread([3.0, 1.0, 10.0]) == {"median": 3.0, "min": 1.0, "max": 10.0}


@pytest.mark.parametrize(
    ("words", "expected"), [([], "results"), (["--quick"], "quick"), (["--quick", "--out", "here"], "here")]
)
def test_quick_results_stay_apart(words, expected):
    assert result_directory(arguments_parser("", 3).parse_args(words)).name == expected

"""`psparsity evaluate` from suite to file, table and pictures, with interruptions and refusals."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
from rich.console import Console

from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.cli import main
from rllib_psparsity.deploy import learned_solver, load_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.evaluate import Evaluation
from rllib_psparsity.evaluation.method import Method
from rllib_psparsity.evaluation.ratios import case_ratios, method_ratios
from rllib_psparsity.evaluation.report import evaluation_table, write_pictures
from rllib_psparsity.evaluation.rows import COLUMNS, read_rows, write_rows
from rllib_psparsity.evaluation.suite import load_suite

ROOT = Path(__file__).parents[2]
POLICY = str(ROOT / "studies" / "results" / "default" / "seed-0" / "policy")
SA, RUGE = PORTFOLIO[6].name, PORTFOLIO[25].name

SUITE = """
about: three small problems
repeats: 2
problems:
  - {family: jump_diffusion, count: 2, size: [12, 12]}
  - {family: elasticity, size: [8, 8]}
"""


@pytest.fixture
def suite_file(tmp_path: Path) -> str:
    file = tmp_path / "small.yaml"
    file.write_text(SUITE)
    return str(file)


def counted(name: str, built: list[tuple[str, str]], fail_at: str = "") -> Method:
    def build(problem):
        built.append((problem.name, name))
        if problem.name == fail_at:
            raise KeyboardInterrupt
        return PYAMG_DEFAULT.build(problem.A, problem.B)

    return Method(name, build)


def test_an_interrupted_evaluation_goes_on_where_it_ended(tmp_path, suite_file):
    out, built = tmp_path / "rows.parquet", []
    suite = load_suite(suite_file)
    first, second, third = (problem.name for problem in suite.problems)
    methods = [counted("a", built, fail_at=second), counted("b", built)]  # b is the first there by seed 3
    with pytest.raises(KeyboardInterrupt):
        Evaluation(suite, methods, (3,), 2, out, {"policy_sha256": "x"}).run()
    rows, metadata = read_rows(out)
    kept = [(row["problem"], row["method"], row["repeats"]) for row in rows]
    assert kept == [(first, "a", 2), (first, "b", 2), (second, "b", 1)]
    assert metadata["settings"]["policy_sha256"] == "x" and len(metadata["calls"]) == 1

    built.clear()
    steps = []
    again = Evaluation(suite, [counted("a", built), counted("b", built)], (3,), 2, out, {"policy_sha256": "x"})
    again.run(lambda name, done, total: steps.append((name, done, total)))
    measured = [problem for problem in built if not problem[0].startswith("warm-up")]
    rounds = [sorted(measured[k : k + 2]) for k in range(0, len(measured), 2)]
    assert rounds == [[(name, "a"), (name, "b")] for name in (second, third) for _ in range(2)]
    assert steps[0] == (second, 5, 12) and steps[-1] == (third, 12, 12)
    rows, metadata = read_rows(out)
    assert [(row["problem"], row["method"]) for row in rows] == [
        (name, method) for name in (first, second, third) for method in "ab"
    ]
    assert all(row["repeats"] == 2 and row["seed"] == 3 and row["converged"] for row in rows)
    assert len(metadata["calls"]) == 2 and set(metadata["calls"][0]) == {"command", "commit"}

    built.clear()
    finished = Evaluation(suite, [counted("a", built), counted("b", built)], (3,), 2, out, {"policy_sha256": "x"})
    before = out.read_bytes()
    finished.run()
    assert built == [] and out.read_bytes() == before


def test_a_file_of_other_settings_is_refused_and_left_alone(tmp_path, suite_file):
    out = tmp_path / "rows.parquet"
    suite, methods = load_suite(suite_file), [Method.classical(PYAMG_DEFAULT)]
    Evaluation(suite, methods, (0,), 1, out, {"policy_sha256": "x"}).run()
    before = out.read_bytes()
    (tmp_path / "small.yaml").write_text(SUITE.replace("12, 12", "13, 13"))
    for args, key in (
        ((suite, methods, (0,), 1, out, {"policy_sha256": "y"}), "policy_sha256 x, now y"),
        ((suite, methods, (0, 1), 1, out, {"policy_sha256": "x"}), "seeds"),
        ((suite, [*methods, Method.classical(PORTFOLIO[0])], (0,), 1, out, {"policy_sha256": "x"}), "methods"),
        ((load_suite(suite_file), methods, (0,), 1, out, {"policy_sha256": "x"}), "suite_sha256"),
    ):
        with pytest.raises(InputError, match=f"was measured with other settings .{key}"):
            Evaluation(*args)
    write_rows(out, [], {})
    with pytest.raises(InputError, match="is no file of psparsity evaluate, and is not overwritten"):
        Evaluation(suite, methods, (0,), 1, out, {})
    out.write_bytes(before[:100])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        Evaluation(suite, methods, (0,), 1, out, {})


def row(problem: str, method: str, work: float, seconds: float, family: str = "f", seed: int = 0) -> dict:
    converged = math.isfinite(work)
    return dict.fromkeys(COLUMNS) | {
        "problem": problem,
        "family": family,
        "method": method,
        "seed": seed,
        "work_per_digit": work,
        "setup_seconds": 0.25 * seconds,
        "solve_seconds": 0.75 * seconds,
        "converged": converged,
        "failure": "" if converged else "SetupFailure: no",
    }


ROWS = [
    row("p", "trained policy", 2.0, 6.0),
    row("p", SA, 4.0, 8.0),
    row("p", RUGE, 8.0, 2.0),
    row("q", "trained policy", 8.0, 1.0, "g"),
    row("q", SA, 1.0, 3.0, "g"),
    row("q", RUGE, math.inf, math.nan, "g"),
    row("q", "trained policy", math.inf, math.nan, "g", seed=1),
    row("q", SA, 5.0, 3.0, "g", seed=1),
]


def test_ratios_by_hand():
    ratios = case_ratios(ROWS)
    assert list(ratios) == ["trained policy", SA, RUGE]
    policy = ratios["trained policy"]
    # In p the best work is SA's 4 and the best time Ruge-Stuben's 2; in q both are SA's, with each seed its own.
    assert [(case, r.work, r.time) for case, r in policy.items()] == [
        (("p", 0), pytest.approx(0.5), pytest.approx(3.0)),
        (("q", 0), pytest.approx(8.0), pytest.approx(1 / 3)),
    ]
    lines = method_ratios(ROWS)
    assert lines["trained policy"].work == pytest.approx(2.0)  # sqrt(1/2 x 8)
    assert lines["trained policy"].time == pytest.approx(1.0)  # sqrt(3 x 1/3)
    assert (lines["trained policy"].solved, lines["trained policy"].cases) == (2, 3)
    assert lines["trained policy"].failures == (("q", "SetupFailure: no"),)
    assert lines[SA].work == pytest.approx(1.0) and lines[SA].time == pytest.approx(4 ** (1 / 3))
    assert method_ratios(ROWS, "g")["trained policy"].work == pytest.approx(8.0)
    assert method_ratios(ROWS, "f")[RUGE].time == pytest.approx(1.0)
    assert math.isnan(method_ratios([ROWS[0]])["trained policy"].work)


def test_the_table_shows_families_and_names_failures():
    stream = io.StringIO()
    Console(file=stream, width=140).print(evaluation_table(ROWS, "title"))
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in stream.getvalue().splitlines()]
    assert ["all", "trained policy", "2.00", "1.00", "2/3"] in lines
    assert ["g", "trained policy", "8.00", "0.33", "1/2"] in lines
    assert ["", f"best single: {SA}", "1.00", "1.59", "3/3"] in lines
    assert "not solved by trained policy: q (SetupFailure: no)" in stream.getvalue()


def test_a_table_without_ratios_says_why_and_how_to_get_them():
    def notes(rows: list[dict]) -> str:
        stream = io.StringIO()
        Console(file=stream, width=400).print(evaluation_table(rows, "title"))
        return "".join(line for line in stream.getvalue().splitlines(True) if line.startswith("no "))

    assert notes(ROWS) == ""
    assert notes(ROWS[:1]) == (
        "no ratios: the virtual best is made of the classical portfolio, of which no member was measured; add "
        "portfolio, or names of its members, to --methods, and name another --out\n"
    )
    assert notes([ROWS[0], row("p", RUGE, math.inf, math.nan)]) == (
        "no ratios: no member of the portfolio that was measured solved a problem, so there is no virtual best\n"
    )


def test_pictures(tmp_path):
    profile, scatter = write_pictures(ROWS, tmp_path / "rows.parquet")
    assert (profile.name, scatter.name) == ("rows_profile.png", "rows_scatter.png")
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in (profile, scatter))
    assert write_pictures(ROWS[:1], tmp_path / "rows.parquet") == ()


def test_the_command(tmp_path, suite_file, capsys):
    out = tmp_path / "rows.parquet"
    arguments = ["evaluate", "--policy", POLICY, "--suite", suite_file, "--out", str(out), "--repeats", "1"]
    arguments += ["--methods", "learned", "unguarded", "prior", "untrained", "default", "relaxation", SA, RUGE]
    assert main(arguments) == 0
    rows, metadata = read_rows(out)
    shown = capsys.readouterr().out
    names = ["learned solver", "prior alone", "trained policy", "untrained network", "PyAMG default"]
    names += ["relaxation alone", SA]
    assert sorted({r["method"] for r in rows}) == sorted([*names, RUGE])
    assert sum(r["method"] == RUGE for r in rows) == 2  # not for blocks
    assert all(r["converged"] and r["nonzeros"] > r["unknowns"] for r in rows)
    assert all(name in shown for name in (*names, "elasticity", "rows_profile.png", "rows_scatter.png"))
    assert metadata["settings"]["seeds"] == [0] and len(metadata["settings"]["policy_sha256"]) == 64
    assert (tmp_path / "rows_profile.png").is_file() and (tmp_path / "rows_scatter.png").is_file()
    assert main(arguments) == 0  # nothing is left to do
    assert read_rows(out)[0] == rows


def test_a_directory_measures_learned_solver_as_a_user_calls_it(tmp_path, capsys):
    """Unknowns in other units each: the candidates of learned_solver(A) are not constants there."""
    stencil = pyamg.gallery.diffusion_stencil_2d(epsilon=1e-3, theta=0.7, type="FE")
    A = sp.csr_array(pyamg.gallery.stencil_grid(stencil, (60, 60), format="csr"))
    units = sp.diags_array(10.0 ** np.random.default_rng(0).uniform(-4, 4, A.shape[0]))
    A = sp.csr_array(units @ A @ units)
    (tmp_path / "mine").mkdir()
    sp.save_npz(tmp_path / "mine" / "a.npz", A)
    out = tmp_path / "rows.parquet"
    arguments = ["evaluate", "--suite", str(tmp_path / "mine"), "--out", str(out), "--repeats", "1"]
    assert main([*arguments, "--methods", "learned"]) == 0
    (measured,) = read_rows(out)[0]
    policy = load_policy("default")
    expected = measure_solve(learned_solver(A, policy=policy)).iterations
    assert measured["converged"] and measured["iterations"] == expected
    assert expected < measure_solve(learned_solver(A, np.ones((3600, 1)), policy=policy)).iterations
    assert "no ratios: the virtual best is made of the classical portfolio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--suite", "sises"], "did you mean 'sizes'?"),
        (["--methods", "learnt"], "there is no method 'learnt'"),
        (["--methods", "priot"], "did you mean 'prior'?"),
        (["--methods", "selector"], "the method selector needs its data; give --selector FILE"),
        (["--selector", "none.parquet"], "the selector's data none.parquet cannot be read as Parquet"),
        (["--policy", "nowhere"], "policy 'nowhere' is neither"),
        (["--repeats", "0"], "--repeats is 0, expected at least 1"),
        (["--seeds", "1", "1"], "--seeds is 1 1, expected numbers from 0 on, each once"),
        (["--out", "rows.csv"], "--out is rows.csv, expected a file that ends with .parquet"),
    ],
)
def test_refusals(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    policy = [] if "--policy" in arguments else ["--policy", POLICY]
    assert main(["evaluate", *policy, *arguments]) == 2
    out, err = capsys.readouterr()
    assert sentence in err and err.count("\n") == 1 and out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_list(capsys):
    assert main(["evaluate", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("in_distribution", "real", "23 problems", "portfolio", "selector"))


def test_times_are_medians_of_the_rounds(tmp_path, suite_file):
    suite = load_suite(suite_file)
    evaluation = Evaluation(suite, [Method.classical(PYAMG_DEFAULT)], (0,), 3, tmp_path / "rows.parquet", {})
    evaluation.run()
    assert [r["repeats"] for r in evaluation.rows] == [3] * 3
    assert np.isfinite([r["setup_seconds"] + r["solve_seconds"] for r in evaluation.rows]).all()

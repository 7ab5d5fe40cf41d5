"""The oracle stays in its action space, and finds no less than its rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rllib_psparsity.graph.features import level_graph
from studies.episode import Episodes
from studies.oracle import CURVE, main, search
from studies.plan import SPACES, decide_by, directions, patch, rule_keys
from studies.references import main as references
from studies.results_file import read_table
from studies.rules import recipe_index
from tests.environment.tiny import tiny_config

TINY = [
    "--set",
    "problems.families=[{family: anisotropic_diffusion_fd, size: [12, 12]}]",
    "environment.max_coarse=10",
]


def episodes_of(space: str) -> Episodes:
    return Episodes(tiny_config("reward.name=energy_reduction", f"environment.max_levels={SPACES[space].max_levels}"))


@pytest.mark.parametrize("space", SPACES)
def test_a_search_climbs_and_its_plan_has_the_reward_that_it_says(space: str) -> None:
    episodes = episodes_of(space)
    run, start = search(episodes, 0, SPACES[space], 120, np.random.default_rng(0))
    assert run.done == 120 and len(run.curve) == CURVE
    assert run.curve == sorted(run.curve) and start <= run.curve[-1] == run.best.reward
    assert episodes.run(0, decide_by(run.plan, SPACES[space])) == run.best
    assert {level.recipe for level in run.plan} <= set(SPACES[space].recipes)
    again, _ = search(episodes_of(space), 0, SPACES[space], 120, np.random.default_rng(0))
    assert again.curve == run.curve


def test_the_documents_masks_are_unions_of_five_picks_a_row() -> None:
    episodes = episodes_of("document")
    run, _ = search(episodes, 1, SPACES["document"], 60, np.random.default_rng(1))
    problem = episodes.problem(1)
    graph = level_graph(problem.A, problem.B, 0)
    decision = decide_by(run.plan, SPACES["document"])(graph)
    assert decision.recipe == recipe_index("sa/jacobi")
    # Reachable exactly if every row has at least 5 strong edges (or all), and the picks can be shared out so that
    # no row picks more than 5 (it may pick an edge that the other end picked too).
    degree = np.bincount(graph.edge_index.ravel(), minlength=graph.num_nodes)
    strong = np.bincount(graph.edge_index[:, decision.edge_is_strong].ravel(), minlength=graph.num_nodes)
    assert (strong >= np.minimum(5, degree)).all()
    assert decision.edge_is_strong.sum() <= np.minimum(5, degree).sum()


def test_where_like_edges_are_alike_their_directions_decide() -> None:
    episodes, space = episodes_of("document, alike"), SPACES["document, alike"]
    run, _ = search(episodes, 0, space, 120, np.random.default_rng(0))
    assert not any(level.halved_directions or level.keys is not None for level in run.plan)
    problem = episodes.problem(0)
    graph = level_graph(problem.A, problem.B, 0)
    keys = rule_keys(graph, run.plan[0])[0]
    interior = (np.bincount(graph.edge_index.ravel()) == 8)[graph.edge_index].all(axis=0)
    for value in np.unique(directions(graph)):
        alike = keys[interior & (directions(graph) == value)]
        assert np.ptp(alike) < 1e-5


def test_directions_of_a_grid_are_those_of_the_stencil_and_patches_are_edges() -> None:
    problem = episodes_of("document").problem(0)
    graph = level_graph(problem.A, problem.B, 0)
    classes = directions(graph)
    offsets = graph.edge_index[1] - graph.edge_index[0]
    for value in np.unique(classes):
        assert len(np.unique(offsets[classes == value])) == 1
    rng = np.random.default_rng(0)
    sizes = {len(patch(graph, rng)) for _ in range(200)}
    assert 1 in sizes and max(sizes) > graph.num_edges // 8
    assert all((patch(graph, rng) < graph.num_edges).all() for _ in range(50))


def test_the_command_keeps_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "oracle.parquet"
    arguments = ["--space", "document", "--evaluations", "40", "--out", str(path), *TINY]
    main(["--problems", "1", *arguments])
    first, metadata = read_table(path)
    main(["--problems", "2", *arguments])
    rows, _ = read_table(path)
    assert rows[0] == first[0] and len(rows) == 2
    assert metadata["config"]["environment"]["max_levels"] == 2 and metadata["command"].startswith("python -m studies")
    (row,) = first
    assert row["best"] >= row["start"] and len(row["curve"]) == CURVE and row["levels"] == 2
    assert row["best_classical"] >= row["pyamg_default"] and len(row["edge_is_strong"]) > 100
    assert "oracle" in capsys.readouterr().out
    main(["--problems", "1", *arguments, "reward.vectors=3"])  # another configuration starts over
    assert len(read_table(path)[0]) == 1


def test_references_of_both_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "references.parquet"
    references(["--problems", "1", "--seeds", "0", "1", "--max-levels", "2", "--out", str(path), *TINY])
    rows, metadata = read_table(path)
    assert len(rows) == 2 * 2 * (4 + 1 + 27) and {row["split"] for row in rows} == {"training", "heldout"}
    assert metadata["config"]["environment"]["max_levels"] == 2
    assert all(np.isfinite(row["reward"]) for row in rows)
    assert "prior alone" in capsys.readouterr().out

import itertools
import math

import numpy as np
import pytest
import torch

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import PolicyConfig, TemperatureConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.actions import (
    EdgeDecisions,
    TopKRows,
    entropy_softmax_over_edges,
    make_actions,
)
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput, SparsifierPolicy
from tests.policy.random_graphs import graph_from, random_graph

CYCLE = np.array([[0, 0, 0, 1, 2], [1, 2, 3, 2, 3]])  # 4 nodes, degrees 3, 2, 3, 2


def _generators(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def _graphs():
    return [
        random_graph(0),
        random_graph(1, nodes=1, edges=0),
        random_graph(2, nodes=7, edges=9, block_size=2),
        random_graph(3, nodes=4, edges=0),
    ]


def _tiny(recipes: int = 2, requires_grad: bool = False) -> tuple[PolicyOutput, GraphBatch]:
    """A graph of 4 nodes with hand-made logits of some spread."""
    batch = GraphBatch.from_graphs([graph_from(np.random.default_rng(0), 4, CYCLE)])
    generator = torch.Generator().manual_seed(3)
    edge = torch.randn((5, recipes), generator=generator) * 1.5
    recipe = torch.randn((1, recipes), generator=generator)
    return PolicyOutput(edge.requires_grad_(requires_grad), recipe.requires_grad_(requires_grad), None), batch


def _row_edges(row: int) -> list[int]:
    return [edge for edge in range(5) if row in CYCLE[:, edge]]


def _ordered_log_prob(logits: list[float], picks: list[int], offered: list[int]) -> float:
    """Plackett-Luce by its definition: softmax over what is left, pick after pick."""
    left, total = list(offered), 0.0
    for pick in picks:
        total += logits[pick] - math.log(sum(math.exp(logits[edge]) for edge in left))
        left.remove(pick)
    return total


def _row_decision(picks: list[list[int]], k: int, recipe: int = 0) -> Decision:
    rows = np.full((4, k), -1, dtype=np.int32)
    for row, edges in enumerate(picks):
        rows[row, : len(edges)] = edges
    strong = np.zeros(5, dtype=bool)
    strong[rows[rows >= 0]] = True
    return Decision(strong, recipe, rows)


# One edge, one Bernoulli decision


def test_edge_log_prob_and_entropy_equal_plain_python():
    output, batch = _tiny()
    decision = Decision(np.array([True, False, True, True, False]), 1)
    actions = EdgeDecisions(output, batch)
    decisions = DecisionBatch.from_decisions([decision], batch)
    log_prob, entropy = actions.log_prob(decisions), actions.entropy(decisions)
    for edge in range(5):
        p = 1 / (1 + math.exp(-output.edge_logits[edge, 1].item()))
        taken = p if decision.edge_is_strong[edge] else 1 - p
        assert log_prob.units[edge].item() == pytest.approx(math.log(taken), abs=1e-5)
        assert entropy.units[edge].item() == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), abs=1e-5)
    weights = [math.exp(x) for x in output.recipe_logits[0].tolist()]
    shares = [w / sum(weights) for w in weights]
    assert log_prob.recipe.item() == pytest.approx(math.log(shares[1]), abs=1e-5)
    assert entropy.recipe.item() == pytest.approx(-sum(p * math.log(p) for p in shares), abs=1e-5)


def test_edge_samples_are_as_frequent_as_their_probability():
    output, batch = _tiny()
    actions = EdgeDecisions(output, batch)
    rng, draws = np.random.default_rng(0), 8000
    counts = np.zeros((2, 5))
    recipes = np.zeros(2)
    for _ in range(draws):
        (decision,) = actions.sample([rng])
        recipes[decision.recipe] += 1
        counts[decision.recipe] += decision.edge_is_strong
    np.testing.assert_allclose(recipes / draws, output.recipe_logits[0].softmax(0).numpy(), atol=0.02)
    np.testing.assert_allclose(counts / recipes[:, None], output.edge_logits.sigmoid().numpy().T, atol=0.03)


def test_mode_takes_the_likelier_side_of_every_choice():
    output, batch = _tiny()
    (decision,) = EdgeDecisions(output, batch).mode()
    assert decision.recipe == int(output.recipe_logits[0].argmax())
    assert (decision.edge_is_strong == (output.edge_logits[:, decision.recipe] > 0).numpy()).all()
    assert 0 < decision.edge_is_strong.sum() < 5


# Each row draws k of its edges


def test_row_log_prob_equals_the_definition():
    output, batch = _tiny()
    picks = [[3 - 1, 0], [3, 0], [1, 4], [4, 2]]
    decisions = DecisionBatch.from_decisions([_row_decision(picks, 2, recipe=1)], batch)
    units = TopKRows(output, batch, 2).log_prob(decisions).units
    logits = output.edge_logits[:, 1].tolist()
    for row in range(4):
        expected = _ordered_log_prob(logits, picks[row], _row_edges(row))
        assert units[row].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_probabilities_of_all_ordered_draws_of_a_row_add_up_to_one(k):
    output, batch = _tiny()
    actions = TopKRows(output, batch, k)
    total, entropy = 0.0, 0.0
    others = [_row_edges(row)[:k] for row in (1, 2, 3)]
    for draw in itertools.permutations(_row_edges(0), min(k, 3)):
        decisions = DecisionBatch.from_decisions([_row_decision([list(draw), *others], k)], batch)
        log_p = actions.log_prob(decisions).units[0].item()
        total += math.exp(log_p)
        entropy -= math.exp(log_p) * log_p
    assert total == pytest.approx(1.0, abs=1e-5)
    # the mean of the path estimate is the entropy of the whole draw
    mean = 0.0
    for draw in itertools.permutations(_row_edges(0), min(k, 3)):
        decisions = DecisionBatch.from_decisions([_row_decision([list(draw), *others], k)], batch)
        p = math.exp(actions.log_prob(decisions).units[0].item())
        mean += p * actions.entropy(decisions).units[0].item()
    assert mean == pytest.approx(entropy, abs=1e-5)


def test_row_samples_are_as_frequent_as_their_probability():
    output, batch = _tiny(recipes=1)
    actions = TopKRows(output, batch, 2)
    rng, draws, counts = np.random.default_rng(0), 6000, {}
    for _ in range(draws):
        (decision,) = actions.sample([rng])
        draw = tuple(decision.row_picks[0].tolist())
        counts[draw] = counts.get(draw, 0) + 1
    for draw in itertools.permutations(_row_edges(0), 2):
        expected = math.exp(_ordered_log_prob(output.edge_logits[:, 0].tolist(), list(draw), _row_edges(0)))
        assert counts.get(draw, 0) / draws == pytest.approx(expected, abs=0.02)


def test_rows_take_their_own_distinct_edges_and_the_mask_is_their_union():
    graphs = _graphs()
    batch = GraphBatch.from_graphs(graphs)
    output = PolicyOutput(torch.randn((len(batch.edge_graph), 3)), torch.zeros((4, 3)), None)
    for decisions in (TopKRows(output, batch, 3).sample(_generators(0, 1, 2, 3)), TopKRows(output, batch, 3).mode()):
        for graph, decision in zip(graphs, decisions, strict=True):
            degree = np.bincount(graph.edge_index.ravel(), minlength=graph.num_nodes)
            picked = set()
            for row in range(graph.num_nodes):
                edges = [edge for edge in decision.row_picks[row].tolist() if edge >= 0]
                assert len(set(edges)) == len(edges) == min(3, degree[row])
                assert all(row in graph.edge_index[:, edge] for edge in edges)
                picked |= set(edges)
            assert set(np.flatnonzero(decision.edge_is_strong)) == picked


def test_top_k_mode_takes_the_largest_and_breaks_ties_by_edge():
    _, batch = _tiny()
    tied = PolicyOutput(torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]]), torch.zeros((1, 1)), None)
    (decision,) = TopKRows(tied, batch, 2).mode()
    assert decision.row_picks.tolist() == [[1, 0], [3, 0], [1, 3], [4, 2]]


def test_extreme_logits_keep_rows_finite():
    _, batch = _tiny()
    edge = torch.tensor([[200.0], [-200.0], [0.0], [150.0], [-90.0]], requires_grad=True)
    output = PolicyOutput(edge, torch.zeros((1, 1)), None)
    actions = TopKRows(output, batch, 2)
    decisions = DecisionBatch.from_decisions(actions.mode(), batch)
    log_prob, entropy = actions.log_prob(decisions).units, actions.entropy(decisions).units
    log_prob.sum().backward(retain_graph=True)
    entropy.sum().backward()
    assert torch.isfinite(log_prob).all() and torch.isfinite(entropy).all() and torch.isfinite(edge.grad).all()


# Both


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_log_prob_and_entropy_have_gradients_with_respect_to_the_logits(action):
    output, batch = _tiny(requires_grad=True)
    actions = make_actions(PolicyConfig(action=action, k=2), output, batch)
    decisions = DecisionBatch.from_decisions(actions.sample(_generators(0)), batch)
    for quantity in (actions.log_prob(decisions), actions.entropy(decisions)):
        edge, recipe = torch.autograd.grad(
            quantity.units.sum() + quantity.recipe.sum(), (output.edge_logits, output.recipe_logits)
        )
        chosen = decisions.recipe.item()
        assert (edge[:, chosen].abs() > 1e-4).any() and (edge[:, 1 - chosen] == 0).all()
        assert (recipe.abs() > 1e-4).all()


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_a_graphs_draw_and_log_prob_do_not_depend_on_its_batch_mates(action):
    config = PolicyConfig(action=action, k=2)
    torch.manual_seed(0)
    policy = SparsifierPolicy(config)
    graphs = _graphs()
    union = GraphBatch.from_graphs(graphs)
    with torch.no_grad():
        together = make_actions(config, policy(union, with_value=False), union)
        drawn = together.sample(_generators(0, 1, 2, 3))
        decisions = DecisionBatch.from_decisions(drawn, union)
        log_prob, entropy = together.log_prob(decisions), together.entropy(decisions)
        for g, graph in enumerate(graphs):
            batch = GraphBatch.from_graphs([graph])
            alone = make_actions(config, policy(batch, with_value=False), batch)
            (decision,) = alone.sample(_generators(g))
            assert decision.recipe == drawn[g].recipe
            assert (decision.edge_is_strong == drawn[g].edge_is_strong).all()
            if action == "top_k":
                assert (decision.row_picks == drawn[g].row_picks).all()
            own = alone.log_prob(DecisionBatch.from_decisions([decision], batch))
            mine = together.unit_graph == g
            torch.testing.assert_close(log_prob.units[mine], own.units, atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(log_prob.recipe[g], own.recipe[0], atol=1e-6, rtol=1e-6)
    assert torch.isfinite(entropy.units).all() and torch.isfinite(entropy.recipe).all()
    assert (entropy.units >= 0).all()
    if action == "top_k":  # rows without edges draw nothing, with certainty
        assert (log_prob.units[12] == 0) and (entropy.units[12] == 0)


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_temperature_acts_on_samples_and_log_probs_alike(action):
    graph = random_graph(0)
    batch = GraphBatch.from_graphs([graph])
    outcomes = {}
    for temperature in (1.0, 0.02):
        config = PolicyConfig(action=action, k=2, temperature=TemperatureConfig(initial=temperature))
        torch.manual_seed(0)
        with torch.no_grad():
            actions = make_actions(config, SparsifierPolicy(config)(batch, with_value=False), batch)
            mode = actions.mode()[0]
            samples = [actions.sample(_generators(seed))[0] for seed in range(20)]
            agreement = np.mean([(s.edge_is_strong == mode.edge_is_strong).mean() for s in samples])
            decisions = DecisionBatch.from_decisions([mode], batch)
            outcomes[temperature] = agreement, actions.log_prob(decisions).units.mean().item()
    assert outcomes[0.02][0] > outcomes[1.0][0]
    assert outcomes[0.02][1] > outcomes[1.0][1]


def test_unit_advantages():
    output, batch = _tiny()
    advantage = torch.tensor([1.0, 2.0, 4.0, 8.0])
    assert EdgeDecisions(output, batch).unit_advantage(advantage).tolist() == [1.5, 2.5, 4.5, 3.0, 6.0]
    assert TopKRows(output, batch, 2).unit_advantage(advantage).tolist() == [1.0, 2.0, 4.0, 8.0]
    assert EdgeDecisions(output, batch).unit_graph.tolist() == [0] * 5
    assert TopKRows(output, batch, 2).unit_graph.tolist() == [0] * 4


def test_scalar_recipes_are_never_drawn_for_blocks():
    config = PolicyConfig(recipes=("classical/direct/classical", "sa/jacobi/symmetric"))
    torch.manual_seed(0)
    batch = GraphBatch.from_graphs([random_graph(0, block_size=2), random_graph(1)])
    with torch.no_grad():
        actions = EdgeDecisions(SparsifierPolicy(config)(batch, with_value=False), batch)
    drawn = [[d.recipe for d in actions.sample(_generators(s, s + 100))] for s in range(30)]
    assert {recipes[0] for recipes in drawn} == {1}
    assert {recipes[1] for recipes in drawn} == {0, 1}
    assert actions.entropy(DecisionBatch.from_decisions(actions.mode(), batch)).recipe[0].item() == 0.0


def test_entropy_over_edges_equals_plain_python():
    graphs = [graph_from(np.random.default_rng(0), 4, CYCLE), random_graph(1, nodes=2, edges=0), random_graph(2)]
    batch = GraphBatch.from_graphs(graphs)
    logits = torch.randn((len(batch.edge_graph), 2))
    logits[batch.edge_graph == 2] = 0.7
    output = PolicyOutput(logits, torch.zeros((3, 2)), None)
    decisions = [Decision(np.zeros(graph.num_edges, dtype=bool), 1) for graph in graphs]
    found = entropy_softmax_over_edges(output, DecisionBatch.from_decisions(decisions, batch), batch)
    weights = [math.exp(x) for x in logits[:5, 1].tolist()]
    expected = -sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights)
    assert found[0].item() == pytest.approx(expected, abs=1e-5)
    assert found[1].item() == 0.0
    assert found[2].item() == pytest.approx(math.log(20), abs=1e-5)


def test_decisions_that_do_not_fit_are_refused():
    output, batch = _tiny()
    with pytest.raises(
        InputError,
        match="the decision for graph 0 has 3 edges where its graph has 5; pass the decisions in the order of the",
    ):
        DecisionBatch.from_decisions([Decision(np.zeros(3, dtype=bool), 0)], batch)
    decisions = DecisionBatch.from_decisions([Decision(np.zeros(5, dtype=bool), 0)], batch)
    with pytest.raises(InputError, match="the decisions carry no row picks, which top-k rows need; sample them with"):
        TopKRows(output, batch, 2).log_prob(decisions)

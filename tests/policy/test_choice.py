import itertools
import math

import numpy as np
import pytest
import torch

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import PolicyConfig, TemperatureConfig
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.choice import Choice, mode, sample
from rllib_psparsity.policy.coherent_noise import coherent_uniform
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import PolicyOutput, SparsifierPolicy
from rllib_psparsity.policy.torch_inference import TorchLogits
from tests.policy.cycle import CYCLE_GRAPH, cycle_output, ordered_log_prob, row_edges
from tests.policy.random_graphs import random_graph

EDGES = PolicyConfig(action="edges")


def _top_k(k: int) -> PolicyConfig:
    return PolicyConfig(action="top_k", k=k)


def _generators(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def _graphs():
    return [
        random_graph(0),
        random_graph(1, nodes=1, edges=0),
        random_graph(2, nodes=7, edges=9, block_size=2),
        random_graph(3, nodes=4, edges=0),
    ]


def _cycle(recipes: int = 2) -> tuple[PolicyOutput, TorchLogits]:
    output, _ = cycle_output(recipes)
    return output, TorchLogits(output, [CYCLE_GRAPH])


# One edge, one Bernoulli decision


def test_edge_samples_are_as_frequent_as_their_probability():
    output, logits = _cycle()
    rng, draws = np.random.default_rng(0), 8000
    counts = np.zeros((2, 5))
    recipes = np.zeros(2)
    for _ in range(draws):
        (decision,) = sample(EDGES, logits, [rng]).decisions
        recipes[decision.recipe] += 1
        counts[decision.recipe] += decision.edge_is_strong
    np.testing.assert_allclose(recipes / draws, output.recipe_logits[0].softmax(0).numpy(), atol=0.02)
    np.testing.assert_allclose(counts / recipes[:, None], output.edge_logits.sigmoid().numpy().T, atol=0.03)


def test_the_order_of_draws_is_recipe_then_edges():
    """Whatever draws differently makes other episodes from the same seed."""
    output, logits = _cycle()
    (decision,) = sample(EDGES, logits, _generators(7)).decisions
    rng = np.random.default_rng(7)
    recipe = int(np.argmax(output.recipe_logits[0].numpy() + rng.gumbel(size=2)))
    chances = 1 / (1 + np.exp(-output.edge_logits[:, recipe].numpy().astype(float)))
    noise = coherent_uniform(CYCLE_GRAPH, EDGES.coherence, rng)
    assert decision.recipe == recipe and (decision.edge_is_strong == (noise < chances)).all()


def test_mode_takes_the_likelier_side_of_every_choice():
    output, logits = _cycle()
    (decision,) = mode(EDGES, logits).decisions
    assert decision.recipe == int(output.recipe_logits[0].argmax())
    assert (decision.edge_is_strong == (output.edge_logits[:, decision.recipe] > 0).numpy()).all()
    assert 0 < decision.edge_is_strong.sum() < 5


def test_extreme_logits_are_drawn_with_certainty_and_without_a_warning():
    edge = torch.tensor([[200.0], [-200.0], [1e4], [-1e4], [0.0]])
    logits = TorchLogits(PolicyOutput(edge, torch.tensor([[3.0]]), None), [CYCLE_GRAPH])
    with np.errstate(all="raise", under="ignore"):
        choice = sample(EDGES, logits, _generators(0))
        (log_prob,) = choice.unit_log_prob()
    assert choice.decisions[0].edge_is_strong[:4].tolist() == [True, False, True, False]
    assert log_prob == pytest.approx([0, 0, 0, 0, -math.log(2)], abs=1e-7) and choice.recipe_log_prob() == [0.0]
    against = Choice([CYCLE_GRAPH], [Decision(np.array([False, True] * 2 + [True]), 0)], *_arrays(edge))
    assert against.unit_log_prob()[0] == pytest.approx([-200, -200, -1e4, -1e4, -math.log(2)])


def _arrays(edge: torch.Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    return np.zeros((1, 1), dtype=np.float32), [edge[:, 0].numpy()]


# Each row draws k of its edges


def test_row_samples_are_as_frequent_as_their_probability():
    output, logits = _cycle(recipes=1)
    rng, draws, counts = np.random.default_rng(0), 6000, {}
    for _ in range(draws):
        (decision,) = sample(_top_k(2), logits, [rng]).decisions
        draw = tuple(decision.row_picks[0].tolist())
        counts[draw] = counts.get(draw, 0) + 1
    for draw in itertools.permutations(row_edges(0), 2):
        expected = math.exp(ordered_log_prob(output.edge_logits[:, 0].tolist(), list(draw), row_edges(0)))
        assert counts.get(draw, 0) / draws == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_row_log_prob_equals_the_definition(k):
    output, logits = _cycle()
    for seed in range(5):
        choice = sample(_top_k(k), logits, _generators(seed))
        (decision,), (log_prob,) = choice.decisions, choice.unit_log_prob()
        given = output.edge_logits[:, decision.recipe].tolist()
        for row in range(4):
            picks = [edge for edge in decision.row_picks[row].tolist() if edge >= 0]
            assert log_prob[row] == pytest.approx(ordered_log_prob(given, picks, row_edges(row)), abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_probability_of_a_rows_set_is_that_of_all_its_orders(k):
    output, logits = _cycle()
    choice = sample(_top_k(k), logits, _generators(1))
    (decision,), (log_prob,) = choice.decisions, choice.unit_log_prob(sets=True)
    given = output.edge_logits[:, decision.recipe].tolist()
    for row in range(4):
        picks = [edge for edge in decision.row_picks[row].tolist() if edge >= 0]
        orders = [ordered_log_prob(given, list(order), row_edges(row)) for order in itertools.permutations(picks)]
        assert log_prob[row] == pytest.approx(math.log(sum(map(math.exp, orders))), abs=1e-5)
        assert k < 3 or log_prob[row] == 0.0, "a row that takes all of its edges decides nothing"


def test_rows_take_their_own_distinct_edges_and_the_mask_is_their_union():
    graphs = _graphs()
    batch = GraphBatch.from_graphs(graphs)
    logits = TorchLogits(PolicyOutput(torch.randn((len(batch.edge_graph), 3)), torch.zeros((4, 3)), None), graphs)
    for choice in (sample(_top_k(3), logits, _generators(0, 1, 2, 3)), mode(_top_k(3), logits)):
        for graph, decision in zip(graphs, choice.decisions, strict=True):
            degree = np.bincount(graph.edge_index.ravel(), minlength=graph.num_nodes)
            picked = set()
            for row in range(graph.num_nodes):
                edges = [edge for edge in decision.row_picks[row].tolist() if edge >= 0]
                assert len(set(edges)) == len(edges) == min(3, degree[row])
                assert all(row in graph.edge_index[:, edge] for edge in edges)
                picked |= set(edges)
            assert set(np.flatnonzero(decision.edge_is_strong)) == picked


def test_top_k_mode_takes_the_largest_and_breaks_ties_by_edge():
    tied = PolicyOutput(torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]]), torch.zeros((1, 1)), None)
    (decision,) = mode(_top_k(2), TorchLogits(tied, [CYCLE_GRAPH])).decisions
    assert decision.row_picks.tolist() == [[1, 0], [3, 0], [1, 3], [4, 2]]


# Both


@pytest.mark.parametrize("action", ["edges", "top_k"])
@pytest.mark.parametrize("backbone", ["sparse", "gin"])
def test_log_probs_are_those_of_the_distribution_with_gradients(action, backbone):
    config = PolicyConfig(action=action, k=2, backbone=backbone)
    torch.manual_seed(0)
    policy = SparsifierPolicy(config)
    graphs = _graphs()
    batch = GraphBatch.from_graphs(graphs)
    logits = inference_of(policy).logits(graphs)
    with torch.no_grad():
        output = policy(batch, with_value=False)
    for choice in (sample(config, logits, _generators(0, 1, 2, 3)), mode(config, logits)):
        expected, _ = make_actions(config, output, DecisionBatch.from_decisions(choice.decisions, batch)).evaluate()
        np.testing.assert_allclose(np.concatenate(choice.unit_log_prob()), expected.units.numpy(), atol=1e-5)
        np.testing.assert_allclose(choice.recipe_log_prob(), expected.recipe.numpy(), atol=1e-5)
        assert all(part.dtype == np.float32 for part in (*choice.unit_log_prob(), choice.recipe_log_prob()))


@pytest.mark.parametrize("action", ["edges", "top_k"])
@pytest.mark.parametrize("backbone", ["sparse", "gin"])
def test_a_graphs_draw_and_log_prob_do_not_depend_on_its_batch_mates(action, backbone):
    config = PolicyConfig(action=action, k=2, backbone=backbone)
    torch.manual_seed(0)
    inference = inference_of(SparsifierPolicy(config))
    graphs = _graphs()
    together = sample(config, inference.logits(graphs), _generators(0, 1, 2, 3))
    log_probs = together.unit_log_prob()
    for g, graph in enumerate(graphs):
        alone = sample(config, inference.logits([graph]), _generators(g))
        (decision,) = alone.decisions
        assert decision.recipe == together.decisions[g].recipe
        assert (decision.edge_is_strong == together.decisions[g].edge_is_strong).all()
        if action == "top_k":
            assert (decision.row_picks == together.decisions[g].row_picks).all()
        np.testing.assert_allclose(log_probs[g], alone.unit_log_prob()[0], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(together.recipe_log_prob()[g], alone.recipe_log_prob()[0], atol=1e-5, rtol=1e-5)
    if action == "top_k":  # rows without edges draw nothing, with certainty
        assert log_probs[1].tolist() == [0.0]


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_temperature_acts_on_samples_and_log_probs_alike(action):
    outcomes = {}
    for temperature in (1.0, 0.02):
        config = PolicyConfig(action=action, k=2, temperature=TemperatureConfig(initial=temperature))
        torch.manual_seed(0)
        logits = inference_of(SparsifierPolicy(config)).logits([random_graph(0)])
        likely = mode(config, logits)
        samples = [sample(config, logits, _generators(seed)).decisions[0] for seed in range(20)]
        agreement = [(s.edge_is_strong == likely.decisions[0].edge_is_strong).mean() for s in samples]
        outcomes[temperature] = np.mean(agreement), likely.unit_log_prob()[0].mean()
    assert outcomes[0.02][0] > outcomes[1.0][0]
    assert outcomes[0.02][1] > outcomes[1.0][1]


def test_scalar_recipes_are_never_drawn_for_blocks():
    config = PolicyConfig(recipes=("classical/direct/classical", "sa/jacobi/symmetric"))
    torch.manual_seed(0)
    logits = inference_of(SparsifierPolicy(config)).logits([random_graph(0, block_size=2), random_graph(1)])
    drawn = [[d.recipe for d in sample(config, logits, _generators(s, s + 100)).decisions] for s in range(30)]
    assert {recipes[0] for recipes in drawn} == {1}
    assert {recipes[1] for recipes in drawn} == {0, 1}
    assert mode(config, logits).recipe_log_prob()[0] == 0.0

import itertools
import math

import numpy as np
import pytest
import torch

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.actions import (
    EdgeDecisions,
    OneSoftmaxRows,
    RowSets,
    TopKRows,
    _Bernoulli,
    make_actions,
)
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.choice import mode, sample
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.policy.torch_inference import TorchLogits
from tests.policy.cycle import CYCLE_GRAPH, cycle_output, ordered_log_prob, row_edges
from tests.policy.random_graphs import random_graph


def _row_decision(picks: list[list[int]], k: int, recipe: int = 0) -> Decision:
    rows = np.full((4, k), -1, dtype=np.int32)
    for row, edges in enumerate(picks):
        rows[row, : len(edges)] = edges
    strong = np.zeros(5, dtype=bool)
    strong[rows[rows >= 0]] = True
    return Decision(strong, recipe, rows)


# One edge, one Bernoulli decision


def test_edge_log_prob_and_entropy_equal_plain_python():
    output, batch = cycle_output()
    decision = Decision(np.array([True, False, True, True, False]), 1)
    log_prob, entropy = EdgeDecisions(output, DecisionBatch.from_decisions([decision], batch)).evaluate()
    for edge in range(5):
        p = 1 / (1 + math.exp(-output.edge_logits[edge, 1].item()))
        taken = p if decision.edge_is_strong[edge] else 1 - p
        assert log_prob.units[edge].item() == pytest.approx(math.log(taken), abs=1e-5)
        assert entropy.units[edge].item() == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), abs=1e-5)
    weights = [math.exp(x) for x in output.recipe_logits[0].tolist()]
    shares = [w / sum(weights) for w in weights]
    assert log_prob.recipe.item() == pytest.approx(math.log(shares[1]), abs=1e-5)
    assert entropy.recipe.item() == pytest.approx(-sum(p * math.log(p) for p in shares), abs=1e-5)


# Each row draws k of its edges


def test_row_log_prob_equals_the_definition():
    output, batch = cycle_output()
    picks = [[3 - 1, 0], [3, 0], [1, 4], [4, 2]]
    decisions = DecisionBatch.from_decisions([_row_decision(picks, 2, recipe=1)], batch)
    units = TopKRows(output, decisions).evaluate()[0].units
    logits = output.edge_logits[:, 1].tolist()
    for row in range(4):
        expected = ordered_log_prob(logits, picks[row], row_edges(row))
        assert units[row].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_probabilities_of_all_ordered_draws_of_a_row_add_up_to_one(k):
    output, batch = cycle_output()
    total, entropy, mean = 0.0, 0.0, 0.0
    others = [row_edges(row)[:k] for row in (1, 2, 3)]
    for draw in itertools.permutations(row_edges(0), min(k, 3)):
        decisions = DecisionBatch.from_decisions([_row_decision([list(draw), *others], k)], batch)
        log_probs, entropies = TopKRows(output, decisions).evaluate()
        log_p = log_probs.units[0].item()
        total += math.exp(log_p)
        entropy -= math.exp(log_p) * log_p
        mean += math.exp(log_p) * entropies.units[0].item()
    assert total == pytest.approx(1.0, abs=1e-5)
    assert mean == pytest.approx(entropy, abs=1e-5)  # the mean of the path estimate is the entropy of the whole draw


def test_extreme_logits_keep_rows_finite():
    _, batch = cycle_output()
    edge = torch.tensor([[200.0], [-200.0], [0.0], [150.0], [-90.0]], requires_grad=True)
    output = PolicyOutput(edge, torch.zeros((1, 1)), None)
    chosen = mode(PolicyConfig(action="top_k", k=2), TorchLogits(output, [CYCLE_GRAPH])).decisions
    decisions = DecisionBatch.from_decisions(chosen, batch)
    log_prob, entropy = (part.units for part in TopKRows(output, decisions).evaluate())
    log_prob.sum().backward(retain_graph=True)
    entropy.sum().backward()
    assert torch.isfinite(log_prob).all() and torch.isfinite(entropy).all() and torch.isfinite(edge.grad).all()


# Each row draws a set of its edges


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_probability_of_a_set_is_that_of_all_its_orders_and_has_their_gradient(k):
    output, batch = cycle_output(requires_grad=True)
    others = [row_edges(row)[:k] for row in (1, 2, 3)]
    total = 0.0
    for drawn in itertools.combinations(row_edges(0), min(k, 3)):
        expected = 0.0
        for order in itertools.permutations(drawn):
            decisions = DecisionBatch.from_decisions([_row_decision([list(order), *others], k)], batch)
            expected = expected + TopKRows(output, decisions).evaluate()[0].units[0].exp()
            actual = RowSets(output, decisions).evaluate()[0].units[0]
        assert actual.item() == pytest.approx(expected.log().item(), abs=1e-5)
        (by_orders,) = torch.autograd.grad(expected.log(), output.edge_logits, retain_graph=True)
        (by_set,) = torch.autograd.grad(actual, output.edge_logits, retain_graph=True)
        assert by_set.numpy() == pytest.approx(by_orders.numpy(), abs=1e-5)
        total += math.exp(actual.item())
    assert total == pytest.approx(1.0, abs=1e-5)


def test_the_entropy_of_sets_and_its_gradient_are_right_on_average():
    """Rows 0 and 2 choose two of three edges, the others have two."""
    output, batch = cycle_output(requires_grad=True)
    pairs = [list(itertools.combinations(row_edges(row), 2)) for row in (0, 2)]
    exact, estimate = 0.0, 0.0
    for first, second in itertools.product(*pairs):
        decisions = DecisionBatch.from_decisions([_row_decision([first, row_edges(1), second, row_edges(3)], 2)], batch)
        log_prob, entropy = (part.units for part in RowSets(output, decisions).evaluate())
        assert entropy.detach().tolist() == pytest.approx((-log_prob).tolist())
        assert log_prob[1] == log_prob[3] == 0.0, "nothing is decided there"
        p = log_prob.sum().exp()
        exact = exact - p * log_prob.sum()
        estimate = estimate + p.detach() * entropy.sum()
    assert estimate.item() == pytest.approx(exact.item(), abs=1e-5)
    of_exact, of_estimate = (
        torch.autograd.grad(value, output.edge_logits, retain_graph=True)[0].numpy() for value in (exact, estimate)
    )
    assert np.abs(of_exact).max() > 0.05 and of_estimate == pytest.approx(of_exact, abs=1e-5)


def test_extreme_logits_keep_sets_finite():
    _, batch = cycle_output()
    edge = torch.tensor([[200.0], [-200.0], [0.0], [150.0], [-90.0]], requires_grad=True)
    output = PolicyOutput(edge, torch.zeros((1, 1)), None)
    for picks in ([[0, 2], [0, 3], [3, 4], [2, 4]], [[1, 2], [0, 3], [1, 4], [2, 4]]):
        decisions = DecisionBatch.from_decisions([_row_decision(picks, 2)], batch)
        log_prob, entropy = (part.units for part in RowSets(output, decisions).evaluate())
        (gradient,) = torch.autograd.grad(log_prob.sum() + entropy.sum(), edge)
        assert torch.isfinite(log_prob).all() and torch.isfinite(entropy).all() and torch.isfinite(gradient).all()


# Both


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_log_prob_and_entropy_have_gradients_with_respect_to_the_logits(action):
    output, batch = cycle_output(requires_grad=True)
    config = PolicyConfig(action=action, k=2)
    drawn = sample(config, TorchLogits(output, [CYCLE_GRAPH]), [np.random.default_rng(0)]).decisions
    decisions = DecisionBatch.from_decisions(drawn, batch)
    for quantity in make_actions(config, output, decisions).evaluate():
        edge, recipe = torch.autograd.grad(
            quantity.units.sum() + quantity.recipe.sum(),
            (output.edge_logits, output.recipe_logits),
            retain_graph=True,
        )
        chosen = decisions.recipe.item()
        assert (edge[:, chosen].abs() > 1e-4).any() and (edge[:, 1 - chosen] == 0).all()
        assert (recipe.abs() > 1e-4).all()


def test_unit_advantages():
    output, batch = cycle_output()
    advantage = torch.tensor([1.0, 2.0, 4.0, 8.0])
    decisions = DecisionBatch.from_decisions([Decision(np.zeros(5, dtype=bool), 0)], batch)
    edges, rows = EdgeDecisions(output, decisions), TopKRows(output, decisions)
    assert edges.unit_advantage(advantage).tolist() == [1.5, 2.5, 4.5, 3.0, 6.0]
    assert rows.unit_advantage(advantage).tolist() == [1.0, 2.0, 4.0, 8.0]
    assert edges.unit_graph.tolist() == [0] * 5
    assert rows.unit_graph.tolist() == [0] * 4


def test_entropy_over_edges_equals_plain_python():
    graphs = [CYCLE_GRAPH, random_graph(1, nodes=2, edges=0), random_graph(2)]
    batch = GraphBatch.from_graphs(graphs)
    logits = torch.randn((len(batch.edge_graph), 2))
    logits[batch.edge_graph == 2] = 0.7
    output = PolicyOutput(logits, torch.zeros((3, 2)), None)
    decisions = [Decision(np.zeros(graph.num_edges, dtype=bool), 1) for graph in graphs]
    found = EdgeDecisions(output, DecisionBatch.from_decisions(decisions, batch)).entropy_softmax_over_edges()
    weights = [math.exp(x) for x in logits[:5, 1].tolist()]
    expected = -sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights)
    assert found[0].item() == pytest.approx(expected, abs=1e-5)
    assert found[1].item() == 0.0
    assert found[2].item() == pytest.approx(math.log(20), abs=1e-5)


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_entropy_over_edges_has_the_gradient_of_its_formula(action):
    """Of z and p = softmax(z): dH/dz_e = -p_e (ln p_e + H); and what a top-k draw took plays no part."""
    graphs = [CYCLE_GRAPH, random_graph(1, nodes=2, edges=0), random_graph(2)]
    batch = GraphBatch.from_graphs(graphs)
    logits = torch.randn((len(batch.edge_graph), 1), requires_grad=True)
    output = PolicyOutput(logits, torch.zeros((3, 1)), None)
    config = PolicyConfig(action=action, k=2)
    drawn = sample(config, TorchLogits(output, graphs), [np.random.default_rng(k) for k in range(3)]).decisions
    actions = make_actions(config, output, DecisionBatch.from_decisions(drawn, batch))
    (found,) = torch.autograd.grad(actions.entropy_softmax_over_edges().sum(), logits)
    expected = []
    for part in logits.detach()[:, 0].double().split(batch.num_edges.tolist()):
        p = part.softmax(0)
        expected.append(-p * (p.log() - (p * p.log()).sum()))
    torch.testing.assert_close(found[:, 0].double(), torch.cat(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_a_menu_of_one_leaves_no_choice_and_no_entropy(action):
    graphs = [CYCLE_GRAPH, random_graph(2)]
    batch = GraphBatch.from_graphs(graphs)
    edge_logits, recipe_logits = torch.randn((len(batch.edge_graph), 1)), torch.randn((2, 1), requires_grad=True)
    output = PolicyOutput(edge_logits, recipe_logits, None)
    config = PolicyConfig(action=action, k=2, recipes=("sa/jacobi/symmetric",))
    choice = sample(config, TorchLogits(output, graphs), [np.random.default_rng(k) for k in range(2)])
    assert [decision.recipe for decision in choice.decisions] == [0, 0] and not choice.recipe_log_prob().any()
    log_prob, entropy = make_actions(config, output, DecisionBatch.from_decisions(choice.decisions, batch)).evaluate()
    assert not log_prob.recipe.any() and not entropy.recipe.any()
    (log_prob.recipe * torch.tensor([3.0, -2.0]) + entropy.recipe).sum().backward()
    assert not recipe_logits.grad.any()
    assert entropy.units.min() >= 0 and entropy.units.max() > 0


def test_decisions_that_do_not_fit_are_refused():
    output, batch = cycle_output()
    with pytest.raises(
        InputError,
        match="the decision for graph 0 has 3 edges where its graph has 5; pass the decisions in the order of the",
    ):
        DecisionBatch.from_decisions([Decision(np.zeros(3, dtype=bool), 0)], batch)
    decisions = DecisionBatch.from_decisions([Decision(np.zeros(5, dtype=bool), 0)], batch)
    with pytest.raises(InputError, match="the decisions carry no row picks, which top-k rows need; sample them with"):
        TopKRows(output, decisions).evaluate()


def test_bernoulli_gradients_are_those_of_the_formulas():
    logits = torch.tensor([-3.0, -0.4, 0.0, 0.7, 40.0], dtype=torch.float64, requires_grad=True)
    outcome = torch.tensor([True, False, True, True, False])
    assert torch.autograd.gradcheck(lambda z: _Bernoulli.apply(z, outcome), logits)


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_several_decisions_on_one_graph_are_as_on_copies_of_it(action):
    """The network sees a graph once; logits and gradients are those of a batch that holds it as often as decided."""
    config = PolicyConfig(action=action, k=2)
    graphs, counts = [random_graph(0), random_graph(1, nodes=3, edges=2), random_graph(2)], [3, 1, 2]
    batch = GraphBatch.from_graphs(graphs)
    copies = [graph for graph, count in zip(graphs, counts, strict=True) for _ in range(count)]
    repeated = GraphBatch.from_graphs(copies)
    rows = np.repeat(np.arange(3), counts)
    edge_logits, recipe_logits = torch.randn((len(batch.edge_graph), 2)), torch.randn((3, 2))

    def leaf(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(parts).requires_grad_()

    by_graph = edge_logits.split(batch.num_edges.tolist())
    once = PolicyOutput(leaf([edge_logits]), leaf([recipe_logits]), None)
    often = PolicyOutput(leaf([by_graph[g] for g in rows]), leaf([recipe_logits[rows]]), None)
    drawn = sample(config, TorchLogits(often, copies), [np.random.default_rng(k) for k in range(6)]).decisions
    groups = [drawn[:3], drawn[3:4], drawn[4:]]
    shared = make_actions(config, once, DecisionBatch.from_groups(groups, graphs, batch))
    apart = make_actions(config, often, DecisionBatch.from_decisions(drawn, repeated))
    for found, expected in zip(shared.evaluate(), apart.evaluate(), strict=True):
        assert torch.equal(found.units, expected.units) and torch.equal(found.recipe, expected.recipe)
    for actions in (shared, apart):
        log_prob, entropy = actions.evaluate()
        weight = torch.arange(1.0, 1.0 + len(log_prob.units))
        (weight @ (log_prob.units + entropy.units) + log_prob.recipe @ torch.arange(6.0)).backward()
    summed = torch.zeros_like(edge_logits)
    start = 0
    for g in rows:
        first = int(batch.num_edges[:g].sum())
        size = int(batch.num_edges[g])
        summed[first : first + size] += often.edge_logits.grad[start : start + size]
        start += size
    torch.testing.assert_close(once.edge_logits.grad, summed)
    torch.testing.assert_close(
        once.recipe_logits.grad, torch.zeros((3, 2)).index_add(0, torch.from_numpy(rows), often.recipe_logits.grad)
    )
    assert torch.equal(shared.entropy_softmax_over_edges(), apart.entropy_softmax_over_edges())


# The predecessor's likelihood


def test_one_softmax_over_all_edges_equals_plain_python_and_has_a_drift():
    output, batch = cycle_output(recipes=1)
    logits = output.edge_logits[:, 0].tolist()
    log_all = math.log(sum(math.exp(x) for x in logits))
    picks = [[2, 0], [3], [1, 4], [4, 2]]
    decisions = DecisionBatch.from_decisions([_row_decision(picks, 2)], batch)
    log_prob, entropy = OneSoftmaxRows(output, decisions).evaluate()
    expected = [sum(logits[edge] - log_all for edge in row) for row in picks]
    assert log_prob.units.tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(entropy.units, TopKRows(output, decisions).evaluate()[1].units)


def test_the_mean_gradient_of_one_softmax_does_not_vanish_where_that_of_the_draw_does():
    """E[grad log p] is zero for the distribution that was drawn from, and for no other."""
    config = PolicyConfig(action="top_k", k=2, coherence=0.0)
    output, batch = cycle_output(recipes=1, requires_grad=True)
    still = PolicyOutput(output.edge_logits.detach(), output.recipe_logits.detach(), None)
    logits = TorchLogits(still, [CYCLE_GRAPH])
    means = {}
    for likelihood in ("exact", "softmax_over_edges"):
        total = torch.zeros_like(output.edge_logits)
        rng = np.random.default_rng(0)
        for _ in range(1500):
            decisions = DecisionBatch.from_decisions(sample(config, logits, [rng]).decisions, batch)
            units = make_actions(config, output, decisions, likelihood).evaluate()[0].units
            total += torch.autograd.grad(units.sum(), output.edge_logits)[0]
        means[likelihood] = float((total / 1500).norm())
    assert means["exact"] < 0.15 < 0.5 < means["softmax_over_edges"]

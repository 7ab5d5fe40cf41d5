"""The benchmark of inference, on a small graph; its first two variants give the same decisions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import inference
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.policy.choice import mode


def test_all_variants_are_measured_in_every_batch_and_on_large_graphs(tmp_path: Path) -> None:
    inference.main(["--quick", "--sizes", "400", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "inference.json").read_text())
    batches = result["figures"]["milliseconds_a_graph"]
    assert list(batches) == ["1", "8", "32"]
    (large,) = result["figures"]["one_graph"]
    assert (large["nodes"], large["edges"]) == (400, 2 * 20 * 19 + 2 * 19 * 19)
    for line in (*batches.values(), large["milliseconds"]):
        assert line["numpy_to_torch"] > 0 and line["pooled_to_numpy"] > 0
        assert all(line[variant]["median"] > 0 for variant in inference.VARIANTS)
    assert set(large["added_peak_bytes"]) == set(inference.VARIANTS)


def test_the_variants_are_the_same_policy() -> None:
    graphs = [inference.graph(seed, 12) for seed in range(3)]
    torch, numpy, _ = inference.logits_of().values()
    choices = [mode(PolicyConfig(), logits(graphs)) for logits in (torch, numpy)]
    for a, b, of_a, of_b in zip(
        *(choice.decisions for choice in choices), *(choice.edge_logits for choice in choices), strict=True
    ):
        assert a.recipe == b.recipe
        np.testing.assert_allclose(of_a, of_b, atol=1e-4)

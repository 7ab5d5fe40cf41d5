"""A run directory that other nodes do not see, on a cluster of two simulated nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.script import answer_of


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc, for a path that processes see otherwise")
def test_a_directory_that_a_node_does_not_see_is_refused(tmp_path: Path):
    answers = answer_of("two_nodes", tmp_path)
    assert answers["left"] == ["old"], "nothing is left of the probe"
    assert answers["one node"] is answers["shared, new"] is answers["shared, old"] is None
    assert "/proc/self/cwd/hidden/run is not seen by 2 of the cluster's 2 nodes (" in answers["not shared"]
    assert "set cluster.shared_run_dir=false if" in answers["not shared"]
    assert answers["URI, shared"] is answers["URI, not shared, accepted"] is None
    assert "/proc/self/cwd/uri is not seen by 2 of the cluster's 2 nodes (" in answers["URI, not shared"]

"""cluster/grafana: panels that do not overlap, and metrics that exist."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import ray.dashboard.modules.metrics.dashboards.default_dashboard_panels as ray_panels

from tests.cluster.files import CLUSTER, ROOT

DASHBOARD = json.loads((CLUSTER / "grafana" / "psparsity.json").read_text())
EXPORTED = ROOT / "rllib_psparsity" / "training" / "prometheus.py"


def metric_names() -> set[str]:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    expressions += [
        variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
    ]
    return set(re.findall(r"\bray_\w+", " ".join(expressions)))


def test_panels_are_whole_and_lie_beside_each_other():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x, y in itertools.product(range(panel["gridPos"]["w"]), range(panel["gridPos"]["h"]))
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
    for panel in panels:
        assert panel["title"] and panel["description"].endswith(".") and panel["targets"]
        assert panel["datasource"]["uid"] == "${datasource}"


def test_variables_that_expressions_use_are_declared():
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) <= declared


def test_metrics_of_ray_are_in_rays_own_dashboard():
    source = Path(ray_panels.__file__).read_text()
    of_ray = {name for name in metric_names() if not name.startswith("ray_psparsity_")}
    assert of_ray and all(name in source for name in of_ray)


def test_metrics_of_ours_are_exported():
    """Ray puts `ray_` before the names of `ray.util.metrics`."""
    ours = {name.removeprefix("ray_") for name in metric_names() if name.startswith("ray_psparsity_")}
    exported = set(re.findall(r"psparsity_\w+", EXPORTED.read_text()))
    assert ours and ours <= exported

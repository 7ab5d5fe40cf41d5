from __future__ import annotations

import base64
import json
import math
import re

import pytest

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.diagnose import criteria, diagnose
from rllib_psparsity.reporting.metrics import METRICS


def verdicts(text: str) -> list[str]:
    return re.findall(r"^(PASS|FAIL)  ", text, re.MULTILINE)


@pytest.fixture
def rising(run_row):
    """20 iterations whose reward is -2.0 at first and `last` over the last tenth (two iterations)."""

    def rows(last: float, **changes) -> list[dict]:
        return [run_row(k, reward_mean=-2.0 if k == 1 else last if k > 18 else -9.0, **changes) for k in range(1, 21)]

    return rows


def test_a_run_that_passes_everything(tmp_path, make_run, rising):
    text = diagnose(make_run(tmp_path / "good run", rising(0.5)))
    assert verdicts(text) == ["PASS"] * 5
    assert "PASS  mean reward rises by 100% (excellent): +125.0% (-2.0000 in the first epoch, 0.5000 at the" in text
    assert text.startswith("good run: 20 iterations, 1280 episodes, 60 s\n")
    assert "PASS  entropy of the softmax over edges stays above 1.0: lowest 6.000 nats, in iteration 1" in text
    assert "PASS  value head explains more than 20% of the variance: 50.0% over the last tenth" in text


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (-1.7, ["FAIL", "FAIL", "FAIL"]),
        (-1.5, ["PASS", "FAIL", "FAIL"]),
        (-1.0, ["PASS", "PASS", "FAIL"]),
        (0.0, ["PASS", "PASS", "PASS"]),
        (-2.5, ["FAIL", "FAIL", "FAIL"]),
        (math.nan, ["FAIL", "FAIL", "FAIL"]),
    ],
)
def test_reward_criteria(rising, run_config, last, expected):
    assert verdicts("\n".join(map(str, criteria(rising(last), run_config))))[:3] == expected


def test_both_ends_are_passes_over_all_problems(run_row, run_config):
    rows = [run_row(k, reward_mean=float(k)) for k in range(1, 11)]
    whole = run_config | {"problems": {"training_problems": 96}}
    assert criteria(rows, whole)[0].figure == "+350.0% (2.0000 in the first epoch, 9.0000 at the end)"


def test_a_reward_that_is_a_logarithm_of_work_gains_what_is_saved(run_row, run_config):
    rows = [run_row(1, reward_mean=-math.log(8.0)), run_row(2, reward_mean=-math.log(2.0))]
    work = criteria(rows, run_config | {"reward": {"name": "work_per_digit"}})
    assert work[0].figure == "+75.0% (of the work per digit saved, -2.0794 in the first epoch, -0.6931 at the end)"
    assert [c.passed for c in work][:3] == [True, True, False]


def test_no_share_of_nothing(run_row, run_config):
    rows = [run_row(1, reward_mean=0.0), run_row(2, reward_mean=1.0)]
    assert [c.passed for c in criteria(rows, run_config)][:3] == [False] * 3


def test_entropy_that_dips_once(tmp_path, make_run, rising, run_config):
    rows = rising(0.5)
    rows[7]["entropy_softmax_over_edges"] = 1.0
    text = diagnose(make_run(tmp_path, rows))
    assert verdicts(text) == ["PASS", "PASS", "PASS", "FAIL", "PASS"]
    assert "FAIL  entropy of the softmax over edges stays above 1.0: lowest 1.000 nats, in iteration 8" in text
    rows[11]["entropy_softmax_over_edges"] = math.nan
    assert str(criteria(rows, run_config)[3]).endswith("lowest nan nats, in iteration 12")
    assert not criteria(rows, run_config)[3].passed


def test_explained_variance_of_the_last_tenth(rising, run_config):
    rows = rising(0.5)
    rows[18]["explained_variance"], rows[19]["explained_variance"] = 0.3, 0.1
    assert not criteria(rows, run_config)[4].passed
    assert criteria(rows, run_config)[4].figure == "20.0% over the last tenth"
    rows[19]["explained_variance"] = 0.2
    assert criteria(rows, run_config)[4].passed


def test_facts(tmp_path, make_run, rising):
    rows = rising(0.5)
    for row in rows[10:]:
        row["clipped_share"] = 0.75
        row["grad_norm_edge_head"] = 0.05
    text = diagnose(make_run(tmp_path, rows, {"training": {"grad_clip": None, "rollouts_per_problem": 2}}))
    assert "updates clipped: 50% of all (bound none), 0.25 -> 0.75" in text
    assert "edge head 0.5 -> 0.05" in text
    assert "largest part over smallest, over the last tenth: 40.0" in text
    assert "failed set-ups: 20 of 1280 episodes" in text
    assert "curriculum" not in text


def test_losses_are_named_if_there_are_any(tmp_path, make_run, rising):
    rows = rising(0.5)
    rows[0]["dropped_episodes"] = rows[0]["skipped_updates"] = math.nan  # of an earlier version
    text = diagnose(make_run(tmp_path / "quiet", rows))
    assert "dropped" not in text and "skipped" not in text
    rows[4]["dropped_episodes"], rows[9]["dropped_episodes"] = 2.0, 1.0
    text = diagnose(make_run(tmp_path / "lossy", rows))
    assert "dropped episodes: 3, the first in iteration 5" in text and "skipped" not in text


def test_zero_gradients_and_curriculum(tmp_path, make_run, rising):
    config = {"problems": {"training_problems": 32, "curriculum": {"enabled": True}}}
    text = diagnose(make_run(tmp_path, rising(0.5, grad_norm_value_head=0.0), config))
    assert "over the last tenth: not defined (a part is zero or missing)" in text
    assert "the curriculum is on" in text


def test_report_is_self_contained(tmp_path, make_run, rising):
    run_dir = make_run(tmp_path / "a <b> & c", rising(0.5))
    text = diagnose(run_dir)
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r"src=\"([^\"]*)\"", page)
    assert len(sources) == page.count("src=") == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert base64.b64decode(sources[0].split(",")[1]).startswith(b"\x89PNG\r\n")
    assert not re.search(r"https?://|<link|<script|@import|url\(", page)
    assert "a &lt;b&gt; &amp; c" in page and "<b>" not in page
    assert text.splitlines()[4].replace("&", "&amp;").replace(">", "&gt;") in page
    assert "&quot;grad_clip&quot;: 5.0" in page
    assert sorted(file.name for file in run_dir.iterdir()) == ["config.json", "metrics.parquet", "report.html"]


@pytest.mark.parametrize("missing", [False, True])
def test_one_row_even_of_missing_figures(tmp_path, make_run, run_row, missing):
    changes = {m.name: math.nan for m in METRICS if not m.is_integer} if missing else {}
    text = diagnose(make_run(tmp_path, [run_row(1, **changes)]))
    assert verdicts(text) == (["FAIL"] * 5 if missing else ["FAIL"] * 3 + ["PASS"] * 2)


def test_directory_without_metrics(tmp_path):
    with pytest.raises(InputError, match=r"holds no metrics\.parquet; give the directory of a run"):
        diagnose(tmp_path)
    with pytest.raises(InputError, match=r"holds no metrics\.parquet"):
        diagnose(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_metrics_without_rows_and_damaged_config(tmp_path, make_run, run_row):
    from rllib_psparsity.reporting.metrics import MetricsFile

    run_dir = make_run(tmp_path, [run_row(1)])
    (run_dir / "config.json").write_text('{"seed": ')
    with pytest.raises(InputError, match=r"config\.json cannot be read as JSON \("):
        diagnose(run_dir)
    (run_dir / "config.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match=r"config\.json is not a JSON object; give"):
        diagnose(run_dir)
    (run_dir / "config.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"config\.json is not the configuration of a run \(it lacks 'problems'\); give"
    ):
        diagnose(run_dir)
    (run_dir / "config.json").unlink()
    with pytest.raises(InputError, match=r"holds no config\.json; give"):
        diagnose(run_dir)
    MetricsFile(run_dir / "metrics.parquet").truncate_after(0)
    with pytest.raises(
        InputError, match=r"metrics\.parquet holds no iteration yet; let the training finish at least one$"
    ):
        diagnose(run_dir)
    assert not (run_dir / "report.html").exists()

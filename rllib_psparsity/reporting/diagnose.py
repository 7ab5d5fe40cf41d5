"""`psparsity diagnose`: the triage document's criteria and the curves of a run."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.epochs import LOG_WORK_REWARDS, ends, episodes_of_an_epoch, gain
from rllib_psparsity.reporting.metrics import MetricsFile, MetricsRow
from rllib_psparsity.reporting.plots import training_figure

REWARD_CRITERIA = (("minimum", 0.20), ("good", 0.50), ("excellent", 1.00))
ENTROPY_FLOOR = 1.0
EXPLAINED_VARIANCE_FLOOR = 0.20
GRADIENT_PARTS = ("grad_norm_encoder", "grad_norm_edge_head", "grad_norm_value_head")


@dataclass(frozen=True)
class Criterion:
    """One criterion: what is asked, whether the run passes, and the figure it is judged on."""

    name: str
    passed: bool
    figure: str

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}  {self.name}: {self.figure}"


def diagnose(run_dir: Path) -> str:
    """Judge a run by the triage document's criteria, and draw its curves.

    Reads ``metrics.parquet`` and ``config.json`` of `run_dir`, writes ``report.html`` (self-contained) there, and
    returns the text. `InputError` if either file is missing, empty or damaged.
    """
    run_dir = Path(run_dir)
    rows = _rows(run_dir)
    config = _config(run_dir)
    lines = [
        f"{run_dir.name or run_dir}: {len(rows)} iterations, {rows[-1]['episodes']} episodes, "
        f"{rows[-1]['seconds']:.0f} s",
        "",
        "Criteria",
        *(str(criterion) for criterion in criteria(rows, config)),
        "",
        "Facts",
        *facts(rows, config),
    ]
    text = "\n".join(lines)
    grad_clip = config.get("training", {}).get("grad_clip")
    image = io.BytesIO()
    training_figure(rows, grad_clip).savefig(image, format="png", dpi=100)
    page = _page(run_dir.name, text, image.getvalue(), config)
    write_atomically(run_dir / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return text


def criteria(rows: Sequence[MetricsRow], config: Mapping[str, Any]) -> list[Criterion]:
    """The five criteria (TRIAGE T24) of a run with at least one row.

    The reward is the mean over the first epoch, a pass over the training problems, against that of the last tenth of
    the iterations, or of the last epoch where that is longer; the rise is what `epochs.gain` says. A figure that does
    not exist (NaN) passes nothing.
    """
    first, last = (sum(row["reward_mean"] for row in end) / len(end) for end in ends(rows, config))
    change = gain(first, last, config["reward"]["name"])
    what = "of the work per digit saved, " if config["reward"]["name"] in LOG_WORK_REWARDS else ""
    reward = f"{change:+.1%} ({what}{first:.4f} in the first epoch, {last:.4f} at the end)"
    entropies = [row["entropy_softmax_over_edges"] for row in rows]
    where = min(range(len(rows)), key=lambda k: -math.inf if math.isnan(entropies[k]) else entropies[k])
    lowest, iteration = entropies[where], rows[where]["iteration"]
    variance = mean_of_last_tenth(rows, "explained_variance")
    return [
        *(
            Criterion(f"mean reward rises by {share:.0%} ({level})", change >= share, reward)
            for level, share in REWARD_CRITERIA
        ),
        Criterion(
            f"entropy of the softmax over edges stays above {ENTROPY_FLOOR}",
            lowest > ENTROPY_FLOOR,
            f"lowest {lowest:.3f} nats, in iteration {iteration}",
        ),
        Criterion(
            f"value head explains more than {EXPLAINED_VARIANCE_FLOOR:.0%} of the variance",
            variance > EXPLAINED_VARIANCE_FLOOR,
            f"{variance:.1%} over the last tenth",
        ),
    ]


def facts(rows: Sequence[MetricsRow], config: dict[str, Any]) -> list[str]:
    """What helps to understand a verdict, a sentence each: gradients, entropy, work, failures."""

    def course(name: str) -> str:
        return f"{rows[0][name]:.4g} -> {mean_of_last_tenth(rows, name):.4g}"

    clip = config.get("training", {}).get("grad_clip")
    clipped = sum(row["clipped_share"] for row in rows) / len(rows)
    parts = [mean_of_last_tenth(rows, name) for name in GRADIENT_PARTS]
    smallest, largest = min(parts), max(parts)
    ratio = "not defined (a part is zero or missing)" if not smallest > 0 else f"{largest / smallest:.1f}"
    failed = sum(row["failed_setups"] for row in rows)
    lines = [
        "(first iteration -> mean of the last tenth)",
        f"updates clipped: {clipped:.0%} of all (bound {'none' if clip is None else clip}), {course('clipped_share')}",
        f"gradient norms before the clip: encoder {course('grad_norm_encoder')}, edge head "
        f"{course('grad_norm_edge_head')}, value head {course('grad_norm_value_head')}",
        f"largest part over smallest, over the last tenth: {ratio}",
        f"entropy of an edge decision: {course('entropy_edge')} nats; of the recipe: {course('entropy_recipe')} nats",
        f"standard deviation of the advantages: {course('advantage_std')}",
        f"work per digit: {course('work_per_digit_mean')}; operator complexity: {course('operator_complexity_mean')}",
        f"failed set-ups: {failed} of {rows[-1]['episodes']} episodes",
    ]
    for name, label in (("dropped_episodes", "dropped episodes"), ("skipped_updates", "skipped updates")):
        lost = sum(row[name] for row in rows if not math.isnan(row[name]))
        if lost:
            first = next(row["iteration"] for row in rows if row[name] > 0)
            lines.append(f"{label}: {lost:.0f}, the first in iteration {first}")
    if config.get("problems", {}).get("curriculum", {}).get("enabled"):
        lines.append("the curriculum is on: problems grow harder, so the first and the last reward are not of a kind")
    return lines


def mean_of_last_tenth(rows: Sequence[MetricsRow], name: str) -> float:
    """Mean of a column over the last tenth of the rows, rounded up; NaN if a value in it is."""
    tail = rows[-math.ceil(len(rows) / 10) :]
    return sum(row[name] for row in tail) / len(tail)


def _rows(run_dir: Path) -> list[MetricsRow]:
    path = run_dir / "metrics.parquet"
    if not path.is_file():
        raise InputError(f"{run_dir} holds no metrics.parquet; give the directory of a run that psparsity train made")
    rows = MetricsFile(path).rows
    if not rows:
        raise InputError(f"{path} holds no iteration yet; let the training finish at least one")
    return rows


def _config(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "config.json"
    remedy = "give the directory of a run that psparsity train made"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{run_dir} holds no config.json; {remedy}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); {remedy}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is not a JSON object; {remedy}")
    try:
        _ = episodes_of_an_epoch(config), config["reward"]["name"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not the configuration of a run (it lacks {error}); {remedy}") from error
    return config


def _page(name: str, text: str, png: bytes, config: dict[str, Any]) -> str:
    picture = base64.b64encode(png).decode("ascii")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{html.escape(name)}</title>
<style>
body {{ font-family: sans-serif; max-width: 85em; margin: 2em auto; padding: 0 1em; color: #222; }}
pre {{ background: #f6f6f6; padding: 1em; overflow-x: auto; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<h1>{html.escape(name)}</h1>
<pre>{html.escape(text)}</pre>
<img alt="curves of the training" src="data:image/png;base64,{picture}">
<h2>Configuration</h2>
<pre>{html.escape(json.dumps(config, indent=2))}</pre>
</body>
</html>
"""

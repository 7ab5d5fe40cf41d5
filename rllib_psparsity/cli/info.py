"""`psparsity info`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

PACKAGES = ("numpy", "scipy", "pyamg", "torch", "ray")


def info() -> int:
    """Print versions, what a configuration may name, and what every configuration key means."""
    from rllib_psparsity import __version__
    from rllib_psparsity.amg.recipe import DEFAULT_MENU, MEASURES, PROLONGATIONS
    from rllib_psparsity.config.keys import config_keys
    from rllib_psparsity.config.schema import BACKBONE_NAMES, REWARD_NAMES, TrainingConfig
    from rllib_psparsity.extensions import registered
    from rllib_psparsity.problems.families import family_names

    rows = [("rllib_psparsity", __version__), ("python", platform.python_version())]
    rows += [(package, _version(package)) for package in PACKAGES]
    rows += [
        ("CPUs", str(os.cpu_count())),
        ("families", ", ".join(sorted(family_names()))),
        ("rewards", ", ".join((*REWARD_NAMES, *registered("rewards")))),
        ("backbones", ", ".join((*BACKBONE_NAMES, *registered("backbones")))),
        ("algorithms", _choices(TrainingConfig, "algorithm")),
        ("recipes", "coarsening/prolongation/measure, or coarsening/prolongation/measure/threshold"),
    ]
    rows += [(f"  {coarsening}", ", ".join(names)) for coarsening, names in PROLONGATIONS.items()]
    measures = [f"{name} ({measure.textbook:g})" for name, measure in MEASURES.items()]
    rows += [("  measures (textbook threshold)", ", ".join(measures)), ("  default menu", ", ".join(DEFAULT_MENU))]
    _print_rows(rows)
    print("\nconfiguration keys, for --set and study files:")
    _print_rows([(f"  {key.name}", key.description) for key in config_keys() if not key.is_section])
    return 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _choices(section: type, field: str) -> str:
    return ", ".join(get_args(section.model_fields[field].annotation))


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")

"""The studies that ship with the package."""

from __future__ import annotations

from pathlib import Path

TRIAGE = "triage"
"""The study of the triage document, with its variations A and B."""


def study_path(name: str) -> Path:
    """The YAML of a shipped study: in the repository's `studies/`, which a wheel carries inside the package."""
    package = Path(__file__).parents[1]
    installed = package / "studies"
    return (installed if installed.is_dir() else package.parent / "studies") / f"{name}.yaml"

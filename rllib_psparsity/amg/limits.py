"""Where a hierarchy ends, and how far down its candidates are relaxed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Where a hierarchy ends, and how far down its candidates are relaxed; also the `environment` section of the
    configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    max_coarse: int = Field(default=50, gt=0, le=10_000)
    """A level of at most this many nodes is the coarsest, and solved directly."""
    max_levels: int = Field(default=10, ge=2, le=100)
    """The most levels a hierarchy may have, the finest included."""
    stall_ratio: float = Field(default=0.9, gt=0, lt=1)
    """A coarsening that keeps more than this share of the nodes has stalled."""
    max_operator_complexity: float = Field(default=4.0, gt=1, le=100)
    """A hierarchy above this operator complexity has exploded."""
    relaxed_levels: int = Field(default=1, ge=1)
    """On so many levels, from the finest on, the near-nullspace candidates are relaxed: 1 as in PyAMG's smoothed
    aggregation, or at least `max_levels` for all as in its root-node method. On large problems all saves up to 40 % of
    the work."""

"""How many faults a run bears."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rllib_psparsity.config.schema import FaultsConfig

LOSSES = {
    "dropped_episodes": "episodes were dropped, since their environment hung, raised or paid what is not finite",
    "skipped_updates": "updates were skipped, since their gradient was not finite",
}


def beyond_limits(rows: Sequence[Mapping[str, Any]], faults: FaultsConfig) -> str | None:
    """Why a run with these rows of metrics has to stop; None if it may go on.

    Counted over the whole run, resumed or not.
    """
    for name, what in LOSSES.items():
        count = sum(row[name] for row in rows if not math.isnan(row[name]))
        limit = getattr(faults, name)
        if count > limit:
            return f"{count:.0f} {what}, and faults.{name} allows {limit}"
    return None

"""From easy to hard problems, as fast as the reward allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rllib_psparsity.config.schema import CurriculumConfig


class Curriculum:
    """The difficulty, in [0, 1], of the problems that are drawn next.

    It starts at 0 and rises by ``config.step`` at a promotion: when the mean reward exceeds the one at the last
    promotion (at first, the first one seen) by more than ``config.improvement`` x max(1, |that reward|), or after
    ``config.patience`` iterations without. When disabled it is always 1.
    """

    def __init__(self, config: CurriculumConfig) -> None:
        self._config = config
        self._promotions = 0
        self._waited = 0
        self._reference: float | None = None

    @property
    def difficulty(self) -> float:
        return min(1.0, self._promotions * self._config.step) if self._config.enabled else 1.0

    def update(self, mean_reward: float) -> None:
        """Tell the mean reward of an iteration, once per iteration; one that is not finite is no improvement."""
        if self.difficulty >= 1:
            return
        self._waited += 1
        reward = float(mean_reward) if math.isfinite(mean_reward) else None
        if self._reference is None:
            self._reference = reward
        if self._has_risen(reward) or self._waited >= self._config.patience:
            self._promotions += 1
            self._waited = 0
            self._reference = reward

    def _has_risen(self, reward: float | None) -> bool:
        if reward is None or self._reference is None:
            return False
        return reward - self._reference > self._config.improvement * max(1.0, abs(self._reference))

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on exactly, as JSON knows it."""
        return {"promotions": self._promotions, "waited": self._waited, "reference": self._reference}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a `get_state` of the same configuration."""
        self._promotions = int(state["promotions"])
        self._waited = int(state["waited"])
        self._reference = state["reference"]

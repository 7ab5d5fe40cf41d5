"""The Learner: whole graphs in minibatches, and the diagnostics that the triage document asks for."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.connectors import STEPS
from rllib_psparsity.training.entropy_coefficient import EntropyCoefficient
from rllib_psparsity.training.loss import StepBatch, policy_loss
from rllib_psparsity.training.module import GRAPHS, OUTPUT
from rllib_psparsity.training.schedules import ITERATION, faded, temperature

ENTROPY_COEFFICIENT, TEACHER = "entropy_coefficient", "teacher"
SHUFFLING = 4
"""Spawn key of the minibatches' shuffling."""


class SparsifyLearner(PPOTorchLearner):
    """PPO, A2C or REINFORCE on `StepBatch`es.

    RLlib slices and shuffles the object column of `Step`s, so a minibatch size counts whole graphs; here each slice
    becomes one disjoint union. Figures are means over an iteration's updates, logged once. The state holds the entropy
    coefficient, which may move with every update, and the teacher of `training.kickstart_coefficient`.

    An update whose gradient is not finite is skipped and counted, and the optimizer does not hear of it: RLlib's own
    `torch_skip_nan_gradients` lets such a gradient through. Learners share gradients, so all of them skip it.
    """

    def build(self) -> None:
        super().build()
        self.entropy_coefficient = EntropyCoefficient(self._run)
        self.teacher: SparsifierPolicy | None = None

    def keep_teacher(self) -> None:
        """The policy as it is now is what `training.kickstart_coefficient` holds the run to."""
        self.teacher = _frozen(self._network)

    @property
    def _run(self) -> Config:
        return self.config.run_config

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().before_gradient_based_update(timesteps=timesteps)
        self._figures: dict[str, list[float]] = defaultdict(list)
        self._skipped = 0
        self._iteration = int(timesteps[ITERATION])
        # The one that the episodes were sampled at.
        self._set_temperature(self._iteration - 1 - self._run.training.overlap)
        # After every iteration RLlib puts its own, constant rate back.
        self._rate = self._run.training.lr * self._run.training.lr_factor ** (self._iteration - 1)
        (group,) = self.get_optimizer(DEFAULT_MODULE_ID).param_groups
        group["lr"] = self._rate
        # RLlib shuffles with numpy's global generator: seeded by the iteration, a resumed run shuffles as an unbroken
        # one does.
        sequence = np.random.SeedSequence(self._run.seed, spawn_key=(SHUFFLING, self._iteration))
        np.random.seed(sequence.generate_state(1)[0])  # noqa: NPY002 - the global one is what RLlib uses

    def _update(self, batch: dict[str, Any], **kwargs: Any) -> Any:
        batches = {}
        for module_id, columns in batch.items():
            steps = StepBatch.from_steps(columns[STEPS], self._device)
            batches[module_id] = {GRAPHS: steps.graphs, STEPS: steps}
        return super()._update(batches, **kwargs)

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Any:
        world_size = config.num_learners if self.distributed else 1
        coefficient = self.entropy_coefficient.value * faded(self._run.entropy.fade, self._iteration)
        teacher_logits = None
        if self.teacher is not None:
            with torch.no_grad():
                teacher_logits = self.teacher(batch[GRAPHS], with_value=False).recipe_logits
        loss, figures = policy_loss(fwd_out[OUTPUT], batch[STEPS], self._run, coefficient, world_size, teacher_logits)
        self._note(figures | {ENTROPY_COEFFICIENT: coefficient})
        if self._run.entropy.target is not None:
            self.entropy_coefficient.update(self._mean_over_learners(figures["entropy_bonus"], world_size))
        return loss

    def postprocess_gradients(self, gradients_dict: Any) -> Any:
        """Norms by part of the network before the clip; then RLlib's clip."""
        norm_of = {id(self._params[key]): grad.norm() for key, grad in gradients_dict.items() if grad is not None}
        total = _root_sum(list(norm_of.values()))
        figures = {"grad_norm": total}
        for part, parameters in self._network.parameter_groups().items():
            figures[f"grad_norm_{part}"] = _root_sum([norm_of[id(p)] for p in parameters if id(p) in norm_of])
        clip = self._run.training.grad_clip
        figures["clipped_share"] = float(clip is not None and total > clip)
        self._skip = not math.isfinite(total)
        if self._skip:
            self._skipped += 1
            self._note(dict.fromkeys(figures, math.nan))
            return gradients_dict
        self._note(figures)
        return super().postprocess_gradients(gradients_dict)

    def apply_gradients(self, gradients_dict: Any) -> None:
        if not self._skip:
            super().apply_gradients(gradients_dict)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        means = {name: _finite_mean(values) for name, values in self._figures.items()}
        means["updates"] = float(len(self._figures["grad_norm"]) - self._skipped)
        means["skipped_updates"] = float(self._skipped)
        means["learning_rate"] = self._rate
        means["temperature"] = float(self._network.temperature)
        self.metrics.log_dict(means, key=DEFAULT_MODULE_ID, window=1)
        # For what is sampled next: the buffer goes to the env runners with the weights.
        self._set_temperature(self._iteration)

    def _set_temperature(self, updates: int) -> None:
        self._network.temperature.fill_(temperature(self._run.policy.temperature, max(updates, 0)))

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self.teacher is not None and self._check_component(TEACHER, components, not_components):
            state[TEACHER] = {name: tensor.cpu().numpy() for name, tensor in self.teacher.state_dict().items()}
        return state | {ENTROPY_COEFFICIENT: self.entropy_coefficient.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if ENTROPY_COEFFICIENT in state:
            self.entropy_coefficient.set_state(state[ENTROPY_COEFFICIENT])
        if TEACHER in state:
            self.teacher = _frozen(self._network)
            self.teacher.load_state_dict({name: torch.from_numpy(array) for name, array in state[TEACHER].items()})

    def _mean_over_learners(self, figure: float, world_size: int) -> float:
        if world_size == 1:
            return figure
        total = torch.tensor(figure, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(total)
        return float(total) / world_size

    @property
    def _network(self) -> Any:
        return self.module[DEFAULT_MODULE_ID].unwrapped().network

    def _note(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._figures[name].append(value)


def _frozen(network: SparsifierPolicy) -> SparsifierPolicy:
    return copy.deepcopy(network).requires_grad_(False)


def _finite_mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan


def _root_sum(norms: list[torch.Tensor]) -> float:
    return float(torch.stack(norms).square().sum().sqrt()) if norms else 0.0

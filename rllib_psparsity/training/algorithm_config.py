"""From the project's `Config` to RLlib's AlgorithmConfig."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.ppo.ppo import PPOConfig
from ray.rllib.connectors.learner import LearnerConnectorPipeline
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.registry import register_env

from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.training.env_runner import SparsifyEnvRunner
from rllib_psparsity.training.runner_connectors import DecisionsToEnv, GraphsToModule

ENV_NAME = "sparsify"
UNBOUNDED = 10**9
"""Of RLlib's own batch size and limit of requests, which play no part: an iteration is a number of episodes, and
`training.sampling` says who gets how many."""
RESTORE_TIMEOUT_SECONDS = 20.0
"""How long an iteration waits for a lost runner to take its weights over."""
PROBE_SECONDS = 1.0
"""How long the driver waits for a sign of life of the runners that are lost."""

RESTART_SECONDS = 1.0
"""How long a runner that raised an error stays before its process ends; RLlib would have it stay for a minute."""


class SparsifyPPOConfig(PPOConfig):
    """RLlib's side of a run; everything that is ours stays in `run_config`, the project's own config.

    Env runners load it too, so what needs torch is imported where it is asked for.
    """

    def __init__(self, algo_class: Any = None) -> None:
        from rllib_psparsity.training.algorithm import SparsifyPPO

        super().__init__(algo_class=algo_class or SparsifyPPO)
        self.run_config = Config()
        self.env_runner_cls = SparsifyEnvRunner
        self.batch_mode = "complete_episodes"
        self.episodes_to_numpy = False
        self.add_default_connectors_to_env_to_module_pipeline = False
        self.add_default_connectors_to_module_to_env_pipeline = False
        self.add_default_connectors_to_learner_pipeline = False
        self.use_kl_loss = False
        self.train_batch_size_per_learner = UNBOUNDED
        self.restart_failed_env_runners = True
        # Our connectors have no state, and a runner in the middle of a chunk would not answer.
        self._dont_auto_sync_env_runner_states = True
        # RLlib would wait half an hour for a runner that comes back, and the other runners with it.
        self.env_runner_restore_timeout_s = RESTORE_TIMEOUT_SECONDS
        # Nor is it to be waited for until it has come back: it is asked again soon.
        self.env_runner_health_probe_timeout_s = PROBE_SECONDS
        self.delay_between_env_runner_restarts_s = RESTART_SECONDS
        self.apply_run(self.run_config)

    def apply_run(self, run: Config) -> SparsifyPPOConfig:
        """Take over a run's settings wherever RLlib has a setting of its own for them."""
        register_env(ENV_NAME, lambda context: SparsifyEnv(run))
        self.run_config = run
        self.environment(env=ENV_NAME)
        self.debugging(seed=run.seed)
        # RLlib's own means of returns and lengths are then those of an iteration's episodes.
        self.reporting(metrics_num_episodes_for_smoothing=run.training.episodes_per_iteration)
        self.env_runners(num_env_runners=run.env_runners.count, max_requests_in_flight_per_env_runner=UNBOUNDED)
        self.learners(num_learners=run.learner.count, num_gpus_per_learner=run.learner.gpus)
        self.training(
            lr=run.training.lr,
            grad_clip=run.training.grad_clip,
            entropy_coeff=run.training.entropy_coefficient,
            gamma=run.training.gamma,
            lambda_=run.training.lambda_,
            clip_param=run.training.clip,
            num_epochs=run.training.epochs,
            minibatch_size=run.training.minibatch_graphs,
            vf_loss_coeff=run.training.value_coefficient,
        )
        self._env_to_module_connector = lambda env=None, spaces=None, device=None: [GraphsToModule()]
        self._module_to_env_connector = lambda env=None, spaces=None: [DecisionsToEnv(run)]
        return self

    def build_learner_connector(
        self, input_observation_space: Any, input_action_space: Any, device: Any = None
    ) -> LearnerConnectorPipeline:
        from rllib_psparsity.training.connectors import HierarchicalGAE
        from rllib_psparsity.training.scalar_credit import ScalarCredit

        credit = ScalarCredit if self.run_config.training.algorithm == "reinforce" else HierarchicalGAE
        return LearnerConnectorPipeline(
            connectors=[credit(self.run_config, device)],
            input_observation_space=input_observation_space,
            input_action_space=input_action_space,
        )

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        from rllib_psparsity.training.module import SparsifierModule

        policy = self.run_config.policy.model_dump(mode="json", by_alias=True)
        return RLModuleSpec(
            module_class=SparsifierModule, model_config={"policy": policy, "seed": self.run_config.seed}
        )

    def get_default_learner_class(self) -> type:
        from rllib_psparsity.training.learner import SparsifyLearner

        return SparsifyLearner

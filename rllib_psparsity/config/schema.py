"""The configuration of a run; the docstring of each field is its documentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import DEFAULT_MENU, parse_menu
from rllib_psparsity.extensions import Kind, load_extension

Range = tuple[float, float]
Positive = Annotated[int, Field(gt=0)]
REWARD_NAMES = ("work_per_digit", "energy_reduction", "pcg_iterations", "hybrid", "total_work")
BACKBONE_NAMES = ("sparse", "gat", "gcn", "sage", "gin")


def _known(kind: Kind, built_in: Sequence[str]) -> AfterValidator:
    """A built-in name, or that of an extension, which is imported here: what is wrong with it is said at once."""

    def check(name: str) -> str:
        if name not in built_in:
            load_extension(kind, name, built_in)
        return name

    return AfterValidator(check)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class FamilyConfig(Section):
    """One member of a problem mix."""

    family: str
    """Name of a problem family (see `psparsity info`)."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the mix, relative to the other members."""
    size: tuple[int, int] = (24, 40)
    """Smallest and largest number of grid points or cells a side."""
    parameters: dict[str, Range] = {}
    """Ranges that replace the family's own, by parameter name."""


class CurriculumConfig(Section):
    """From easy to hard: sizes and parameter ranges grow with a difficulty that progress drives."""

    enabled: bool = False
    """Start with the easy end of every range."""
    step: float = Field(default=0.1, gt=0, le=1)
    """How much the difficulty, from 0 to 1, rises at a promotion."""
    improvement: float = Field(default=0.05, ge=0)
    """Rise of the mean reward, since the last promotion, that earns the next one."""
    patience: Positive = 10
    """Iterations after which a promotion comes anyway."""


class ProblemsConfig(Section):
    """Where the matrices come from."""

    families: tuple[FamilyConfig, ...] = Field(
        min_length=1,
        default=(
            FamilyConfig(family="anisotropic_diffusion_fd", weight=2.0),
            FamilyConfig(family="anisotropic_diffusion_fe", weight=2.0),
            FamilyConfig(family="jump_diffusion", weight=1.0),
            FamilyConfig(family="unstructured_diffusion", weight=1.0, size=(20, 32)),
            FamilyConfig(family="graph_laplacian", weight=1.0),
            FamilyConfig(family="helmholtz_shifted", weight=1.0),
        ),
    )
    """The mix."""
    training_problems: Positive | None = None
    """Size of a fixed set of training problems; null draws a new problem for every episode."""
    heldout_problems: Positive = 24
    """Problems of the final comparison; their seeds never meet the training seeds."""
    renumbered: float = Field(default=0.0, ge=0, le=1)
    """Share of the families' problems whose nodes are put in a random order. Aggregation depends on the order, and
    meshes do not have that of a grid, row by row."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """Easy problems first."""


class RewardConfig(Section):
    """What an episode is paid for."""

    name: Annotated[str, _known("rewards", REWARD_NAMES)] = "pcg_iterations"
    """The measure of the hierarchy's quality (see `psparsity info`)."""
    shaping: bool = True
    """Pay every level by the change of the quality of the hierarchy truncated there (potential-based)."""
    vectors: Positive = 4
    """Test vectors of the block V-cycle (K)."""
    normalise: bool = False
    """Divide rewards by their running standard deviation."""
    solves_per_setup: Positive = 1
    """For `total_work`: over how many solves to 1e-8 the work of a set-up is spread."""

    @model_validator(mode="after")
    def _solves_have_an_effect(self) -> RewardConfig:
        if self.solves_per_setup != 1 and self.name != "total_work":
            raise ValueError(
                f"solves_per_setup is {self.solves_per_setup}, but {self.name} does not pay for set-ups; set it to 1, "
                "or reward.name to total_work"
            )
        return self


class TemperatureConfig(Section):
    """Schedule of the softmax temperature, in sampling and in the log-probabilities."""

    initial: float = Field(default=0.2, gt=0)
    """Temperature of the first iteration."""
    factor: float = Field(default=1.0, gt=0, le=1)
    """Multiplied in after every iteration."""
    floor: float = Field(default=0.05, gt=0)
    """Never below this, unless `initial` is."""


class PolicyConfig(Section):
    """The network and what it decides."""

    network: Literal["graph", "pooled"] = "graph"
    """What decides: a graph network, or no more than what is known of a level as a whole (moments of its features), by
    which the recipe is chosen, and edges by the recipe's measure at a learned threshold: at deployment a fraction of
    the cost. Values have a graph network either way."""
    backbone: Annotated[str, _known("backbones", BACKBONE_NAMES)] = "sparse"
    """Graph encoder (see `psparsity info`); `sparse` is the project's own, made of sparse products."""
    width: int = Field(default=16, ge=2, le=1024)
    """Channels of the encoder."""
    layers: int = Field(default=3, gt=0, le=64)
    """Rounds of message passing."""
    recipes: tuple[str, ...] = DEFAULT_MENU
    """The menu, as coarsening/prolongation/measure, or with the measure's threshold as a fourth part."""
    action: Literal["edges", "top_k"] = "edges"
    """One decision per edge, or k edges drawn from each row without replacement (the legacy action)."""
    k: Positive = 5
    """Edges a row for `top_k`."""
    prior: bool = True
    """Add the log-odds of a textbook strength measure to the network's edge logits; false leaves the network alone."""
    coherence: float = Field(default=0.9, ge=0, lt=1)
    """How alike edges with like features (rows of them for `top_k`) are drawn in training; 0 draws each by itself."""
    separate_value_trunk: bool = True
    """Give the value head an encoder of its own."""
    standardise: bool = True
    """Give encoders, edge head and recipe head their inputs less the mean, over the standard deviation, of the graphs
    of the first 32 training problems; at least 0.05, where inputs hardly differ. For the built-in backbones: others
    take false."""
    head_scale: float = Field(default=0.1, gt=0)
    """First size of the weights of each head's last layer, in units of torch's own. A small one starts training next to
    the prior, or to even odds; the first gradients of the encoders grow with it."""
    temperature: TemperatureConfig = TemperatureConfig()
    """Temperature of both heads."""
    tries: Positive = 1
    """Hierarchies that `learned_solver` sets up, which differ on the finest level, to keep the one that a test finds
    best; training does not look at it."""
    tries_in_doubt: Positive = 1
    """The same where the first one is poor and the policy was not sure of its coarsening (`deploy.guard`)."""

    @model_validator(mode="after")
    def _menu_is_valid(self) -> PolicyConfig:
        parse_menu(self.recipes)
        return self

    @model_validator(mode="after")
    def _pooled_has_what_it_needs(self) -> PolicyConfig:
        for name in ("prior", "separate_value_trunk") if self.network == "pooled" else ():
            if not getattr(self, name):
                raise ValueError(
                    f"network is pooled, but {name} is false: a pooled network decides edges by the prior and has no "
                    f"encoder that values could share; set policy.{name}=true or policy.network=graph"
                )
        return self


class BaselineConfig(Section):
    """The moving baseline of `reinforce`; `ppo` and `a2c` have the value head in its place."""

    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Share of the old mean of the rewards to go that an episode leaves in place."""
    variance_momentum: float = Field(default=0.99, ge=0, lt=1)
    """The same of their mean squared deviation from that mean."""
    normalise: bool = True
    """Divide the deviations, which are the advantages, by the root of that mean square."""
    warm_up: int = Field(default=100, ge=0)
    """Episodes before the first division."""


class TrainingConfig(Section):
    """How the policy is improved."""

    algorithm: Literal["ppo", "a2c", "reinforce"] = "ppo"
    """Clipped ratios; log-probability times the same advantages (one epoch); or log-probability times one number for
    the whole level, its reward to go less a moving baseline (one epoch, no value loss: the predecessor's)."""
    start_from: str | None = None
    """Policy whose weights the run starts from, by the name of a shipped one or the directory of an exported one; its
    network must be the run's. Null starts from nothing."""
    kickstart_coefficient: float = Field(default=0.0, ge=0)
    """Weight of KL(teacher || policy) of the recipe choice on the finest level, the teacher being the policy that the
    run starts from: what it knows there of rare problems is not unlearnt (kickstarting). 0 without `start_from`."""
    iterations: Positive = 45
    """Iterations in all; `resume --set training.iterations=N` raises it."""
    episodes_per_iteration: Positive = 128
    """Episodes between two updates."""
    rollouts_per_problem: Positive = 4
    """Episodes of the same problem; more than one compare recipes among themselves (leave-one-out baseline)."""
    sibling_baseline: bool = False
    """Compare the edges of several rollouts of a problem too: takes the mean of what the others' returns exceed their
    values by from the advantages (leave-one-out), which the values may be wrong by for the whole problem."""
    overlap: bool = True
    """Sample the next iteration's episodes while learning from this one's: their policy is one update older,
    for which `ppo` alone corrects."""
    epochs: Positive = 1
    """Passes over the episodes of an iteration; more than one is for `ppo`, the others would leave the policy that
    drew them."""
    minibatch_graphs: Positive = 48
    """The most distinct level graphs in a minibatch; rollouts of a problem share its finest one. Every minibatch is an
    update: `a2c` and `reinforce` are strictly on-policy if one holds a whole iteration."""
    lr: float = Field(default=3e-3, gt=0)
    """Learning rate of Adam in the first iteration."""
    lr_factor: float = Field(default=0.96, gt=0, le=1)
    """Multiplied into `lr` after every iteration."""
    grad_clip: float | None = Field(default=5.0, gt=0)
    """Bound of the global gradient norm; null for none."""
    entropy_coefficient: float = Field(default=0.002, ge=0)
    """Weight of the entropy of the edge decisions in the objective; where `entropy.target` is set, the first one."""
    recipe_entropy_coefficient: float = Field(default=0.1, ge=0)
    """Weight of the entropy of the recipe choice."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount from a level to the next; 1, since an episode ends by itself."""
    lambda_: float = Field(default=0.95, ge=0, le=1, alias="lambda")
    """Trace decay of the advantage estimate through the aggregation; `reinforce` has none."""
    edge_weight: float = Field(default=2.0, ge=0)
    """Weight of the edges' gain in the objective: its gradient, a mean over thousands of edges, is small by itself."""
    recipe_weight: float = Field(default=0.5, ge=0)
    """Weight of the recipes' gain in the objective."""
    clip: float = Field(default=0.2, gt=0)
    """Bound of `ppo` on the probability ratio of a single decision; the others know no ratio."""
    value_coefficient: float = Field(default=0.2, ge=0)
    """Weight of the value loss; `reinforce` has none."""
    likelihood: Literal["exact", "set", "softmax_over_edges"] = "exact"
    """The probability of a draw of `top_k` that is learned from: that of the ordered draw; that of the set of drawn
    edges, whose order builds nothing; or, for `reinforce`, that of the drawn edges in one softmax over all edges of the
    graph (the predecessor's, which is not how they were drawn)."""
    normalise_advantages: bool = True
    """Bring advantages to mean zero and deviation one over an iteration; `reinforce` has `baseline.normalise`."""
    baseline: BaselineConfig = BaselineConfig()
    """The moving baseline of `reinforce`."""
    node_credit: bool = True
    """Credit every node for its own digits and work; false gives all nodes of a level the level's reward, as
    `reinforce` does in any case."""

    @model_validator(mode="after")
    def _learns_on_policy(self) -> TrainingConfig:
        if self.epochs > 1 and self.algorithm != "ppo":
            raise ValueError(
                f"epochs is {self.epochs}, but {self.algorithm} learns from an episode once, since a second pass would "
                "be off-policy; set epochs to 1 or algorithm to ppo"
            )
        if self.kickstart_coefficient and self.start_from is None:
            raise ValueError(
                f"kickstart_coefficient is {self.kickstart_coefficient:g}, but start_from is null, and there is no "
                "policy to stay close to; set it to 0, or start_from to a policy"
            )
        if self.sibling_baseline and (self.rollouts_per_problem == 1 or self.algorithm == "reinforce"):
            alone = "a problem has one rollout" if self.rollouts_per_problem == 1 else "reinforce has a moving baseline"
            raise ValueError(
                f"sibling_baseline is true, but {alone}; set it to false, or rollouts_per_problem to 2 or more and "
                "algorithm to ppo or a2c"
            )
        if self.overlap and self.algorithm != "ppo":
            raise ValueError(
                f"overlap is true, but {self.algorithm} learns from episodes of the newest policy, and these would be "
                "of the one before; set overlap to false or algorithm to ppo"
            )
        return self


class EntropyConfig(Section):
    """Which entropy of the edge decisions is in the objective, and how its weight is found."""

    detach: bool = False
    """Reproduce the predecessor's bug: entropy without a gradient."""
    form: Literal["per_decision", "softmax_over_edges"] = "per_decision"
    """Mean entropy of a decision (an edge, or a row for `top_k`), or the predecessor's: that of one softmax over all
    edges of a graph."""
    target: float | None = Field(default=None, gt=0)
    """Nats of the `form` that the weight is to hold the policy at; null keeps `training.entropy_coefficient` fixed."""
    rate: float = Field(default=0.1, gt=0)
    """Change of the weight's logarithm in an update, per nat between entropy and target."""
    fade: Positive | None = None
    """Iterations in which `training.entropy_coefficient` falls linearly to nothing, without a target; null keeps it."""

    @model_validator(mode="after")
    def _one_rule_for_the_weight(self) -> EntropyConfig:
        if self.fade is not None and self.target is not None:
            raise ValueError(
                f"fade is {self.fade} and target {self.target:g}, but the weight of the entropy follows one rule; set "
                "fade or target to null"
            )
        return self

    @model_validator(mode="after")
    def _target_has_an_effect(self) -> EntropyConfig:
        if self.detach and self.target is not None:
            raise ValueError(
                f"target is {self.target:g} while detach is true, and a weight of what has no gradient reaches no "
                "target; set target to null or detach to false"
            )
        return self


class EnvRunnersConfig(Section):
    """Who generates episodes."""

    count: int = Field(default=2, ge=0)
    """Remote env runners, one CPU each; 0 samples in the driver."""
    episodes_per_chunk: Positive = 8
    """Episodes that are stepped together, with one inference for all of their graphs."""


class LearnerConfig(Section):
    """Who computes gradients."""

    count: int = Field(default=0, ge=0)
    """Remote learners; 0 learns in the driver."""
    gpus: float = Field(default=0, ge=0)
    """GPUs of each learner."""


class CheckpointConfig(Section):
    """What is kept."""

    every: Positive = 10
    """Iterations between two checkpoints; the last iteration always has one."""
    keep: Positive = 5
    """How many of the newest are kept."""


class FaultsConfig(Section):
    """What a run bears before it stops with exit code 1; `resume --set` may change it."""

    episode_timeout: float = Field(default=60.0, gt=0)
    """Seconds for each episode of a chunk. A remote env runner that takes longer is started anew, its episodes are
    tried one by one, and one that takes longer by itself is dropped."""
    dropped_episodes: int = Field(default=100, ge=0)
    """The most episodes of the whole run that may be dropped, because their environment hung, raised an error or paid
    a reward that is not finite."""
    skipped_updates: int = Field(default=100, ge=0)
    """The most updates of the whole run that may be skipped, because their gradient was not finite."""
    write_attempts: Positive = 3
    """Failed attempts in a row, one after each iteration, to write metrics and checkpoint, here or in storage."""


class ClusterConfig(Section):
    """What a run that joins a Ray cluster may rely on; `resume --set` may change it."""

    shared_run_dir: bool = True
    """Refuse a run directory that not every node sees, since the driver may come back on any of them."""
    patience: float | None = Field(default=None, ge=0)
    """Seconds without a new node that the run waits for CPUs and GPUs that the cluster lacks; null is 600 where nodes
    come and go (`ray up`, KubeRay) and 0 elsewhere."""


class ReportingConfig(Section):
    """Where the figures of an iteration go beside `metrics.parquet` and TensorBoard."""

    prometheus: bool = True
    """Export them through Ray, whose nodes answer Prometheus."""


class Config(Section):
    """One run of `psparsity train`."""

    seed: int = Field(default=0, ge=0)
    """Decides problems, initial weights and every random draw."""
    problems: ProblemsConfig = ProblemsConfig()
    environment: Limits = Limits()
    reward: RewardConfig = RewardConfig()
    policy: PolicyConfig = PolicyConfig()
    training: TrainingConfig = TrainingConfig()
    entropy: EntropyConfig = EntropyConfig()
    env_runners: EnvRunnersConfig = EnvRunnersConfig()
    learner: LearnerConfig = LearnerConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    faults: FaultsConfig = FaultsConfig()
    cluster: ClusterConfig = ClusterConfig()
    reporting: ReportingConfig = ReportingConfig()

    @model_validator(mode="after")
    def _likelihood_has_row_picks(self) -> Config:
        likelihood, algorithm, action = self.training.likelihood, self.training.algorithm, self.policy.action
        if likelihood == "softmax_over_edges" and (algorithm != "reinforce" or action != "top_k"):
            raise ValueError(
                f"training.likelihood is softmax_over_edges, which is for training.algorithm reinforce with "
                f"policy.action top_k, but these are {algorithm} and {action}; set training.likelihood to exact"
            )
        if likelihood == "set" and action != "top_k":
            raise ValueError(
                f"training.likelihood is set, which is for policy.action top_k, but that is {action}; set "
                "training.likelihood to exact"
            )
        return self

    @model_validator(mode="after")
    def _there_is_a_weight_to_fade(self) -> Config:
        if self.entropy.fade is not None and self.training.entropy_coefficient == 0:
            raise ValueError(
                f"training.entropy_coefficient is 0, and entropy.fade {self.entropy.fade} has nothing to fade; set "
                "entropy.fade to null, or the coefficient to 0.002"
            )
        return self

    @model_validator(mode="after")
    def _entropy_target_is_within_reach(self) -> Config:
        target = self.entropy.target
        if target is None:
            return self
        if self.training.entropy_coefficient == 0:
            raise ValueError(
                f"training.entropy_coefficient is 0, but entropy.target {target:g} needs a weight above 0 to start "
                "from; set it to 0.002"
            )
        if self.entropy.form == "per_decision" and self.policy.action == "edges" and target >= math.log(2.0):
            raise ValueError(
                f"entropy.target is {target:g}, but a choice of two has less than ln 2 = 0.693 nats; lower it"
            )
        return self

"""A trained policy as an installable thing: an artifact on disk, and solvers made with it. No ray."""

from rllib_psparsity.deploy.artifact import LoadedPolicy, load_policy, save_policy
from rllib_psparsity.deploy.decide import policy_decide, prior_decide
from rllib_psparsity.deploy.multilevel import LearnedSolver
from rllib_psparsity.deploy.petsc import to_petsc
from rllib_psparsity.deploy.setup_info import SetupInfo
from rllib_psparsity.deploy.solver import learned_solver, strength_of_connection
from rllib_psparsity.problems.rigid_body import rigid_body_modes

__all__ = [
    "LearnedSolver",
    "LoadedPolicy",
    "SetupInfo",
    "learned_solver",
    "load_policy",
    "policy_decide",
    "prior_decide",
    "rigid_body_modes",
    "save_policy",
    "strength_of_connection",
    "to_petsc",
]

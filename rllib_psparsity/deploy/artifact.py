"""A trained policy on disk: a directory of three files.

- ``policy.safetensors``: the network's state_dict;
- ``policy.json``: format, features and configuration, as `Manifest`;
- ``README.md``: the model card, for people.

Loading runs no code from the files: safetensors and JSON hold data only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import rllib_psparsity
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import Recipe, parse_menu
from rllib_psparsity.config.refusal import sentence
from rllib_psparsity.config.saved import as_it_was
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES
from rllib_psparsity.policy.inference import Inference, expected_tensors, make_inference

if TYPE_CHECKING:
    from rllib_psparsity.policy.network import SparsifierPolicy

FORMAT_VERSION = 1
WEIGHTS, MANIFEST, CARD = "policy.safetensors", "policy.json", "README.md"
SHIPPED = Path(__file__).parent / "policies"

_EXPORT_AGAIN = "export the policy again with `psparsity export RUN_DIR DIR`"


class Manifest(BaseModel):
    """What ``policy.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    package_version: str
    node_features: tuple[str, ...]
    edge_features: tuple[str, ...]
    policy: PolicyConfig
    limits: Limits


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy ready for use.

    Attributes
    ----------
    inference : from level graphs to logits
    config : what the network was built from
    menu : recipes that its decisions index
    limits : where the hierarchies ended that it was trained on, and where a deployed one ends
    """

    inference: Inference
    config: PolicyConfig
    menu: tuple[Recipe, ...]
    limits: Limits


def save_policy(policy: SparsifierPolicy, limits: Limits, directory: Path, card: str) -> None:
    """Write the artifact to a new or empty `directory`: all of it or nothing.

    `limits` are those it was trained with; `card` is the text of the model card: what the policy was trained on, and
    where it fails. Raises `InputError` if the directory is in use.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file, where a new directory for the policy was expected; name another one")
    if directory.exists() and any(directory.iterdir()):
        raise InputError(f"{directory} is not empty, and a policy overwrites nothing; name a new directory")
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        package_version=rllib_psparsity.__version__,
        node_features=NODE_FEATURES,
        edge_features=EDGE_FEATURES,
        policy=policy.config,
        limits=limits,
    )
    state = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in policy.state_dict().items()}
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = directory.parent / f".{directory.name}.{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        (draft / MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
        save_file(state, draft / WEIGHTS)
        (draft / WEIGHTS).chmod((draft / MANIFEST).stat().st_mode)  # safetensors makes it the owner's alone
        (draft / CARD).write_text(card, encoding="utf-8")
        draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@cache
def shipped_policies() -> tuple[str, ...]:
    """Names of the policies inside this package."""
    return tuple(sorted(path.name for path in SHIPPED.iterdir() if (path / MANIFEST).is_file()))


def load_policy(name_or_dir: str | Path) -> LoadedPolicy:
    """Load a policy that ships with the package by its name, such as "default", or an artifact by its directory.

    A shipped name comes before a directory of that name: write ``./default`` for the latter. Shipped policies are read
    once in a process.

    Raises `InputError`, in one sentence, if a file is missing or damaged, was written by a newer version, or does not
    fit this version's features or network.
    """
    if isinstance(name_or_dir, str) and name_or_dir in shipped_policies():
        return _load_shipped(name_or_dir)
    if not isinstance(name_or_dir, str | Path):
        raise InputError(
            f"the policy is of the type {type(name_or_dir).__name__}, expected a name or a directory; name a shipped "
            f"policy ({', '.join(shipped_policies())}) or a directory that `psparsity export RUN_DIR DIR` wrote"
        )
    directory = Path(name_or_dir)
    if name_or_dir == "" or not directory.is_dir():
        raise InputError(
            f"policy {str(name_or_dir)!r} is neither a shipped policy ({', '.join(shipped_policies())}) nor a "
            "directory; name one that `psparsity export RUN_DIR DIR` wrote"
        )
    return _load(directory)


@cache
def _load_shipped(name: str) -> LoadedPolicy:
    return _load(SHIPPED / name)


def _load(directory: Path) -> LoadedPolicy:
    for name in (MANIFEST, WEIGHTS):
        if not (directory / name).is_file():
            raise InputError(f"the policy in {directory} has no file {name}; {_EXPORT_AGAIN}")
    manifest = _read_manifest(directory / MANIFEST)
    config = manifest.policy
    weights = _read_weights(directory / WEIGHTS)
    _check_weights(weights, expected_tensors(config), directory / WEIGHTS)
    return LoadedPolicy(make_inference(config, weights), config, parse_menu(config.recipes), manifest.limits)


def policy_digest(name_or_dir: str | Path) -> str:
    """SHA-256 of what decides in a policy that `load_policy` accepts: weights and configuration, not the model card."""
    shipped = isinstance(name_or_dir, str) and name_or_dir in shipped_policies()
    directory = SHIPPED / name_or_dir if shipped else Path(name_or_dir)
    digest = hashlib.sha256()
    for name in (MANIFEST, WEIGHTS):
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()


def _read_manifest(path: Path) -> Manifest:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); {_EXPORT_AGAIN}") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise InputError(
            f"{path} has format_version {version}, but this version of rllib_psparsity reads up to {FORMAT_VERSION}; "
            "upgrade rllib_psparsity"
        )
    if version != FORMAT_VERSION:
        raise InputError(f"{path} has format_version {version!r}, expected {FORMAT_VERSION}; {_EXPORT_AGAIN}")
    try:
        manifest = Manifest.model_validate(content | {"policy": as_it_was(content.get("policy"))})
    except ValidationError as error:
        raise InputError(f"{path}: {sentence(error)}") from None
    for kind, found, expected in (
        ("node", manifest.node_features, NODE_FEATURES),
        ("edge", manifest.edge_features, EDGE_FEATURES),
    ):
        if found != expected:
            raise InputError(
                f"{path} was trained on the {kind} features {', '.join(found)}, but this version computes "
                f"{', '.join(expected)}; install rllib_psparsity {manifest.package_version} or train again"
            )
    return manifest


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); {_EXPORT_AGAIN}") from None


def _check_weights(weights: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]], path: Path) -> None:
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing:
        raise InputError(f"{path} lacks the tensor {missing[0]} of the network in {MANIFEST}; {_EXPORT_AGAIN}")
    if unknown:
        raise InputError(f"{path} has the tensor {unknown[0]}, unknown to the network in {MANIFEST}; {_EXPORT_AGAIN}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name] or tensor.dtype != np.float32:
            raise InputError(
                f"{path}: tensor {name} is {tensor.dtype} of shape {tensor.shape}, expected float32 of shape "
                f"{expected[name]} by {MANIFEST}; {_EXPORT_AGAIN}"
            )
    if not np.isfinite(np.concatenate([tensor.ravel() for tensor in weights.values()])).all():
        name = next(name for name, tensor in weights.items() if not np.isfinite(tensor).all())
        raise InputError(f"{path}: tensor {name} has entries that are not finite; export an earlier checkpoint")
    for name, tensor in weights.items():
        if (name == "temperature" or name.endswith(".deviation")) and tensor.min() <= 0:
            raise InputError(f"{path}: {name} is {float(tensor.min()):g}, expected above 0; {_EXPORT_AGAIN}")

"""From defaults, a study file, one of its variations and `--set` to a `Config`, in this order of precedence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rllib_psparsity.config.override import apply_override
from rllib_psparsity.config.refusal import sentence
from rllib_psparsity.config.saved import as_it_was
from rllib_psparsity.config.schema import Config
from rllib_psparsity.config.studies import TRIAGE, study_path
from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.errors import InputError


def load_config(file: Path | None = None, variation: str | None = None, overrides: Sequence[str] = ()) -> Config:
    """Resolve a configuration: defaults < file < variation < overrides.

    Parameters
    ----------
    file : Path, optional
        A study in YAML. Without one: the defaults, or the triage study when a variation is asked for.
    variation : str, optional
        A name under the file's top-level `variations`, whose content is merged over the rest of the file.
    overrides : sequence of str
        `key=value` with a dotted key and a YAML value.

    Raises
    ------
    InputError
        For a file that is no YAML mapping, and for any key or value that the schema refuses.
    """
    if file is None and variation is not None:
        file = study_path(TRIAGE)
    data = _plain(Config())
    if file is not None:
        data = _merge(data, _study(file, variation))
    return _resolve(data, overrides)


def from_json(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read back what `resolved_json` wrote, such as the `config.json` of a run directory."""
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid JSON ({error}); restore the file that the run wrote") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} holds no JSON object; restore the file that the run wrote")
    data["policy"] = as_it_was(data.get("policy", {}))
    return _resolve(data, overrides)


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """The same configuration but for `key=value` texts."""
    return _resolve(_plain(config), overrides)


def resolved_json(config: Config) -> str:
    """The whole configuration as JSON, with the names that people write."""
    return config.model_dump_json(by_alias=True, indent=2)


def _resolve(data: dict[str, Any], overrides: Sequence[str]) -> Config:
    for text in overrides:
        apply_override(data, text)
    try:
        # JSON in strict mode: a list serves as a tuple and 1 as 1.0, but no text as a number and no number as true.
        return Config.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise InputError(sentence(error)) from None


def _study(file: Path, variation: str | None) -> dict[str, Any]:
    content = _mapping(parse_yaml(read_text(file), str(file)), str(file))
    if "variations" not in content:
        if variation is not None:
            raise InputError(f"--variation {variation}: {file} has no variations; leave --variation out")
        return content
    variations = _mapping(content.pop("variations"), f"{file}: variations")
    if variation is None:
        return content
    if variation not in variations:
        raise InputError(f"--variation {variation}: {file} has only the variations {', '.join(variations)}")
    return _merge(content, _mapping(variations[variation], f"{file}: variations.{variation}"))


def _mapping(value: object, name: str) -> dict[str, Any]:
    if value is None or value == {}:
        raise InputError(f"{name} is empty; give it keys such as training: {{lr: 1e-3}}")
    if not isinstance(value, dict):
        raise InputError(f"{name} is {type(value).__name__}, but must be a mapping such as training: {{lr: 1e-3}}")
    return value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins; mappings are merged key by key, lists are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _plain(config: Config) -> dict[str, Any]:
    return json.loads(resolved_json(config))

"""A study as YAML: one base configuration, and arms that differ from it by a few keys.

    base: {config: triage.yaml, variation: B, set: {environment.max_levels: 2}}
    seeds: [0, 1, 2]
    arms:
      predecessor: {about: the algorithm as it was, triage: [T3, T4]}
      learned value: {about: a value head as the baseline, triage: [T11], set: {training.baseline.kind: value}}
      both: {about: the same without a clip, from: learned value, set: {training.grad_clip: null}}

`config` is a file beside the study, the defaults without one; `set` has dotted keys, as `psparsity train --set` takes
them; an arm with `from` starts from another arm, and one with a `base` of its own from that. `{seed}` in a text is the
run's seed, so that `training.start_from` may name the run of the same seed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.saved import as_it_was
from rllib_psparsity.config.schema import Config
from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.errors import InputError

STUDY_KEYS = ("about", "base", "seeds", "arms")
BASE_KEYS = ("config", "variation", "set")
ARM_KEYS = ("about", "triage", "from", "base", "set")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: `overrides` has everything that is set beyond its base's file and variation; `triage` names rows."""

    name: str
    about: str
    triage: tuple[str, ...]
    file: Path | None
    variation: str | None
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Study:
    """A study; its name is that of the file."""

    name: str
    about: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]

    def options(self, arm: Arm, seed: int) -> list[str]:
        """The options of `psparsity train` for one run."""
        words = ["--config", str(arm.file)] if arm.file else []
        words += ["--variation", arm.variation] if arm.variation else []
        return words + [word for text in _texts(arm, seed) for word in ("--set", text)]

    def config(self, arm: Arm, seed: int) -> Config:
        """What those options resolve to; `InputError` for what the schema refuses."""
        return load_config(arm.file, arm.variation, _texts(arm, seed))

    def made(self, arm: Arm, seed: int, saved: Mapping[str, Any]) -> bool:
        """Whether a run with the configuration `saved` is what the study has for arm and seed now.

        A key that is newer than the run had its default then.
        """
        try:
            config = Config.model_validate({**saved, "policy": as_it_was(saved["policy"])})
        except ValidationError:
            return False
        return config == self.config(arm, seed)


def load_study(path: Path) -> Study:
    """Read a study and resolve every arm's configuration, so that nothing starts before all is known to be sound."""
    content = _section(parse_yaml(read_text(path), str(path)), STUDY_KEYS, str(path))
    shared = _section(content.get("base", {}), BASE_KEYS, f"{path}: base")
    named = _mapping(content.get("arms"), f"{path}: arms")
    sections = {name: _section(arm, ARM_KEYS, f"{path}: arms.{name}") for name, arm in named.items()}
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise InputError(f"{path}: seeds is {seeds!r}, but must be a list of whole numbers such as [0, 1, 2]")
    arms = []
    for name, section in sections.items():
        if not re.fullmatch(r"[\w ,.+-]+", name):
            raise InputError(f"{path}: the arm {name!r} names a directory; use letters, digits, spaces and , . + - _")
        line = _line(name, sections, str(path))
        base = _section(line[0].get("base", shared), BASE_KEYS, f"{path}: base of {name}")
        sets = [one.get("set", {}) for one in (base, *line)]
        overrides = {key: value for one in sets for key, value in _mapping(one, f"{path}: set of {name}").items()}
        file = path.parent / base["config"] if "config" in base else None
        about, triage = str(section.get("about", "")), tuple(section.get("triage", ()))
        arms.append(Arm(name, about, triage, file, base.get("variation"), overrides))
    study = Study(path.stem, str(content.get("about", "")), tuple(seeds), tuple(arms))
    for arm in study.arms:
        try:
            study.config(arm, study.seeds[0])
        except InputError as error:
            raise InputError(f"{path}: arm {arm.name!r}: {error}") from None
    return study


def is_study(path: Path) -> bool:
    """Whether a YAML has arms, and so is for this runner and not for `psparsity train`."""
    content = parse_yaml(read_text(path), str(path))
    return isinstance(content, dict) and "arms" in content


def _texts(arm: Arm, seed: int) -> list[str]:
    texts = [f"{key}={json.dumps(value)}" for key, value in arm.overrides.items()]
    return [text.replace("{seed}", str(seed)) for text in texts] + [f"seed={seed}"]


def _line(name: str, sections: Mapping[str, dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """The arms from the first ancestor, which alone may have a base, to `name` itself."""
    chain = [name]
    while "from" in sections[chain[-1]]:
        if "base" in sections[chain[-1]]:
            raise InputError(f"{path}: arms.{chain[-1]} has both from and base; it can start from only one of them")
        name = sections[chain[-1]]["from"]
        if name not in sections or name in chain:
            raise InputError(
                f"{path}: arms.{chain[-1]}.from names {name!r}, not another arm; take one of {', '.join(sections)}"
            )
        chain.append(name)
    return [sections[one] for one in reversed(chain)]


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is {value!r}, but must be a mapping of names to values")
    return value


def _section(value: object, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    unknown = [key for key in _mapping(value, where) if key not in keys]
    if unknown:
        raise InputError(f"{where} has the unknown key {unknown[0]!r}; the keys are {', '.join(keys)}")
    return _mapping(value, where)

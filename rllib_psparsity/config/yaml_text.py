"""YAML as people write it: `1e-4` is a number, a key given twice is a mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from rllib_psparsity.errors import InputError


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 floats, and mappings whose keys are texts that differ."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _mistake(f"the key {key!r} is not a text, put it in quotes", key_node)
            if key in seen:
                raise _mistake(f"the key {key!r} is given twice, keep one of them", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# PyYAML follows YAML 1.1, where a float needs a dot and a signed exponent, so that 1e-4 would be a text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, name: str) -> object:
    """The value of a YAML text: mappings, lists, texts, numbers, true, false and null; a date is a text.

    Parameters
    ----------
    text : str
    name : str
        What the text is called in the sentence of an `InputError`: a file, or a `--set` option.
    """
    try:
        # Through JSON, which has no aliases: a change in one place must not show in another.
        return json.loads(json.dumps(yaml.load(text, Loader=_Loader), default=str))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{name}{line}: {error.problem}; correct the YAML there") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: {reason}; correct the YAML there") from None
    except (RecursionError, ValueError) as error:
        reason = "a value that contains itself or is nested too deeply"
        if isinstance(error, ValueError) and "ircular" not in str(error):
            reason = str(error)
        raise InputError(f"{name}: {reason}; write it as a plain YAML value") from None


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; `InputError` where there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; name a file that does") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; name a file inside it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; name one that can") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _mistake(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5e3", 500.0),
        ("-2e3", -2000.0),
        ("+1.e2", 100.0),
        ("1.5e-3", 1.5e-3),
        ("3.5", 3.5),
        (".inf", math.inf),
    ],
)
def test_floats_are_numbers(text: str, value: float) -> None:
    parsed = parse_yaml(text, "here")
    assert isinstance(parsed, float)
    assert parsed == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("true", True),
        ("null", None),
        ("e5", "e5"),
        ("1e", "1e"),
        ("1e5x", "1e5x"),
        ("'1e5'", "1e5"),
        ("sa/energy1", "sa/energy1"),
        ("[1, {a: 2}]", [1, {"a": 2}]),
    ],
)
def test_everything_else_is_as_in_yaml(text: str, value: object) -> None:
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_merge_keys_are_no_duplicates() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}"
    assert parse_yaml(text, "here") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


def test_aliases_are_copies() -> None:
    value = parse_yaml("a: &a {x: 1}\nb: *a", "here")
    assert isinstance(value, dict)
    value["a"]["x"] = 2
    assert value["b"] == {"x": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml, line 3: the key 'a' is given twice, keep one of them; correct the YAML there"),
        ("a:\n  b: 1\n  b: 1", "f.yaml, line 3: the key 'b' is given twice, keep one of them; correct the YAML there"),
        ("a: 1\n2: 3", "f.yaml, line 2: the key 2 is not a text, put it in quotes; correct the YAML there"),
        ("a: [1\n", "f.yaml, line 2: expected ',' or ']', but got '<stream end>'; correct the YAML there"),
        ("a: 1\n\tb: 2", "f.yaml, line 2: found character '\\t' that cannot start any token; correct the YAML there"),
        ("a: &x [*x]", "f.yaml: a value that contains itself or is nested too deeply; write it as a plain YAML value"),
        ("[" * 9000, "f.yaml: a value that contains itself or is nested too deeply; write it as a plain YAML value"),
        ("a: 2024-13-45", "f.yaml: month must be in 1..12; write it as a plain YAML value"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_yaml(text, "f.yaml")
    assert str(refusal.value) == sentence


def test_control_characters_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="special characters are not allowed") as refusal:
        parse_yaml("a: \x00", "f.yaml")
    assert "\n" not in str(refusal.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("seed: 1 # \xe9".encode("latin-1"))
    for path, sentence in (
        (tmp_path / "none.yaml", "none.yaml does not exist; name a file that does"),
        (tmp_path, "is a directory; name a file inside it"),
        (latin, "latin.yaml is not UTF-8 text (byte 10); save it as UTF-8"),
    ):
        with pytest.raises(InputError) as refusal:
            read_text(path)
        assert str(refusal.value).endswith(sentence)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 1")
    assert read_text(path) == "seed: 1"

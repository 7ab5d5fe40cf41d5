from __future__ import annotations

import subprocess
import sys

import rllib_psparsity

HEAVY = {"torch", "ray", "pyamg", "scipy", "numpy", "numba", "matplotlib", "pydantic", "rich", "gymnasium"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import rllib_psparsity")


def test_the_command_line_starts_without_numerical_libraries() -> None:
    assert not (HEAVY - {"rich"}) & modules_after("import rllib_psparsity.cli.app")


def test_public_names_are_sorted_and_resolve() -> None:
    assert rllib_psparsity.__all__ == sorted(rllib_psparsity.__all__)
    assert dir(rllib_psparsity) == rllib_psparsity.__all__
    for name in rllib_psparsity.__all__:
        assert getattr(rllib_psparsity, name) is not None
    assert not hasattr(rllib_psparsity, "unknown")

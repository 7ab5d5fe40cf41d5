"""Problem families, one file each; other packages register their own (`rllib_psparsity.extensions`)."""

from __future__ import annotations

from rllib_psparsity.extensions import load_extension, registered, require
from rllib_psparsity.problems.families import (
    anisotropic_diffusion_fd,
    anisotropic_diffusion_fe,
    closed_surface,
    complex_network,
    diffusion_3d,
    discontinuous_galerkin,
    elasticity,
    graph_laplacian,
    helmholtz_shifted,
    hexahedral_elements,
    jump_diffusion,
    neighbour_graph,
    power_network,
    random_field_elements,
    random_walker,
    reservoir,
    spline_elements,
    tensor_elements,
    tetrahedral_elasticity,
    tetrahedral_elements,
    triangular_elements,
    triangular_mesh,
    unstructured_diffusion,
)
from rllib_psparsity.problems.families.family import MIN_SIZE, Family, Parameter

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (
        anisotropic_diffusion_fd,
        anisotropic_diffusion_fe,
        jump_diffusion,
        elasticity,
        helmholtz_shifted,
        unstructured_diffusion,
        graph_laplacian,
        diffusion_3d,
        power_network,
        triangular_mesh,
        random_field_elements,
        tensor_elements,
        hexahedral_elements,
        discontinuous_galerkin,
        triangular_elements,
        neighbour_graph,
        tetrahedral_elements,
        tetrahedral_elasticity,
        closed_surface,
        reservoir,
        spline_elements,
        complex_network,
        random_walker,
    )
}
"""Every built-in family by its name."""


def family_names() -> tuple[str, ...]:
    """Of the built-in families and of those that installed packages register."""
    return (*FAMILIES, *registered("families"))


def find_family(name: str) -> Family | None:
    """The family of this name, built in or registered; None if there is none."""
    if name in FAMILIES:
        return FAMILIES[name]
    if name not in registered("families"):
        return None
    family = load_extension("families", name, FAMILIES)
    require(isinstance(family, Family), "families", name, f"is {type(family).__name__}, not a Family")
    require(family.name == name, "families", name, f"calls itself {family.name!r}, not as it is registered")
    return family


__all__ = ["FAMILIES", "MIN_SIZE", "Family", "Parameter", "family_names", "find_family"]

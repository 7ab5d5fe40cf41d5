"""Problem families, one file each; a new one is made by adding its `Family` to `FAMILIES`."""

from __future__ import annotations

from rllib_psparsity.problems.families import (
    anisotropic_diffusion_fd,
    anisotropic_diffusion_fe,
    diffusion_3d,
    elasticity,
    graph_laplacian,
    helmholtz_shifted,
    jump_diffusion,
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
    )
}
"""Every family by its name."""

__all__ = ["FAMILIES", "MIN_SIZE", "Family", "Parameter"]

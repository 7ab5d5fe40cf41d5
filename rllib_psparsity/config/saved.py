"""What a saved configuration means by keys that it is older than."""

from __future__ import annotations


def as_it_was(policy: object) -> object:
    """The section `policy` of a saved configuration, with what it lacks as it was then, where today's default differs.

    Inputs were standardised by none until they could be, and are by default since. What is no mapping comes back as it
    is, for the schema to refuse.
    """
    return {"standardise": False, **policy} if isinstance(policy, dict) else policy

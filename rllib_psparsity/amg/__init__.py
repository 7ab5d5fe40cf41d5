"""Algebraic multigrid: from a decision on every level to a hierarchy, and what the hierarchy costs."""

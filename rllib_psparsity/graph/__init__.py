"""Observations: the graph of a level's matrix, with algebraic and local features."""

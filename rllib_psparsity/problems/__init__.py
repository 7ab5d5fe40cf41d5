"""Problems: matrices with their near-nullspace candidates, from families, from files, and in seeded mixes."""

"""Training on RLlib's new API: everything that knows RLlib lives here."""

"""The policy: level graphs in, decisions out. Plain torch, no ray."""

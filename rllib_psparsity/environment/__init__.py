"""The Markov decision process: one episode builds one hierarchy, one step is one level."""

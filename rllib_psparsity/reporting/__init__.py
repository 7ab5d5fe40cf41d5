"""What is reported about a run: metrics, the live table, figures and the diagnosis."""

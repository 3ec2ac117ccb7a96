"""A trained run, used again: load, evaluate, generate, probe."""

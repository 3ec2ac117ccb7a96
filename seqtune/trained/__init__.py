"""Use a trained run: load, evaluate, generate, probe."""

"""Run directories as tidy frames, and what is computed from frames."""

"""What to run next: Optuna studies, samplers, pruning, confirm runs, and how a sweep is resumed."""

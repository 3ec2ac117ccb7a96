"""Many runs: a question's file, its cells, their Optuna studies, and the engine that runs them."""

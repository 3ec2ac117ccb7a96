"""Text files as a language. The best possible score is unknown; reference predictors take its place."""

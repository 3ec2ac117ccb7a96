"""Text files as a language, whose best possible score nobody knows: other predictors stand beside the models."""

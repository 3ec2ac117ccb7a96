"""Run directories as tidy data frames, and what is computed from them."""

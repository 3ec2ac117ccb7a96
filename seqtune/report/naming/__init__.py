"""How a report writes numbers and values, and what it calls cells."""

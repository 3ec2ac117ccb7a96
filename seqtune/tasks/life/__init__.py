"""The Game of Life as a language: two boards in a string, the second a few steps after the first."""

"""Running the proposals: the driver, Ray Tune, workers and clusters."""

"""Estimates, intervals and tests: functions of arrays alone."""

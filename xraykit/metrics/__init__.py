"""Scores that can be trusted: counts, intervals, tests, calibration."""

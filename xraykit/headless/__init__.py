"""Headless runs: parameters, runs, results and everything built from them."""

"""Audit: what else predicts the class, and what is wrong with a set of images."""

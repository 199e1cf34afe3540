"""Experiments of the two reports, reproduction of published scores, timing and the gallery."""

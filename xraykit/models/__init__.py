"""Networks: from raw pixels to features or class probabilities."""

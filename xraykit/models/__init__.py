"""Networks: raw pixels in, features or class probabilities out."""

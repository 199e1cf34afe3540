"""Training: fit, predict, cross-validate."""

# The environment variable that names the folder for checkpoints; `xraykit run` sets it.
CHECKPOINT_FOLDER = "XRAYKIT_CHECKPOINT_DIR"

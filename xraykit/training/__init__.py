"""Learning."""

# The variable that names the folder in which trainings keep their state; `xraykit run` sets it.
CHECKPOINT_FOLDER = "XRAYKIT_CHECKPOINT_DIR"

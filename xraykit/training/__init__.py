"""Training: fit, predict, cross-validate."""

# The environment variable that names the folder for checkpoints; `xraykit run` sets it.
CHECKPOINT_FOLDER = "XRAYKIT_CHECKPOINT_DIR"
# What `train` accepts, named here because nothing here loads Keras.
OPTIMIZERS = ("adam", "sgd", "rmsprop")
PRECISIONS = ("float32", "mixed_bfloat16")
PRECISION_CHOICES = (*PRECISIONS, "auto")

"""The optimizers of `train`."""

from functools import partial
from typing import TypeAlias

from .._keras import keras, tf

LearningRate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


def build_optimizer(name: str, learning_rate: LearningRate) -> keras.optimizers.Optimizer:
    """Return one of Keras' optimizers, with Keras' defaults except for the learning rate.

    Adam's steps use TensorFlow's fused kernel: the same formula, in one pass over the weights
    instead of ten. For a Dense layer of 51 million weights this halves the time of a step.
    """
    if not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        learning_rate = float(learning_rate)  # Keras rejects whole numbers and NumPy's
    config = {"class_name": name, "config": {"learning_rate": learning_rate}}
    optimizer = keras.optimizers.get(config)
    if name == "adam":
        optimizer.update_step = partial(_fused_adam_step, optimizer)
    return optimizer


def _fused_adam_step(
    adam: keras.optimizers.Adam,
    gradient: tf.Tensor,
    variable: tf.Variable,
    learning_rate: tf.Tensor,
) -> None:
    index = adam._get_variable_index(variable)
    step = tf.cast(adam.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=adam._momentums[index].handle,
        v=adam._velocities[index].handle,
        beta1_power=tf.pow(adam.beta_1, step),
        beta2_power=tf.pow(adam.beta_2, step),
        lr=tf.cast(learning_rate, variable.dtype),
        beta1=adam.beta_1,
        beta2=adam.beta_2,
        epsilon=adam.epsilon,
        grad=tf.cast(gradient, variable.dtype),
    )

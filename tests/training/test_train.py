import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit._keras import tf
from xraykit.training import train as train_module
from xraykit.training.batches import Batches, Views

QUICK = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3}


def build(task, is_partly_frozen=False):
    """Return a network of few layers, which Keras compiles in a fraction of a second."""
    keras.utils.set_random_seed(42)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(32, activation="relu", trainable=not is_partly_frozen)(x)
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(8, activation="relu")(x))
    units, activation = (1, "sigmoid") if task.name == "binary" else (4, "softmax")
    return keras.Model(inputs, keras.layers.Dense(units, activation=activation)(x))


def build_small_cnn(task, **options):
    return xk.build_classifier("SmallCNN", task.class_names, image_size=32, **options)


@pytest.fixture
def numbered(binary):
    """A task whose images have their number as first pixel."""
    pixels = binary.train.pixels.copy()
    pixels[:, 0, 0] = np.arange(len(pixels))[:, None]
    return replace(binary, train=replace(binary.train, pixels=pixels))


def list_batches(task, seed):
    batches = Batches(views := Views(task.train), views.pixels, QUICK["batch_size"], seed)
    return [
        pixels.numpy()[:, 0, 0, 0].tolist() for pixels, _ in batches.dataset(end=QUICK["epochs"])
    ]


def test_batches_contain_every_image_once_per_epoch(numbered):
    batches = list_batches(numbered, seed=1)
    count = len(numbered.train)
    steps = -(-count // QUICK["batch_size"])
    assert count % QUICK["batch_size"] and len(batches) == 2 * steps
    for epoch in (batches[:steps], batches[steps:]):
        assert sorted(number for batch in epoch for number in batch) == list(range(count))


def test_batches_order_depends_on_seed_and_epoch(numbered):
    first, again, other = (list_batches(numbered, seed) for seed in (1, 1, 2))
    assert first == again != other
    half = len(first) // 2
    assert first[:half] != first[half:]


@pytest.mark.parametrize("use_feature_cache", [True, False])
def test_train_class_weight_0_ignores_a_class(binary, use_feature_cache):
    model = build(binary, is_partly_frozen=True)
    options = {"class_weight": {"covid": 0}, "use_feature_cache": use_feature_cache}
    xk.train(model, binary, **QUICK | options | {"epochs": 20, "learning_rate": 0.01})
    assert set(xk.predict(model, binary.train)["predicted"]) == {"normal"}


@pytest.mark.parametrize("use_feature_cache", [True, False])
def test_train_tensorboard_logs_the_history(binary, use_feature_cache, tmp_path):
    model = build(binary, is_partly_frozen=True)
    callbacks = [keras.callbacks.TensorBoard(tmp_path)]
    options = {"callbacks": callbacks, "use_feature_cache": use_feature_cache}
    history = xk.train(model, binary, **QUICK, **options)
    (file,) = tmp_path.glob("validation/*")
    events = tf.compat.v1.train.summary_iterator(str(file))
    losses = [
        tf.make_ndarray(value.tensor).item()
        for event in events
        for value in event.summary.value
        if value.tag == "epoch_loss"
    ]
    assert losses == pytest.approx(list(history["val_loss"]))


def test_train_callbacks_see_every_batch_and_can_stop(binary):
    class Stop(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    stop = Stop()
    history = xk.train(build(binary), binary, **QUICK | {"epochs": 9}, callbacks=[stop])
    assert len(history) == 2
    assert stop.batches == 2 * -(-len(binary.train) // QUICK["batch_size"])


@pytest.mark.parametrize("batch_size", [3, 8])
def test_train_has_one_step_per_batch(binary, batch_size, monkeypatch):
    steps_done = []

    class Steps(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            steps_done.append(int(self.model.optimizer.iterations))

    monkeypatch.setattr(train_module, "_make_progress_callback", lambda epochs: Steps())
    xk.train(build(binary), binary, epochs=3, batch_size=batch_size)
    steps = -(-len(binary.train) // batch_size)
    assert steps_done == [steps, 2 * steps, 3 * steps]


def test_train_with_augmentation_leaves_validation_unchanged(binary):
    model, plain = build(binary), build(binary)
    unchanged = xk.train(plain, binary, epochs=1, learning_rate=1e-9)
    handout = xk.Augmentation.handout()
    augmented = xk.train(model, binary, epochs=1, learning_rate=1e-9, augmentation=handout)
    assert augmented.loc[1, "loss"] != pytest.approx(unchanged.loc[1, "loss"], rel=1e-3)
    expected = xk.score(xk.predict(model, binary.validation)).loss
    assert augmented.loc[1, "val_loss"] == pytest.approx(expected, rel=1e-4)


def test_train_same_seed_gives_equal_predictions(multiclass):
    def run():
        model = build(multiclass)
        history = xk.train(model, multiclass, **QUICK, seed=3)
        return history, xk.predict(model, multiclass.test)

    (history, predictions), (history_again, predictions_again) = run(), run()
    assert history.equals(history_again)
    assert predictions.equals(predictions_again)


@pytest.mark.slow
def test_train_depends_on_weights_and_seed_only(binary, small_cnn):
    start = small_cnn.get_weights()
    first = xk.train(small_cnn, binary, **QUICK, seed=3)
    keras.utils.set_random_seed(99)
    small_cnn.set_weights(start)
    again = xk.train(small_cnn, binary, **QUICK, seed=3)
    small_cnn.set_weights(start)
    other = xk.train(small_cnn, binary, **QUICK, seed=4)
    assert first.equals(again) and not first.equals(other)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_train_history_has_one_row_per_epoch(binary, optimizer):
    history = xk.train(build(binary), binary, epochs=3, optimizer=optimizer)
    assert history.index.tolist() == [1, 2, 3] and history.index.name == "epoch"
    assert set(history.columns) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("task", ["multiclass", pytest.param("binary", marks=pytest.mark.slow)])
def test_train_learns_a_visible_pattern(task, request):
    task = request.getfixturevalue(task)
    model = build_small_cnn(task)
    xk.train(model, task, epochs=20, batch_size=8, learning_rate=2e-3)
    assert xk.score(xk.predict(model, task.test)).accuracy > 0.9


def output_bias(model):
    return model.layers[-1].get_weights()[1]


def test_train_restore_best_weights_has_lowest_validation_loss(binary):
    wrong = replace(binary.train, labels=1 - binary.train.labels)  # the longer, the worse
    model = build(binary)
    history = xk.train(
        model, replace(binary, train=wrong), epochs=6, learning_rate=1e-3, restore_best_weights=True
    )
    loss = xk.score(xk.predict(model, binary.validation)).loss
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-3)
    assert history["val_loss"].min() < history["val_loss"].iloc[-1]


def test_train_early_stopping_ends_without_improvement(binary):
    blind = replace(binary.train, pixels=binary.train.pixels * 0)  # nothing to learn
    history = xk.train(
        build(binary), replace(binary, train=blind), epochs=50, learning_rate=0.05, early_stopping=2
    )
    assert len(history) < 50
    assert history["val_loss"].idxmin() == len(history) - 2


@pytest.mark.slow
def test_train_uses_learning_rate_schedule(binary):
    frozen = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1e-3, 0.0])
    model = build(binary)
    before = output_bias(model)
    xk.train(model, binary, epochs=1, batch_size=100, learning_rate=frozen)
    once = output_bias(model)
    assert (once != before).any()
    xk.train(build(binary), binary, epochs=3, batch_size=100, learning_rate=frozen)
    xk.train(model := build(binary), binary, epochs=3, batch_size=100, learning_rate=frozen)
    assert (output_bias(model) == once).all()


def statistics(model):
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    return [np.concatenate([n.moving_mean.numpy(), n.moving_variance.numpy()]) for n in norms]


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_train_changes_batch_norm_statistics_only_if_trainable(binary, batch_norm):
    model = xk.build_classifier(
        "ResNet50",
        binary.class_names,
        image_size=32,
        weights=None,
        end_at="conv3_block4_out",
        trainable_from="conv3_block1_1_conv",
        batch_norm=batch_norm,
    )
    kernel = model.get_layer("conv3_block4_3_conv").get_weights()[0]
    before = statistics(model)
    xk.train(model, binary, epochs=1)
    same = [(a == b).all() for a, b in zip(before, statistics(model), strict=True)]
    assert all(same) if batch_norm == "frozen" else not any(same)
    assert (model.get_layer("conv3_block4_3_conv").get_weights()[0] != kernel).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs=0: expected a whole number"),
        ({"batch_size": 2.5}, "batch_size=2.5: expected a whole number"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"learning_rate": True}, "learning_rate=True"),
        ({"learning_rate": 10**400}, "learning_rate=1000"),
        ({"learning_rate": "0.1"}, "learning_rate='0.1'"),
        ({"seed": -1}, "seed=-1"),
        ({"early_stopping": 0}, "early_stopping=0"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"restore_best_weights": "first"}, "restore_best_weights='first': expected True or False"),
        ({"n_views": -1}, "n_views=-1: expected a whole number, 0 or more"),
        ({"precision": "float16"}, "Unknown precision 'float16'.*mixed_bfloat16"),
        ({"cache_dtype": "int8"}, "Unknown cache_dtype 'int8'"),
        ({"class_weight": {"covid19": 2}}, "Unknown class in class_weight 'covid19'.* 'covid'"),
        ({"class_weight": [1, 2]}, r"class_weight=\[1, 2\]: expected a dict of class names"),
        ({"callbacks": [print]}, "callbacks=.*: expected a list of Keras callbacks"),
        ({"augmentation": "handout"}, "augmentation='handout': expected an xk.Augmentation"),
    ],
)
def test_train_invalid_argument_raises(binary, small_cnn, arguments, message):
    with pytest.raises(xk.InputError, match=message):
        xk.train(small_cnn, binary, **{"epochs": 1} | arguments)


def test_train_and_predict_with_diverged_loss_raise(binary):
    model = build(binary)
    with pytest.raises(xk.TrainingError, match="a learning rate below 1e\\+30"):
        xk.train(model, binary, epochs=3, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(xk.TrainingError, match="lower learning rate"):
        xk.predict(model, binary.test)


def test_train_accepts_dropout_of_zero(binary):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Dropout(0.0)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    assert len(xk.train(model, binary, epochs=1)) == 1


def test_train_prints_that_model_was_trained_before(binary, capsys):
    model = build(binary)
    xk.train(model, binary, epochs=1)
    assert "trained before" not in capsys.readouterr().out
    xk.train(model, binary, epochs=1)
    assert "trained before" in capsys.readouterr().out


def end_in(units, activation):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(units, activation, name="last")(x))


def test_train_feature_maps_not_pooled_raises(binary):
    base = xk.backbone("SmallCNN", image_size=32)
    model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(base.output))
    with pytest.raises(xk.InputError, match="Pool or flatten the feature maps first"):
        xk.train(model, binary, epochs=1)


@pytest.mark.parametrize(
    ("units", "activation"), [(1, "softmax"), (2, "sigmoid"), (1, None), (4, "softmax")]
)
def test_train_output_not_a_class_probability_raises(binary, units, activation):
    with pytest.raises(xk.InputError, match="2 classes need 2 with softmax or 1 with"):
        xk.train(end_in(units, activation), binary, epochs=1)


def test_train_accepts_softmax_for_two_classes(binary):
    assert len(xk.train(end_in(2, "softmax"), binary, epochs=1)) == 1


def test_train_images_of_another_size_raises(binary):
    model = xk.build_classifier("SmallCNN", binary.class_names, image_size=64)
    with pytest.raises(xk.InputError, match="use the same image_size"):
        xk.train(model, binary, epochs=1)


def test_train_frees_its_images_afterwards(binary):
    """TensorFlow keeps input functions: many trainings in one notebook would fill the memory."""
    part = replace(binary, train=binary.train.subset(range(30)))
    pixels = weakref.ref(part.train.pixels)
    model = build(part)
    xk.train(model, part, **QUICK)
    xk.predict(model, part.train)
    del part
    gc.collect()
    assert pixels() is None


@pytest.mark.parametrize("rate", [1, np.float32(1e-3)], ids=str)
def test_train_learning_rate_of_any_number_type_trains(binary, rate):
    assert len(xk.train(build(binary), binary, epochs=1, learning_rate=rate, optimizer="sgd")) == 1


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")

    def call(self, inputs):
        return self.dense(self.flatten(inputs))


@pytest.mark.parametrize("kind", ["Sequential", "subclass", "called subclass"])
def test_models_without_input_raise_in_every_function(binary, kind):
    layers = [keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers) if kind == "Sequential" else Subclass()
    if kind == "called subclass":
        model(binary.test.pixels[:1].astype("float32"))
    for function in (xk.predict, xk.gradcam, xk.features):
        with pytest.raises(xk.InputError, match=r"build it as keras\.Model"):
            function(model, binary.test)
    with pytest.raises(xk.InputError, match=r"build it as keras\.Model"):
        xk.train(model, binary, epochs=1)


@pytest.mark.parametrize(("epochs", "shown"), [(4, [1, 2, 3, 4]), (34, [1, 2, 3, 10, 20, 30, 34])])
def test_train_long_trainings_show_every_tenth_epoch(epochs, shown, capsys):
    progress = train_module._make_progress_callback(epochs)
    progress.on_train_begin()
    for epoch in range(epochs):
        progress.on_epoch_end(epoch, {"loss": 0.5})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [int(line.partition("/")[0].split()[1]) for line in lines] == shown

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit import keras
from xraykit.training import train as train_module
from xraykit.training.batches import Batches, Views

QUICK = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3}


def build(task, name="SmallCNN", **options):
    return xk.build_classifier(name, task.class_names, image_size=32, **options)


@pytest.fixture
def numbered(binary):
    """A task whose images have their own number as first pixel."""
    pixels = binary.train.pixels.copy()
    pixels[:, 0, 0] = np.arange(len(pixels))[:, None]
    return replace(binary, train=replace(binary.train, pixels=pixels))


def seen(task, seed):
    batches = Batches(views := Views(task.train), views.pixels, QUICK["batch_size"], seed)
    return [
        pixels.numpy()[:, 0, 0, 0].tolist() for pixels, _ in batches.dataset(end=QUICK["epochs"])
    ]


def test_when_trained_then_every_image_is_seen_once_an_epoch(numbered):
    batches = seen(numbered, seed=1)
    count = len(numbered.train)
    steps = -(-count // QUICK["batch_size"])
    assert count % QUICK["batch_size"] and len(batches) == 2 * steps
    for epoch in (batches[:steps], batches[steps:]):
        assert sorted(number for batch in epoch for number in batch) == list(range(count))


def test_when_seed_or_epoch_changes_then_so_does_the_order(numbered):
    first, again, other = seen(numbered, 1), seen(numbered, 1), seen(numbered, 2)
    assert first == again != other
    half = len(first) // 2
    assert first[:half] != first[half:]


@pytest.mark.parametrize("batch_size", [3, 8])
def test_when_trained_then_each_epoch_has_as_many_steps_as_batches(binary, batch_size, monkeypatch):
    done = []

    class Steps(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            done.append(int(self.model.optimizer.iterations))

    monkeypatch.setattr(train_module, "_progress", lambda epochs: Steps())
    xk.train(build(binary), binary, epochs=3, batch_size=batch_size)
    steps = -(-len(binary.train) // batch_size)
    assert done == [steps, 2 * steps, 3 * steps]


def test_when_augmented_then_validation_images_are_not(binary):
    model, plain = build(binary), build(binary)
    untouched = xk.train(plain, binary, epochs=1, learning_rate=1e-9)
    handout = xk.Augmentation.handout()
    augmented = xk.train(model, binary, epochs=1, learning_rate=1e-9, augmentation=handout)
    assert augmented.loc[1, "loss"] != pytest.approx(untouched.loc[1, "loss"], rel=1e-3)
    as_it_is = xk.score(xk.predict(model, binary.validation)).loss
    assert augmented.loc[1, "val_loss"] == pytest.approx(as_it_is, rel=1e-4)


def test_when_seed_is_the_same_then_two_runs_give_equal_scores(multiclass):
    def run():
        model = build(multiclass)
        history = xk.train(model, multiclass, **QUICK, seed=3)
        return history, xk.predict(model, multiclass.test)

    (history, predictions), (history_again, predictions_again) = run(), run()
    assert history.equals(history_again)
    assert predictions.equals(predictions_again)


@pytest.mark.slow
def test_when_trained_again_from_the_same_weights_then_nothing_else_matters(binary, small_cnn):
    start = small_cnn.get_weights()
    first = xk.train(small_cnn, binary, **QUICK, seed=3)
    keras.utils.set_random_seed(99)
    small_cnn.set_weights(start)
    again = xk.train(small_cnn, binary, **QUICK, seed=3)
    small_cnn.set_weights(start)
    other = xk.train(small_cnn, binary, **QUICK, seed=4)
    assert first.equals(again) and not first.equals(other)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_when_trained_then_history_has_a_row_an_epoch(binary, optimizer):
    history = xk.train(build(binary), binary, epochs=3, optimizer=optimizer)
    assert history.index.tolist() == [1, 2, 3] and history.index.name == "epoch"
    assert set(history.columns) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_when_trained_on_what_can_be_seen_then_it_is_learned(task, request):
    task = request.getfixturevalue(task)
    model = build(task)
    xk.train(model, task, epochs=20, batch_size=8, learning_rate=2e-3)
    assert xk.score(xk.predict(model, task.test)).accuracy > 0.9


def bias_of_output(model):
    return model.layers[-1].get_weights()[1]


def test_when_best_weights_are_kept_then_validation_loss_is_the_lowest(binary):
    wrong = replace(binary.train, labels=1 - binary.train.labels)  # the longer, the worse
    model = build(binary)
    history = xk.train(
        model, replace(binary, train=wrong), 6, learning_rate=1e-3, restore_best_weights=True
    )
    loss = xk.score(xk.predict(model, binary.validation)).loss
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-3)
    assert history["val_loss"].min() < history["val_loss"].iloc[-1]


def test_when_validation_stops_getting_better_then_training_stops(binary):
    blind = replace(binary.train, pixels=binary.train.pixels * 0)  # nothing to learn
    history = xk.train(
        build(binary), replace(binary, train=blind), 50, learning_rate=0.05, early_stopping=2
    )
    assert len(history) < 50
    assert history["val_loss"].idxmin() == len(history) - 2


@pytest.mark.slow
def test_when_rate_follows_a_schedule_then_it_is_used(binary):
    frozen = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1e-3, 0.0])
    model = build(binary)
    before = bias_of_output(model)
    xk.train(model, binary, epochs=1, batch_size=100, learning_rate=frozen)
    once = bias_of_output(model)
    assert (once != before).any()
    xk.train(build(binary), binary, epochs=3, batch_size=100, learning_rate=frozen)
    xk.train(model := build(binary), binary, epochs=3, batch_size=100, learning_rate=frozen)
    assert (bias_of_output(model) == once).all()


def statistics(model):
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    return [np.concatenate([n.moving_mean.numpy(), n.moving_variance.numpy()]) for n in norms]


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_when_resnet_is_fine_tuned_then_statistics_change_only_if_asked(binary, batch_norm):
    model = build(
        binary,
        "ResNet50",
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
        ({"learning_rate": "0.1"}, "learning_rate='0.1'"),
        ({"seed": -1}, "seed=-1"),
        ({"early_stopping": 0}, "early_stopping=0"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"restore_best_weights": "first"}, "restore_best_weights='first': expected True or False"),
        ({"n_views": -1}, "n_views=-1: expected a whole number, 0 or more"),
        ({"precision": "float16"}, "Unknown precision 'float16'.*mixed_bfloat16"),
        ({"cache_dtype": "int8"}, "Unknown cache_dtype 'int8'"),
        ({"augmentation": "handout"}, "augmentation='handout': expected an xk.Augmentation"),
    ],
)
def test_when_argument_is_bad_then_one_line_says_so(binary, small_cnn, arguments, message):
    with pytest.raises(xk.InputError, match=message):
        xk.train(small_cnn, binary, **{"epochs": 1} | arguments)


def test_when_loss_explodes_then_one_line_says_so_and_nothing_is_predicted(binary, small_cnn):
    with pytest.raises(xk.InputError, match="a learning rate below 1e\\+30"):
        xk.train(small_cnn, binary, epochs=3, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(xk.InputError, match="lower learning rate"):
        xk.predict(small_cnn, binary.test)


def test_when_dropout_is_zero_then_it_trains(binary):
    head = [
        keras.layers.Flatten(),
        keras.layers.Dense(8, name="features"),
        keras.layers.Dropout(0.0),
    ]
    assert len(xk.train(build(binary, head=head), binary, epochs=1)) == 1


def test_when_model_was_trained_before_then_it_is_said(binary, small_cnn, capsys):
    xk.train(small_cnn, binary, epochs=1)
    assert "trained before" not in capsys.readouterr().out
    xk.train(small_cnn, binary, epochs=1)
    assert "trained before" in capsys.readouterr().out


def ends_in(units, activation):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(units, activation, name="last")(x))


def test_when_feature_maps_were_not_pooled_then_it_is_said(binary):
    base = xk.backbone("SmallCNN", image_size=32)
    model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(base.output))
    with pytest.raises(xk.InputError, match="Pool or flatten the feature maps first"):
        xk.train(model, binary, 1)


@pytest.mark.parametrize(
    ("units", "activation"), [(1, "softmax"), (2, "sigmoid"), (1, None), (4, "softmax")]
)
def test_when_output_is_no_probability_of_the_classes_then_it_is_said(binary, units, activation):
    with pytest.raises(xk.InputError, match="2 classes need 2 with softmax or 1 with"):
        xk.train(ends_in(units, activation), binary, 1)


def test_when_two_classes_end_in_a_softmax_then_it_trains_as_well(binary):
    assert len(xk.train(ends_in(2, "softmax"), binary, 1)) == 1


def test_when_images_have_another_size_then_one_line_says_so(binary):
    model = xk.build_classifier("SmallCNN", binary.class_names, image_size=64)
    with pytest.raises(xk.InputError, match="use the same image_size"):
        xk.train(model, binary, 1)


def test_when_a_training_is_over_then_its_images_can_be_let_go(binary):
    """TensorFlow keeps what feeds it: many trainings in one notebook would fill the memory."""
    part = replace(binary, train=binary.train.subset(range(30)))
    pixels = weakref.ref(part.train.pixels)
    model = build(part)
    xk.train(model, part, **QUICK)
    xk.predict(model, part.train)
    del part
    gc.collect()
    assert pixels() is None

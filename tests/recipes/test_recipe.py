import importlib
import re

import numpy as np
import pytest

import xraykit as xk

CLASSES = {
    "binary": ("normal", "covid"),
    "multiclass": ("normal", "covid", "pneumonia_bac", "pneumonia_vir"),
}
PARAMETERS = {  # all, and the trained ones
    "handout-task1": (21_137_729, 6_423_041),
    "handout-task2": (21_138_500, 6_423_812),
    "task1-vgg16-finetuned": (21_137_729, 8_782_849),
    "task1-vgg16-frozen": (21_137_729, 6_423_041),
    "task2-vgg16-finetuned": (21_138_500, 8_783_620),
    "task2-vgg16-wide": (66_622_532, 51_907_844),
    "task2-resnet50": (24_901_508, 1_366_916),
    "task2-resnet50v2": (24_090_372, 525_572),
    "task1-mobilenetv2": (2_586_177, 328_193),
    "task1-mobilenet": (2_030_097, 197_121),
    "task1-smallcnn": (132_409, 131_913),
    "task1-smallcnn-narrow": (81_075, 80_703),
    "task2-mobilenetv2": (2_586_948, 328_964),
    "task2-mobilenet": (2_030_868, 197_892),
    "task2-smallcnn": (133_180, 132_684),
    "task2-smallcnn-narrow": (81_846, 81_474),
    "task1-vgg16": (14_848_321, 2_492_417),
    "task2-vgg16": (14_849_092, 2_493_188),
    "task2-resnet50-frozen": (24_113_284, 525_572),
    "task2-vgg16-frozen": (14_847_044, 132_356),
}
TRAINED = {  # initial learning rate, epochs, dropout
    "handout-task1": (5e-4, 40, []),
    "handout-task2": (1e-4, 100, []),
    "task1-vgg16-finetuned": (5e-4, 40, [0.5, 0.5]),
    "task1-vgg16-frozen": (5e-4, 40, []),
    "task2-vgg16-finetuned": (1e-4, 100, [0.2, 0.2]),
    "task2-vgg16-wide": (1e-3, 100, [0.4, 0.3]),
    "task2-resnet50": (3e-4, 100, [0.5, 0.5]),
    "task2-resnet50v2": (1e-3, 100, [0.3, 0.2]),
}
SMALL = {"image_size": 32, "epochs": 2}


def test_recipes_all_have_their_parameters_listed():
    assert list(xk.recipes) == list(PARAMETERS) and len(xk.recipes) == len(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_build_parameters_are_the_listed_and_the_published_ones(name):
    recipe = xk.recipes[name]
    model = recipe.override(weights=None).build(CLASSES[recipe.task])
    trained = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    assert (model.count_params(), trained) == PARAMETERS[name]
    assert recipe.published.parameters in (None, model.count_params())
    assert recipe.published.trainable in (None, trained)


@pytest.mark.parametrize("name", TRAINED)
def test_recipe_training_is_that_of_its_source(name):
    recipe = xk.recipes[name]
    rate = recipe.learning_rate
    if isinstance(rate, dict):
        rate = rate.get("initial_learning_rate") or rate["values"][0]
    dropout = [options["rate"] for kind, options in recipe.head if kind == "Dropout"]
    assert (rate, recipe.epochs, dropout) == TRAINED[name]
    assert (recipe.optimizer, recipe.batch_size) == ("adam", 10)


def test_train_equals_training_by_hand(multiclass):
    options = {"image_size": 32, "end_at": "block1_pool"}
    recipe = xk.recipes["task2-smallcnn"].override(epochs=2, **options)
    model, history = recipe.train(multiclass, seed=1)
    by_hand = xk.build_classifier("SmallCNN", multiclass.class_names, seed=1, **options)
    expected = xk.train(by_hand, multiclass, epochs=2, learning_rate=1e-3, seed=1)
    assert history.equals(expected)
    assert (model.get_weights()[0] == by_hand.get_weights()[0]).all()


def test_override_does_not_change_the_recipe_itself():
    recipe = xk.recipes["task2-vgg16-finetuned"]
    other = recipe.override(epochs=3, head=[["Flatten"], ["Dense", {"units": 9}]])
    assert (recipe.epochs, other.epochs) == (100, 3)
    assert other.head == (("Flatten", {}), ("Dense", {"units": 9}))


def test_head_changed_in_place_changes_no_other_recipe():
    recipe = xk.recipes["task2-vgg16-finetuned"]
    recipe.override(epochs=3).head[2][1]["units"] = 7
    assert recipe.head[2][1]["units"] == 256
    recipe.head[2][1]["units"] = 7
    for name in ("task2-vgg16-finetuned", "handout-task2"):
        assert {"units": 256} in [
            {"units": options.get("units")} for _, options in xk.recipes[name].head
        ]


def test_override_backbone_resets_settings_of_the_old_one():
    other = xk.recipes["task2-vgg16-finetuned"].override(backbone="ResNet50V2")
    assert other.trainable_from is None
    narrow = xk.recipes["task2-mobilenet"].override(backbone="SmallCNN", alpha=0.5)
    assert narrow.alpha == 0.5


def test_as_published_has_the_bugs_of_the_handout():
    original = xk.recipes["task2-resnet50"].as_published().override(weights=None)
    network = original.build(CLASSES["multiclass"])
    assert network.get_layer("preprocessing").scale == pytest.approx(1 / 255)
    assert (original.augmentation, original.n_views) == ("handout", 16)
    assert "repaired" not in repr(original)


def test_repr_has_assumptions_and_published_scores():
    text = repr(xk.recipes["task1-vgg16-finetuned"])
    assert "published test 18/18 = 100 % [82, 100], loss 0.0104" in text
    assert "trainable_from='block5_conv3'" in text
    assert "assumed   the steps of the inverse time decay" in text
    assert "repaired  as_published() has preprocessing='rescale'" in text
    changed = repr(xk.recipes["task1-vgg16-finetuned"].override(epochs=3))
    assert changed.endswith("changed   epochs=3")


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (
            {"schedule": "PiecewiseConstantDecay", "boundaries": [2, 3], "values": [3, 2, 1]},
            [3, 3, 2, 1, 1],
        ),
        (
            {
                "schedule": "InverseTimeDecay",
                "initial_learning_rate": 12,
                "decay_epochs": 1,
                "decay_rate": 1,
            },
            [12, 6, 4, 3, 12 / 5],
        ),
        (
            {"schedule": "CosineDecay", "initial_learning_rate": 2, "decay_epochs": 4},
            [2, 1 + 0.5**0.5, 1, 1 - 0.5**0.5, 0],
        ),
    ],
)
def test_training_schedule_changes_with_whole_epochs(multiclass, rate, expected):
    recipe = xk.recipes["task2-smallcnn"].override(learning_rate=rate, epochs=4)
    steps = -(-len(multiclass.train) // recipe.batch_size)
    schedule = recipe.training_options(multiclass)["learning_rate"]
    rates = [float(schedule(epoch * steps)) for epoch in range(5)]
    np.testing.assert_allclose(rates, expected, atol=1e-6)
    if "boundaries" in rate:
        assert float(schedule(2 * steps - 1)) == 3


FEATURES = ["Dense", {"units": 4, "name": "features"}]
PIECES = {"schedule": "PiecewiseConstantDecay"}
COSINE = {"schedule": "CosineDecay", "initial_learning_rate": 1e-3}
BAD = [
    ({"optimizer": "adamm"}, "Unknown optimizer 'adamm'.* Did you mean 'adam'"),
    ({"precision": "float64"}, "Unknown precision 'float64'"),
    ({"backbone": "VGG61"}, "Unknown backbone 'VGG61'"),
    ({"batch_norm": "no"}, "Unknown batch_norm 'no'"),
    ({"preprocessing": "none"}, "Unknown preprocessing 'none'"),
    ({"alpha": 10**400}, "expected a number"),
    ({"learning_rate": True}, "learning_rate=True"),
    ({"learning_rate": 10**400}, "expected a number"),
    ({"epcohs": 3}, "Unknown setting of a recipe 'epcohs'.* Did you mean 'epochs'"),
    ({"name": "mine"}, "Unknown setting of a recipe 'name'"),
    ({"epochs": "ten"}, "epochs='ten': expected a whole number"),
    ({"epochs": 2.5}, "epochs=2.5: expected a whole number"),
    ({"epochs": True}, "epochs=True: expected a whole number"),
    ({"epochs": 0}, "epochs=0: expected a whole number, 1 or more"),
    ({"alpha": "wide"}, "alpha='wide': expected a number"),
    ({"use_feature_cache": 1}, "use_feature_cache=1: expected True or False"),
    ({"end_at": 4}, "end_at=4: expected text or None"),
    ({"early_stopping": "soon"}, "early_stopping='soon': expected a whole number or None"),
    ({"backbone": "VGG"}, "Unknown backbone 'VGG'.* Did you mean 'VGG1[69]'"),
    ({"end_at": "block9"}, "Unknown layer of SmallCNN 'block9'"),
    ({"preprocessing": "255"}, "Unknown preprocessing '255': expected one of own, rescale"),
    ({"augmentation": "lots"}, "Unknown augmentation 'lots': expected one of none, kit, handout"),
    ({"optimizer": "adamw"}, "Unknown optimizer 'adamw'.* Did you mean 'adam'"),
    ({"restore_best_weights": "first"}, "restore_best_weights='first': expected True or False"),
    ({"alpha": float("nan")}, "alpha=nan: expected a number"),
    ({"alpha": float("inf")}, "alpha=inf: expected a number"),
    ({"early_stopping": 0}, "early_stopping=0: expected a whole number, 1 or more"),
    ({"learning_rate": {"schedule": ["a"]}}, r"Unknown learning_rate schedule \['a'\]"),
    ({"learning_rate": PIECES | {"boundaries": [], "values": [1]}}, "expected one or more epochs"),
    (
        {"learning_rate": PIECES | {"boundaries": [True], "values": [1, 1]}},
        "expected one or more epochs",
    ),
    ({"learning_rate": COSINE | {1: 2, "z": 3}}, "Unknown argument of CosineDecay 1"),
    (
        {"head": [["Flatten"], ["MultiHeadAttention", {"num_heads": 1, "key_dim": 2}], FEATURES]},
        "Layer 'multi_head_attention.*' does not fit",
    ),
    ({"weights": "none.h5"}, "weights='none.h5': expected 'imagenet', None, or a .h5 file's path"),
    ({"head": "Flatten"}, "head='Flatten': expected a list"),
    ({"head": [3]}, "head: 3: expected a Keras layer and its arguments, such as"),
    ({"head": [["Dense", 4]]}, r"head: \['Dense', 4\]: expected a Keras layer and its arguments"),
    ({"head": [["Dens", {}]]}, "Unknown layer of the head 'Dens'.* Did you mean 'Dense'"),
    ({"head": [["keras", {}]]}, "Unknown layer of the head 'keras'"),
    ({"head": [["Dense", {"units": "x"}]]}, "head: can't build Dense with .*: .*positive integer"),
    ({"head": [["Dense", {"unit": 3}]]}, "head: can't build Dense with .*: .*'units'"),
    ({"head": [["Flatten"]]}, "no layer named 'features'"),
    ({"head": [FEATURES]}, "begin it with Flatten or GlobalAveragePooling2D"),
    ({"head": [["AveragePooling2D", {"pool_size": 7}], ["Flatten"], FEATURES]}, "does not fit"),
    ({"learning_rate": "fast"}, "learning_rate='fast': expected a number or a dict"),
    ({"learning_rate": -1}, "learning_rate=-1: expected a number above 0"),
    ({"learning_rate": {}}, "Unknown learning_rate schedule None: expected one of InverseTime"),
    ({"learning_rate": {"schedule": "Cosine"}}, "Did you mean 'CosineDecay'"),
    ({"learning_rate": COSINE}, "CosineDecay lacks decay_epochs"),
    (
        {"learning_rate": COSINE | {"decay_steps": 9}},
        "Unknown argument of CosineDecay 'decay_steps'.* Did you mean 'decay_epochs'",
    ),
    (
        {"learning_rate": COSINE | {"decay_epochs": 1}},
        "reaches 0 after decay_epochs=1, and epochs=2: the last epochs would change nothing",
    ),
    (
        {"learning_rate": PIECES | {"boundaries": [1], "values": [1e-3]}},
        "1 boundary needs 2 values, found 1",
    ),
    (
        {"learning_rate": PIECES | {"boundaries": [2, 1], "values": [1, 1, 1]}},
        r"boundaries=\[2, 1\]: expected one or more epochs, whole numbers above 0 in increas",
    ),
    (
        {"learning_rate": PIECES | {"boundaries": 2, "values": [1, 1]}},
        "boundaries=2: expected a list of numbers",
    ),
    (
        {"learning_rate": PIECES | {"boundaries": [1], "values": [1, 0]}},
        "each of values=0: expected a number above 0",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[str(bad) for bad, _ in BAD])
def test_override_wrong_settings_raise_one_line(changes, message, multiclass):
    with pytest.raises(xk.InputError) as raised:
        xk.recipes["task2-smallcnn"].override(**SMALL).override(**changes).train(multiclass)
    assert re.search(message, str(raised.value)) and "\n" not in str(raised.value)


def test_train_other_task_raises(binary):
    with pytest.raises(xk.InputError, match="task2-smallcnn is for the multiclass task"):
        xk.recipes["task2-smallcnn"].train(binary)


def test_recipes_unknown_name_suggests_the_nearest():
    with pytest.raises(xk.InputError, match="Did you mean 'task2-vgg16-wide'"):
        xk.recipes["task2-vgg16-wde"]


def test_recipes_are_a_mapping_however_the_package_is_imported():
    importlib.import_module("xraykit.recipes.choose")  # Python puts the package in xk's place
    assert xk.recipes["task1-smallcnn"].backbone == "SmallCNN"


@pytest.mark.slow
@pytest.mark.usefixtures("real_vgg16")
def test_train_vgg16_on_real_images_scores_and_reloads(real_challenge, tmp_path):
    task = xk.load_task("binary", real_challenge)
    model, _ = xk.recipes["task1-vgg16"].train(task)
    predictions = xk.predict(model, task.test)
    assert xk.score(predictions).correct >= 17
    model.save(tmp_path / "model.keras")
    loaded = xk.predict(xk.keras.models.load_model(tmp_path / "model.keras"), task.test)
    assert loaded.equals(predictions)
    fractions = xk.thorax_attention(xk.gradcam(model, task.test), predictions)
    assert fractions.loc["all", "images"] >= 17 and fractions.loc["all", "thorax"] > 0.4

import functools
import hashlib
import http.server
import threading

import h5py
import numpy as np
import pytest
from keras.src.applications import efficientnet, mobilenet
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

import xraykit as xk
from xraykit import keras
from xraykit.models.weights import _announce_download

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
MOBILENET_FILE = "mobilenet_2_5_224_tf_no_top.h5"


def build_mobilenet(**options):
    return xk.backbone("MobileNet", alpha=0.25, image_size=32, **options)


def save_as_keras_does(model, path):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def random_network(application, **options):
    """Return a network whose weights and BatchNorm statistics are all random."""
    network = application(include_top=False, weights=None, **options)
    random = np.random.default_rng(1)
    network.set_weights(
        [w + random.uniform(0.01, 0.05, w.shape) if w.ndim else w for w in network.get_weights()]
    )
    return network


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on localhost, and let Keras use an empty cache."""
    folder, cache = tmp_path / "served", tmp_path / "cache"
    folder.mkdir()
    cache.mkdir()  # Keras uses another one if it does not exist

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    httpd = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{httpd.server_port}/"
    _announce_download.cache_clear()
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", address)
    monkeypatch.setattr(efficientnet, "BASE_WEIGHTS_PATH", address)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(cache))
    monkeypatch.setenv("KERAS_HOME", str(cache))
    monkeypatch.delenv("XRAYKIT_WEIGHTS_DIR", raising=False)
    yield folder
    httpd.shutdown()
    httpd.server_close()


def test_load_imagenet_download_says_so_once_and_loads(server, capsys):
    donor = random_network(keras.applications.MobileNet, alpha=0.25, input_shape=(224, 224, 3))
    save_as_keras_does(donor, server / MOBILENET_FILE)
    base = build_mobilenet()
    for actual, expected in zip(base.get_weights(), donor.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
    size = (server / MOBILENET_FILE).stat().st_size / 1e6
    text = capsys.readouterr().out
    assert "weights of MobileNet are not on this machine" in text and "MB, once" in text
    assert float(text.partition("(")[2].partition(" MB")[0]) == pytest.approx(size, abs=1)
    build_mobilenet()  # now from Keras' cache
    assert "not on this machine" not in capsys.readouterr().out


def test_load_imagenet_failed_download_lists_alternatives(server):
    with pytest.raises(xk.InputError, match=r"404.*XRAYKIT_WEIGHTS_DIR.*SmallCNN") as raised:
        build_mobilenet()
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("server")
def test_load_imagenet_file_in_folder_needs_no_download(tmp_path, monkeypatch):
    donor = random_network(keras.applications.MobileNet, alpha=0.25, input_shape=(32, 32, 3))
    save_as_keras_does(donor, tmp_path / MOBILENET_FILE)
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    np.testing.assert_array_equal(build_mobilenet().get_weights()[0], donor.get_weights()[0])


@pytest.mark.slow
def test_backbone_efficientnet_agrees_with_keras(server, tmp_path, monkeypatch):
    path = server / "efficientnetb0_notop.h5"
    donor = random_network(keras.applications.EfficientNetB0, input_shape=(32, 32, 3))
    next(layer for layer in donor.layers if "normalization" in layer.name).set_weights(
        [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)]
    )
    save_as_keras_does(donor, path)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, "b0", (digest, digest))
    reference = keras.applications.EfficientNetB0(include_top=False, input_shape=(32, 32, 3))
    expected = reference.predict(PIXELS, verbose=0)
    downloaded = xk.backbone("EfficientNetB0", image_size=32)
    from_file = xk.backbone("EfficientNetB0", weights=path, image_size=32)
    for base in (downloaded, from_file):
        np.testing.assert_allclose(
            base.predict(PIXELS, verbose=0), expected, rtol=1e-3, atol=1e-4 * expected.max()
        )


@pytest.mark.slow
def test_load_imagenet_shorter_file_fits_up_to_its_last_layer(tmp_path, monkeypatch):
    shorter = xk.backbone("ResNet50", weights=None, end_at="conv4_block6_out", image_size=32)
    path = tmp_path / "resnet50_to_conv4_notop.weights.h5"
    shorter.save_weights(path)
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    by_name = xk.backbone("ResNet50", end_at="conv3_block4_out", image_size=32)
    by_path = xk.backbone("ResNet50", weights=path, end_at="conv4_block6_out", image_size=32)
    first = shorter.get_weights()[0]
    np.testing.assert_array_equal(by_name.get_weights()[0], first)
    np.testing.assert_array_equal(by_path.get_weights()[0], first)


@pytest.mark.usefixtures("server")
def test_load_imagenet_file_too_short_names_the_end_at_that_fits(tmp_path, monkeypatch):
    (tmp_path / "resnet50_to_conv4_notop.weights.h5").touch()
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setattr(keras.applications, "ResNet50", _offline(keras.applications.ResNet50))
    with pytest.raises(xk.InputError, match="it fits with end_at='conv4_block6_out'"):
        xk.backbone("ResNet50", image_size=32)


def _offline(application):
    def build(weights=None, **options):
        if weights == "imagenet":
            raise OSError("no network")
        return application(weights=weights, **options)

    return build


def test_load_file_invalid_file_raises_in_one_line(tmp_path):
    (tmp_path / "damaged.weights.h5").write_bytes(b"not HDF5")
    xk.backbone("SmallCNN", image_size=32).save_weights(tmp_path / "other.weights.h5")
    for name, message in (
        ("missing.h5", "expected 'imagenet', None, or a .h5 file's path"),
        ("damaged.weights.h5", "does not contain the weights of MobileNet"),
        ("other.weights.h5", "does not contain the weights of MobileNet"),
    ):
        with pytest.raises(xk.InputError, match=message) as raised:
            build_mobilenet(weights=tmp_path / name)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("MobileNetV2", {}, 2_257_984),
        ("MobileNet", {"alpha": 0.75}, 1_832_976),
        ("ResNet50", {"end_at": "conv4_block6_out"}, 8_589_184),
        ("ResNet50V2", {"end_at": "conv4_block6_out"}, 8_573_440),
    ],
)
def test_load_imagenet_real_weights_fit_each_network(
    real_weights, name, options, parameters, recwarn
):
    base = xk.backbone(name, image_size=64, **options)
    assert base.count_params() == parameters
    norms = [x for x in base.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert all(norm.beta.numpy().any() for norm in norms)  # zeros in a new network
    assert not recwarn.list


@pytest.mark.usefixtures("real_vgg16")
def test_load_imagenet_vgg16_has_published_values():
    """The values are published ones of Keras' file."""
    base = xk.backbone("VGG16", image_size=64)
    kernel, bias = base.get_layer("block1_conv1").get_weights()
    assert kernel[0, 0, 0, 0] == pytest.approx(0.42947057) and bias[25] == pytest.approx(0.7446502)
    kernel, _ = base.get_layer("block5_conv3").get_weights()
    assert kernel[0, 2, 0, 400] == pytest.approx(-0.008714244)


def test_load_imagenet_features_equal_those_of_keras(real_weights):
    plain = keras.applications.MobileNetV2(
        include_top=False, alpha=0.35, weights=None, input_shape=(96, 96, 3)
    )
    plain.load_weights(real_weights / "mobilenetv2_0_35_224_notop.weights.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("float32")
    expected = plain.predict(
        keras.applications.mobilenet_v2.preprocess_input(pixels.copy()), verbose=0
    )
    actual = xk.backbone("MobileNetV2", alpha=0.35, image_size=96).predict(pixels, verbose=0)
    np.testing.assert_allclose(actual, expected, atol=1e-3)

"""Networks: from raw pixels to features or class probabilities."""

# The scaling that each network's weights expect, as `keras.applications` defines it: "caffe" is BGR
# minus ImageNet's mean, "tf" is -1 to 1, "torch" standardizes each channel as in ImageNet.
SCALINGS = {
    "VGG16": "caffe",
    "VGG19": "caffe",
    "ResNet50": "caffe",
    "ResNet50V2": "tf",
    "InceptionV3": "tf",
    "DenseNet121": "torch",
    "MobileNet": "tf",
    "MobileNetV2": "tf",
    "EfficientNetB0": "efficientnet",
    "SmallCNN": "tf",
}
PREPROCESSING = ("own", "rescale")
BATCH_NORM = ("frozen", "recalibrate", "train")

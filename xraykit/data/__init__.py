"""Loading of images: class folders, tasks, splits and augmentation."""

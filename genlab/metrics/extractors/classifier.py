"""The small classifiers of digits and of clothes: extractors that fit a CPU and a repository.

Inception's classes are those of ImageNet, so its distances between digits mean little, and
it costs half a second an image on a CPU core. A classifier trained on the very kind of image is 500
times cheaper and sees what matters. Its weights are part of this package, because a rebuilt
extractor is another extractor: with equal accuracy, most distances move by 16 to 21 %.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from genlab.errors import DataError
from genlab.metrics.extractors.base import Features
from genlab.metrics.extractors.shipped_weights import WEIGHTS, read_shipped

__all__ = ["Classifier", "ClassifierExtractor", "StackedClassifierExtractor"]


class Classifier(nn.Module):
    """A convolutional classifier of 28x28 gray images; `scripts/train_extractor.py` trains it.

    Args:
        width: Channels of the first convolution; the next two have twice as many.
        dim: Number of features.
        classes: Number of classes.
    """

    def __init__(self, width: int = 16, dim: int = 64, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.fc1 = nn.Linear(2 * width * 7 * 7, dim)
        self.fc2 = nn.Linear(dim, classes)

    def features(self, images: Tensor) -> Tensor:
        """Features before the last ReLU (nearer to a Gaussian than after it), ``(n, dim)``."""
        x = images.float() / 255
        x = torch.max_pool2d(self.conv1(x).relu(), 2)
        x = torch.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc1(self.conv3(x).relu().flatten(1))

    def logits(self, features: Tensor) -> Tensor:
        """Logits of features, ``(n, classes)``."""
        return self.fc2(features.relu())

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.features(images))


class ClassifierExtractor:
    """Features and logits of a small classifier whose weights are part of genlab.

    Args:
        name: ``digits`` or ``fashion``.
        folder: Where ``NAME.safetensors`` and ``NAME.json`` are.

    Raises:
        DataError: A file is missing, or the weights' sha256 is not the one of the JSON.
    """

    preprocessing = "28x28 gray, x / 255"
    batch = 64

    def __init__(self, name: str, folder: Path = WEIGHTS):
        weights, self.card, self.id = read_shipped(name, folder)
        self.name = name
        width, dim = weights["conv1.weight"].shape[0], weights["fc1.weight"].shape[0]
        self.dim, self.classes = dim, weights["fc2.weight"].shape[0]
        self.modes = self.classes
        self.net = Classifier(width, dim, self.classes)
        self.net.load_state_dict(weights)
        self.net.eval().requires_grad_(False)
        self.net.to(memory_format=torch.channels_last)  # 4 times faster

    def to(self, device: torch.device | str) -> "ClassifierExtractor":
        self.net.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        if images.shape[1:] != (1, 28, 28):
            raise DataError(
                f"extractor {self.name}: images of shape {tuple(images.shape[1:])}; it was trained "
                "on (1, 28, 28): choose inception or pixels"
            )
        features = self.net.features(images)
        return Features(features, self.net.logits(features))


class StackedClassifierExtractor:
    """The digits classifier on each of three channels: the 1,000 classes of Stacked MNIST.

    The features are those of the three channels side by side, and the logits are the
    log-probabilities of the triples: class ``100 r + 10 g + b``.
    """

    name = "stacked_digits"
    preprocessing = "28x28, the digits classifier on each of 3 channels, x / 255"
    batch = 64

    def __init__(self, folder: Path = WEIGHTS):
        self.digits = ClassifierExtractor("digits", folder)
        self.id = self.digits.id
        self.dim, self.classes = 3 * self.digits.dim, self.digits.classes**3
        self.modes = self.classes

    def to(self, device: torch.device | str) -> "StackedClassifierExtractor":
        self.digits.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        if images.shape[1:] != (3, 28, 28):
            raise DataError(
                f"extractor {self.name}: images of shape {tuple(images.shape[1:])}; "
                "Stacked MNIST has (3, 28, 28)"
            )
        n = len(images)
        seen = self.digits(images.flatten(0, 1)[:, None])
        assert seen.logits is not None
        r, g, b = seen.logits.log_softmax(1).view(n, 3, -1).unbind(1)
        joint = r[:, :, None, None] + g[:, None, :, None] + b[:, None, None, :]
        return Features(seen.features.view(n, -1), joint.flatten(1))

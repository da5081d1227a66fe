"""The Inception network of 2015 that FID and the Inception score are defined by."""

import io
from dataclasses import replace

import torch
from torch import Tensor

from genlab.metrics.extractors.base import Features, to_rgb
from genlab.metrics.extractors.weights_files import WeightsFile

__all__ = ["INCEPTION", "InceptionExtractor"]

INCEPTION = WeightsFile(
    name="inception",
    files=(
        "weights-inception-2015-12-05-6726825d.pth",  # torch-fidelity, torchmetrics
        "pt_inception-2015-12-05-6726825d.pth",  # pytorch-fid: the same bytes
    ),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
)


class InceptionExtractor:
    """torch-fidelity's port of the TensorFlow graph: features of pool3, logits without the bias.

    Images are resized to 299x299 as TensorFlow 1 did it (bilinear, source coordinate i * in / out,
    no antialiasing), gray ones repeated three times. Any other resizing gives another number:
    the half-pixel one of torchmetrics' default moves pixels of a digit by 11 of 255 on average.

    Args:
        path: The weights file, or None to look for it; see `WeightsFile.find`.
        download: Whether the network may be asked for it.
        expected: Another sha256 to expect, for tests; the keys then carry it, and never say FID.

    Raises:
        WeightsMissing: The weights were not found, or are other ones.
    """

    name = "inception"
    preprocessing = "RGB, TF1 bilinear 299x299, (x - 128) / 128"
    dim = 2048
    classes = 1008
    modes = 0
    batch = 32

    def __init__(
        self, path: str | None = None, *, download: bool = True, expected: str | None = None
    ):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        file = replace(INCEPTION, sha256=expected) if expected else INCEPTION
        data = file.read(path, download=download)
        # torch-fidelity unpickles what it is given: let torch refuse all but tensors before.
        torch.load(io.BytesIO(data), weights_only=True)
        self.net = FeatureExtractorInceptionV3(
            "inception-v3-compat",
            ["2048", "logits_unbiased"],
            feature_extractor_weights_path=io.BytesIO(data),
        )
        self.id = file.sha256

    def to(self, device: torch.device | str) -> "InceptionExtractor":
        self.net.to(device)
        return self

    def __call__(self, images: Tensor) -> Features:
        return Features(*self.net(to_rgb(images)))

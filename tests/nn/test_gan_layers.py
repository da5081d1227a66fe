"""Layers of GANs against singular values, formulas written out, and single images."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from genlab.errors import ConfigError
from genlab.nn.gan.conditional_norm import ClassBatchNorm
from genlab.nn.gan.doubling import doublings
from genlab.nn.gan.equalized import EqualConv, EqualLinear, MinibatchDeviation
from genlab.nn.gan.growing import GrowingDiscriminator, GrowingGenerator, grown, shrunk
from genlab.nn.gan.map_attention import MapAttention
from genlab.nn.gan.projection import ProjectionHead
from genlab.nn.gan.sngan import DownBlock, UpBlock
from genlab.nn.gan.spectral import spectrally_normalized
from genlab.nn.gan.style import ModulatedConv, StyleGenerator


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Linear(7, 5), torch.randn(3, 7)),
        (nn.Conv2d(4, 6, 3), torch.randn(2, 4, 8, 8)),
    ],
)
def test_spectral_normalization_divides_by_the_largest_singular_value(layer, x):
    with torch.no_grad():
        layer.weight.mul_(5)
    raw = layer.weight.detach().clone()
    spectrally_normalized(layer)
    for _ in range(200):
        layer(x)
    largest = torch.linalg.svdvals(raw.flatten(1))[0]
    torch.testing.assert_close(layer.weight.detach(), raw / largest, rtol=1e-4, atol=1e-6)


def test_spectral_normalization_reaches_every_layer_and_rests_in_evaluation():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), ProjectionHead(4 * 36, 3))
    spectrally_normalized(net)
    normalized = {
        name for name, m in net.named_modules() if nn.utils.parametrize.is_parametrized(m)
    }
    assert normalized == {"0", "2.linear", "2.classes"}
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.eval()
    net[2](torch.randn(2, 144), torch.tensor([0, 1]))
    torch.testing.assert_close(dict(net.state_dict()), before, rtol=0, atol=0)


def test_the_projection_head_is_its_formula():
    head = ProjectionHead(5, num_classes=3)
    h, y = torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    w, b, v = head.linear.weight[0], head.linear.bias[0], head.classes.weight
    expected = torch.stack([w @ h[i] + b + v[y[i]] @ h[i] for i in range(4)])
    torch.testing.assert_close(head(h, y), expected)
    torch.testing.assert_close(ProjectionHead(5)(h).shape, torch.Size([4]))


def test_packed_images_have_label_embeddings_of_their_own():
    head = ProjectionHead(5, num_classes=3, packing=2)
    h, y = torch.randn(2, 5), torch.tensor([0, 2, 1, 1])
    w, b, v = head.linear.weight[0], head.linear.bias[0], head.classes.weight
    expected = torch.stack(
        [w @ h[0] + b + (v[0] + v[3 + 2]) @ h[0], w @ h[1] + b + (v[1] + v[3 + 1]) @ h[1]]
    )
    torch.testing.assert_close(head(h, y), expected)


def test_class_batch_norm_scales_and_shifts_by_class():
    norm, x = ClassBatchNorm(2, num_classes=3), torch.randn(4, 2, 3, 3)
    with torch.no_grad():
        norm.classes.weight.normal_()
    y = torch.tensor([2, 0, 2, 1])
    plain = nn.BatchNorm2d(2, affine=False)(x)
    scale, shift = norm.classes.weight[y][:, :2], norm.classes.weight[y][:, 2:]
    expected = plain * scale[:, :, None, None] + shift[:, :, None, None]
    torch.testing.assert_close(norm(x, y), expected)


def test_attention_is_a_softmax_over_pooled_positions():
    attention, x = MapAttention(8), torch.randn(1, 8, 4, 4)
    torch.testing.assert_close(attention(x), x)  # gamma starts from 0
    nn.init.constant_(attention.gamma, 0.7)
    flat = x[0].flatten(1)
    pool = lambda m: nn.functional.max_pool2d(m.view(1, -1, 4, 4), 2)[0].flatten(1)  # noqa: E731
    f, g, h, o = (
        layer.weight[:, :, 0, 0]
        for layer in (attention.query, attention.key, attention.value, attention.out)
    )
    columns = []
    for n in range(16):
        weights = (pool(g @ flat).T @ (f @ flat[:, n])).softmax(0)
        columns.append(flat[:, n] + 0.7 * o @ (pool(h @ flat) @ weights))
    torch.testing.assert_close(attention(x)[0].flatten(1), torch.stack(columns, 1))


def test_residual_blocks_equal_pooling_and_doubling_in_the_published_order():
    x = torch.randn(2, 3, 8, 8)
    for first in (False, True):
        block = DownBlock(3, 5, first=first)
        inner = block.conv2(block.conv1(x if first else x.relu()).relu())
        expected = nn.functional.avg_pool2d(inner + block.skip(x), 2)
        torch.testing.assert_close(block(x), expected)
    block = UpBlock(3, 5)
    double = lambda m: m.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
    inner = block.conv1(double(block.norm1(x).relu()))
    expected = block.conv2(block.norm2(inner).relu()) + block.skip(double(x))
    block = block.eval().train()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_one_with_weights_of_each_image(demodulate):
    conv = ModulatedConv(3, 4, 5, demodulate=demodulate)
    x, w = torch.randn(2, 3, 6, 6), torch.randn(2, 5)
    with torch.no_grad():
        conv.bias.normal_()
    for i in range(2):
        weight = conv.scale * conv.weight * conv.style(w[i : i + 1])[0][None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = conv2d(x[i : i + 1], weight, conv.bias, padding=1)
        torch.testing.assert_close(conv(x, w)[i : i + 1], expected, rtol=1e-4, atol=1e-5)


def test_equalized_layers_put_out_unit_variance():
    x = torch.randn(4000, 64)
    assert EqualLinear(64, 50, gain=1.0)(x).var().item() == pytest.approx(1, rel=0.1)
    assert EqualLinear(64, 50, gain=1.0, rate=0.01)(x).var().item() == pytest.approx(1, rel=0.1)
    maps = EqualConv(64, 50, gain=1.0)(torch.randn(8, 64, 12, 12))[:, :, 1:-1, 1:-1]
    assert maps.var().item() == pytest.approx(1, rel=0.1)


def test_minibatch_deviation_is_that_of_each_group():
    x = torch.randn(6, 2, 3, 3)
    out = MinibatchDeviation(group=2)(x)
    torch.testing.assert_close(out[:, :2], x)
    for i in range(3):  # images i and i + 3 make a group
        deviation = x[[i, i + 3]].std(0, correction=0).mean()
        torch.testing.assert_close(
            out[[i, i + 3], 2], deviation.expand(2, 3, 3), rtol=1e-4, atol=1e-5
        )


def test_styles_enter_from_their_own_layer_on():
    """Another style for the last layer leaves the smaller images as they are."""
    torch.manual_seed(0)
    net = StyleGenerator(8, 1, [(4, 4), (8, 8)], width=4, depth=2)
    w = torch.randn(1, net.layers, 8)
    seen = []
    net.images[0].register_forward_hook(lambda module, args, out: seen.append(out))
    first = net.synthesize(w)
    other = w.clone()
    other[:, -1] += 1
    second = net.synthesize(other)
    torch.testing.assert_close(seen[0], seen[1])
    assert not torch.allclose(first, second)


def test_a_stage_that_is_not_faded_in_is_the_stage_before_enlarged():
    torch.manual_seed(0)
    sizes = [(4, 4), (8, 8), (16, 16)]
    g, d = GrowingGenerator(8, 1, sizes, width=4), GrowingDiscriminator(1, sizes, width=4)
    z, x = torch.randn(4, 8), torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(g(z, None, 2, 0.0), grown(g(z, None, 1), 1))
    torch.testing.assert_close(d(x, None, 2, 0.0), d(shrunk(x, 1), None, 1))
    assert not torch.allclose(g(z, None, 2, 1.0), grown(g(z, None, 1), 1))
    assert [tuple(g(z, None, stage).shape[2:]) for stage in range(3)] == sizes


def test_sizes_are_doubled_exactly_or_refused():
    assert doublings(8, 8, network="dcgan") == [(4, 4), (8, 8)]
    assert doublings(24, 48, network="dcgan") == [(6, 12), (12, 24), (24, 48)]
    for size in ((30, 30), (3, 3), (9, 9), (28, 27)):
        with pytest.raises(ConfigError, match=rf"network=dcgan.*this data is {size[0]}x{size[1]}"):
            doublings(*size, network="dcgan")

"""Encoders and decoders: any size goes in and comes out, and every pixel counts."""

import pytest
import torch

from genlab.nn.autoencoders.conv import pyramid
from genlab.nn.autoencoders.encoder_decoder import EncoderDecoder
from genlab.nn.autoencoders.mlp import MLP
from genlab.nn.autoencoders.spatial import SpatialDecoder, SpatialEncoder

SIZES = [
    (1, 28, 28),
    (3, 32, 32),
    (3, 64, 64),
    (1, 8, 8),
    (1, 7, 7),
    (2, 2, 2),
    (1, 1, 1),
    (1, 13, 9),
]
NETWORKS = ["mlp", "conv", "resnet"]


def networks(network):
    return EncoderDecoder(network, width=4, hidden=16, depth=1)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_pixel_reaches_the_code_and_every_code_every_pixel(network, shape):
    torch.manual_seed(1)
    encoder = networks(network).encoder(shape, 6, context=2)
    x = torch.randn(16, *shape, requires_grad=True)
    context = torch.randn(16, 2, requires_grad=True)
    out = encoder(x, context)
    assert out.shape == (16, 6)
    for gradient in torch.autograd.grad(out.square().sum(), [x, context]):
        assert (gradient.abs().sum(0) > 0).all()
    decoder = networks(network).decoder(5, (7, *shape[1:]))
    z = torch.randn(16, 5)
    y = decoder(z)
    assert y.shape == (16, 7, *shape[1:])
    assert ((decoder(z + 0.3) - y).abs().sum(0) > 0).all()
    assert y.is_contiguous()


@pytest.mark.parametrize("network", NETWORKS)
def test_an_image_does_not_depend_on_the_others_of_its_batch(network):
    torch.manual_seed(1)
    encoder, decoder = (
        networks(network).encoder((1, 12, 12), 4),
        networks(network).decoder(4, (1, 12, 12)),
    )
    x, z = torch.randn(5, 1, 12, 12), torch.randn(5, 4)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]))
    torch.testing.assert_close(decoder(z)[:1], decoder(z[:1]))


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_acts_in_training_and_only_then(network):
    encoder = EncoderDecoder(network, 8, 16, 1, dropout=0.5).encoder((1, 8, 8), 4)
    x = torch.randn(3, 1, 8, 8)
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    torch.testing.assert_close(encoder(x), encoder(x))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_maps_mirror_each_other(shape, halvings):
    sizes = {"width": 4, "blocks": 1, "halvings": halvings}
    encoder, decoder = SpatialEncoder(shape, 3, **sizes), SpatialDecoder(3, shape, **sizes)
    z = encoder(torch.randn(2, *shape))
    assert z.shape == (2, 3, *encoder.sizes[-1])
    assert decoder(z).shape == (2, *shape)
    assert max(encoder.sizes[-1]) >= min(2, max(shape[1:]))


def test_the_pyramid_stops_where_it_is_told():
    assert pyramid(64, 64, smallest=8) == [(64, 64), (32, 32), (16, 16), (8, 8)]
    assert pyramid(9, 3, smallest=2) == [(9, 3), (5, 2), (3, 1), (2, 1)]
    assert pyramid(28, 28, smallest=2, depth=1) == [(28, 28), (14, 14)]


def test_no_activation_follows_the_last_layer():
    torch.manual_seed(0)
    assert MLP([3, 8, 4], dropout=0.1)(torch.randn(50, 3)).min() < 0
    assert len(MLP([3, 4])) == 1

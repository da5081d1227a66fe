"""Causal layers: by perturbation, exactly the outputs that may move do."""

import pytest
import torch
from torch import nn

from genlab.nn.causal.attention import CausalAttention
from genlab.nn.causal.fold import Fold
from genlab.nn.causal.gated import GatedBlock, ResidualBlock
from genlab.nn.causal.layers import color_mask
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.masked_mlp import MaskedMLP
from genlab.nn.causal.row_lstm import RowLSTM

HEIGHT, WIDTH = 7, 9


def influence(layer, channels, row, column, channel=0):
    """Which outputs a change of one number of a map moves, bool ``(C', H, W)``."""
    x = torch.randn(1, channels, HEIGHT, WIDTH, dtype=torch.float64)
    changed = x.clone()
    changed[0, channel, row, column] += 1
    with torch.no_grad():
        return (layer(changed) != layer(x))[0]


def places(allowed):
    return torch.tensor([[allowed(r, c) for c in range(WIDTH)] for r in range(HEIGHT)])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("rows", "left", "right"), [(1, 1, 1), (2, 3, 3), (0, 2, 2), (1, 2, 0)])
def test_a_masked_convolution_sees_the_rows_above_and_what_is_left(
    strict, dilation, rows, left, right
):
    layer = MaskedConv2d(
        2, 3, rows=rows, left=left, right=right, strict=strict, dilation=dilation
    ).double()

    def seen(r, c):  # from (r, c), whether (3, 4) is a tap
        up, across = divmod(r - 3, dilation), divmod(c - 4, dilation)
        if up[1] or across[1]:
            return False
        if up[0] == 0:
            return (strict or rows < 0) <= across[0] <= left
        return 0 < up[0] <= rows and -right <= across[0] <= left

    moved = influence(layer, 2, 3, 4)
    torch.testing.assert_close(moved, places(seen).expand(3, -1, -1))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_vertical_convolution_sees_rows(strict, dilation):
    layer = VerticalConv2d(2, 3, rows=2, reach=1, strict=strict, dilation=dilation).double()

    def seen(r, c):
        up, across = divmod(r - 3, dilation), divmod(c - 4, dilation)
        return not up[1] and not across[1] and strict <= up[0] <= 2 and abs(across[0]) <= 1

    torch.testing.assert_close(influence(layer, 2, 3, 4), places(seen).expand(3, -1, -1))


@pytest.mark.parametrize("strict", [True, False])
def test_colors_come_in_order(strict):
    """Of its own pixel a color sees the ones before it, and itself unless strict."""
    layer = MaskedConv2d(6, 9, rows=1, left=1, strict=strict, colors=3).double()
    for channel in range(6):
        moved = influence(layer, 6, 3, 4, channel)
        color = torch.arange(9) % 3
        own = color > channel % 3 if strict else color >= channel % 3
        torch.testing.assert_close(moved[:, 3, 4], own)
        assert moved[:, 3, 5].all()
        assert moved[:, 4, 3:6].all()
        assert not moved[:, 3, :4].any()
    assert torch.equal(color_mask(3, 3, 3, True), torch.ones(3, 3).tril(-1))


def test_the_convolution_is_the_masked_one_of_the_textbook():
    """Against a full kernel times a mask, as everybody else writes it."""
    layer = MaskedConv2d(3, 4, rows=2, left=2, dilation=2).double()
    mask = torch.zeros(5, 5)
    mask[:2], mask[2, :3] = 1, 1
    kernel = torch.zeros(4, 3, 5, 5, dtype=torch.float64)
    kernel[:, :, :3] = layer.kernel()
    assert torch.equal(kernel, kernel * mask)
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    expected = nn.functional.conv2d(x, kernel, layer.bias, padding=4, dilation=2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("strict", [True, False])
def test_attention_sees_all_earlier_pixels(strict):
    attention = CausalAttention(2, strict=strict)
    fixed = torch.randn(1, 4, HEIGHT, WIDTH, dtype=torch.float64)
    before = places(lambda r, c: (r, c) > (3, 4) or (not strict and (r, c) == (3, 4)))
    for layer in (lambda x: attention(fixed, x, fixed), lambda x: attention(fixed, fixed, x)):
        moved = influence(layer, 4, 3, 4).any(0)
        torch.testing.assert_close(moved, before)
    query = influence(lambda x: attention(x, fixed, fixed), 4, 3, 4).any(0)
    torch.testing.assert_close(query, places(lambda r, c: (r, c) == (3, 4)))


def test_attention_against_a_masked_softmax():
    q, k, v = torch.randn(3, 2, 6, 3, 4, dtype=torch.float64)
    found = CausalAttention(2)(q, k, v)
    for head in (slice(0, 3), slice(3, 6)):
        a, b, c = (x[:, head].flatten(2) for x in (q, k, v))
        scores = (a.transpose(1, 2) @ b / 3**0.5).masked_fill(
            torch.ones(12, 12).triu(1).bool(), -torch.inf
        )
        expected = (scores.softmax(-1) @ c.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(found[:, head].flatten(2), expected)


def test_the_row_lstm_sees_a_triangle_above_and_is_an_lstm():
    lstm = RowLSTM(3).double()
    moved = influence(lstm, 12, 3, 4).any(0)
    torch.testing.assert_close(moved, places(lambda r, c: r >= 3 and abs(c - 4) <= r - 3))
    cell = nn.LSTMCell(1, 3, bias=False).double()  # one column: a plain LSTM down the rows
    i, f, g, o = torch.randn(4, 5, 3, dtype=torch.float64)
    narrow = torch.cat([f, i, o, g], 1).T[None, :, :, None]
    with torch.no_grad():
        si, sf, sg, so = cell.weight_hh.chunk(4)
        lstm.recurrence.zero_()[..., 1] = torch.cat([sf, si, so, sg])
        h = c = torch.zeros(3, dtype=torch.float64)
        for t in range(5):
            c = (f[t] + sf @ h).sigmoid() * c + (i[t] + si @ h).sigmoid() * (g[t] + sg @ h).tanh()
            h = (o[t] + so @ h).sigmoid() * c.tanh()
        torch.testing.assert_close(lstm(narrow)[0, :, -1, 0], h)


def test_a_masked_perceptron_sees_the_pixels_before():
    mlp = MaskedMLP((HEIGHT, WIDTH), 2, hidden=200, depth=2).double()
    moved = influence(lambda x: mlp(x, None), 1, 3, 4).any(0)
    torch.testing.assert_close(moved, places(lambda r, c: (r, c) > (3, 4)))


def test_a_gated_stack_has_no_blind_spot():
    first = VerticalConv2d(1, 4, rows=1, reach=1, strict=True).double()
    start = MaskedConv2d(1, 4, rows=0, left=1, strict=True).double()
    blocks = nn.ModuleList(GatedBlock(4) for _ in range(10)).double()

    def network(x):
        down, right = first(x), start(x)
        for block in blocks:
            down, right, _ = block(down, right, None)
        return right

    for r, c in ((2, 8), (3, 5), (0, 0)):
        seen = influence(network, 1, r, c).any(0)
        above = places(lambda i, j, r=r, c=c: i > r or (i == r and j > c))
        reach = places(lambda i, j, c=c: abs(j - c) <= 11)
        torch.testing.assert_close(seen, above & reach)


def test_folding_keeps_every_pixel_and_its_parameters():
    for channels, ordered in ((1, 1), (3, 3), (3, 1)):
        fold = Fold(2, ordered)
        x = torch.arange(2 * channels * 3 * 8).view(2, channels, 3, 8)
        if channels == ordered or ordered == 1:
            sites = fold.sites(x)
            assert sites.shape == (2, 2 * channels, 3, 4)
            assert torch.equal(sites.flatten(1).sort().values, x.flatten(1).sort().values)
        params = torch.randn(2, 2 * 6, 3, 4)
        pixels = fold.pixels(params)
        assert pixels.shape == (2, 6, 3, 8)
        for column in range(8):
            site = fold.of_pixel(params[:, :, 1, column // 2], column % 2)
            torch.testing.assert_close(pixels[:, :, 1, column], site[..., 0, 0])
    assert torch.equal(Fold(2, 3).sites(x)[0, :3, 0, 0], x[0, :, 0, 0])  # left pixel, its colors


def test_a_residual_block_is_its_own_formula():
    block = ResidualBlock(8, context=3).double()
    x = torch.randn(2, 8, HEIGHT, WIDTH, dtype=torch.float64)
    context = torch.randn(2, 3, 1, 1, dtype=torch.float64)
    y = block.conv(block.reduce(x.clamp_min(0)).clamp_min(0)) + block.context(context)
    torch.testing.assert_close(block(x, context), x + block.expand(y.clamp_min(0)))


def test_a_single_pixel_has_the_strides_that_kernels_take():
    split = CausalAttention(2)._split(torch.randn(3, 8, 1, 1))
    assert split.shape == (3, 2, 1, 4)
    assert split.stride() == (8, 4, 4, 1)

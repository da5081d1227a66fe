"""Sampling engines: what they find is what a whole pass finds, and no memory is shared wrongly."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from genlab.errors import ConfigError, Unsupported
from genlab.nn.causal.attention import CausalAttention
from genlab.nn.causal.gated import ResidualBlock
from genlab.nn.causal.layers import Domain, Pointwise, Position
from genlab.nn.causal.masked import MaskedConv2d, VerticalConv2d
from genlab.nn.causal.masked_mlp import CachedMLP, MaskedMLP
from genlab.nn.causal.row_lstm import RowLSTM
from genlab.nn.causal.sampling import lines
from genlab.nn.causal.sampling.cached import Cached
from genlab.nn.causal.sampling.engines import choose_engine
from genlab.nn.causal.sampling.graph import traced
from genlab.nn.causal.sampling.layout import Window
from genlab.nn.causal.sampling.skewed import Line, SkewedMap
from genlab.nn.causal.sampling.wavefront import Wavefront, lag

HEIGHT, WIDTH = 7, 9
DOCUMENT = Path(__file__).parents[2] / "docs" / "sampling.md"


class Network(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x, context):
        for layer in self.layers:
            x = layer(x)
        return x


class Strange(nn.Module):
    """Uses a first layer's output in every way the engine treats differently."""

    def __init__(self):
        super().__init__()
        self.down = VerticalConv2d(2, 4, rows=2, strict=True)
        self.first = MaskedConv2d(2, 4, strict=True)
        self.wide = MaskedConv2d(4, 4, left=2, dilation=3)
        self.near = MaskedConv2d(4, 4, bias=False)
        self.below = MaskedConv2d(4, 4)  # of the vertical stream
        self.place = Position(4, HEIGHT, WIDTH, std=1.0)
        self.one, self.two = Pointwise(4, 4), Pointwise(8, 4, bias=False)
        self.seen = Pointwise(2, 4)
        self.attend = CausalAttention(2, strict=True)
        self.own = CausalAttention(1)
        self.lstm = RowLSTM(4)
        self.gates = Pointwise(4, 16)
        self.norm = nn.Sequential(nn.Dropout(0.5), nn.SiLU(), nn.ELU())

    def forward(self, x, context):
        y, down = self.first(x), torch.tanh(self.down(x))
        y = y + self.wide(y) + self.near(y) + context
        z = torch.relu(y) * torch.sigmoid(down) + self.place(x)
        z = torch.cat([z, -y], 1)
        z = y + self.two(self.norm(z)) * 0.5
        z = z + self.attend(z, self.seen(x), self.seen(x) + y)
        z = z + self.own(z, self.one(z), z + down) + self.below(down)
        a, b = self.gates(z).chunk(2, 1)
        return self.lstm(torch.cat([a, torch.nn.functional.gelu(b)], 1)) + torch.relu(z) + down


def line_by_line(engine, x, rows=0, colors=1):
    """The network's map below the rows that are done, each pixel, or color, before it is known."""
    x, found = x.flatten(2), None
    for number, line in enumerate(engine.lines):
        engine.begin(number)
        for color in range(colors):
            params = engine.params().permute(1, 2, 0)
            if found is None:
                found = x.new_full((len(x), params.shape[1], x.shape[2]), torch.nan)
            found[:, color::colors, line] = params[:, color::colors]
            known = torch.arange(x.shape[1])[:, None] <= color if colors > 1 else 1
            engine.put((x[:, :, line] * known).permute(2, 0, 1))
    return found.unflatten(2, (HEIGHT, WIDTH))[:, :, rows:]


def by(engine, network, x, context, rows=0, colors=1):
    """The same, by an engine that is told the rows that are done, and no others."""
    with torch.inference_mode():
        given = x * (torch.arange(x.shape[2]) < rows)[:, None]
        return line_by_line(engine(network, given, context, rows), x, rows, colors)


@pytest.mark.parametrize("rows", [0, 1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_engine_finds_the_cached_form_of_any_network(rows, batch):
    network = Strange().double().eval()
    x = torch.randn(batch, 2, HEIGHT, WIDTH, dtype=torch.float64)
    context = torch.randn(batch, 4, 1, 1, dtype=torch.float64)
    found = by(Cached, network, x, context, rows)
    torch.testing.assert_close(found, network(x, context)[:, :, rows:].detach())


class Slanted(nn.Module):
    """Masked convolutions of all kinds and reaches, and what may stand between them."""

    def __init__(self):
        super().__init__()
        self.first = MaskedConv2d(2, 6, rows=2, left=2, right=1, strict=True)
        self.wide = MaskedConv2d(6, 6, rows=1, left=1, dilation=2)
        self.flat = MaskedConv2d(6, 6, rows=0, left=2, bias=False)
        self.again = MaskedConv2d(2, 6, rows=1, left=1, strict=True)
        self.place = Position(6, HEIGHT, WIDTH, std=1.0)
        self.embed = Pointwise(4, 6)
        self.placed = MaskedConv2d(6, 6)
        self.one = Pointwise(12, 6)
        self.seen = nn.Sequential(nn.Dropout(0.5), nn.SiLU())

    def forward(self, x, context):
        place = self.place(torch.tanh(x)) + self.embed(context)
        y = self.first(x) + self.again(torch.tanh(x)) + place
        z = torch.cat([self.wide(torch.relu(y)), self.flat(y)], 1)
        a, b = torch.relu_(self.one(z)).chunk(2, 1)
        y = y + torch.cat([torch.sigmoid(a), -b], 1) + self.placed(place)
        return self.seen(y) * 0.5 + place


@pytest.mark.parametrize("room", [1, 2])
@pytest.mark.parametrize("rows", [0, 1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_slanted_lines_find_what_a_whole_pass_finds(rows, batch, room, monkeypatch):
    monkeypatch.setattr(lines, "ROOM", room)  # how often what is remembered moves
    network = Slanted().double().eval()
    for layer in (network.first, network.wide, network.again, network.placed, network.one):
        nn.init.normal_(layer.bias)
    assert lag(network) < WIDTH
    x = torch.randn(batch, 2, HEIGHT, WIDTH, dtype=torch.float64)
    context = torch.randn(batch, 4, 1, 1, dtype=torch.float64)
    expected = network(x, context)[:, :, rows:].detach()
    torch.testing.assert_close(by(Wavefront, network, x, context, rows), expected)
    with torch.no_grad():  # the graph is kept, the weights are not
        network.wide.own.mul_(-2)
    changed = network(x, context)[:, :, rows:].detach()
    assert not torch.allclose(changed, expected)
    torch.testing.assert_close(by(Wavefront, network, x, context, rows), changed)


class Residual(nn.Module):
    """Sums of products and values, read by relus, products, convolutions and views."""

    def __init__(self):
        super().__init__()
        self.first = MaskedConv2d(2, 6, rows=1, left=2, strict=True)
        self.blocks = nn.ModuleList(ResidualBlock(6, dilation=d, context=4) for d in (1, 2))
        self.blocks.append(ResidualBlock(6))
        self.plain = MaskedConv2d(6, 6)
        self.ones = nn.ModuleList(Pointwise(6, 6, bias=i != 2) for i in range(7))

    def forward(self, x, context):
        x = self.first(x)
        for i, block in enumerate(self.blocks):
            x = block(x, context if i < 2 else None)
        a = self.ones[0](x) + self.ones[1](torch.relu_(self.ones[2](x)))  # two products
        b = self.plain(x) + x  # nobody's product, and what another convolution reads
        c = a + self.ones[3](torch.relu(b))
        d = torch.tanh(c) + self.ones[4](c)  # one needs the bias, the other adds to it
        e, f = c.chunk(2, 1)  # views of what others read, before and after they are changed
        g = c + self.ones[6](torch.cat([torch.relu(e), f], 1))
        return self.ones[5](torch.relu_(d)) + c + a + g


@pytest.mark.parametrize("room", [1, 2])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_sums_of_all_kinds_are_accumulated(rows, room, monkeypatch):
    monkeypatch.setattr(lines, "ROOM", room)
    network = Residual().double().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    x = torch.randn(2, 2, HEIGHT, WIDTH, dtype=torch.float64)
    context = torch.randn(2, 4, 1, 1, dtype=torch.float64)
    assert lag(network) < WIDTH
    expected = network(x, context)[:, :, rows:].detach()
    torch.testing.assert_close(by(Wavefront, network, x, context, rows), expected)


def test_lines_are_for_networks_that_let_rows_overlap():
    assert lag(Strange()) is None  # it looks at whole rows above
    assert lag(nn.Linear(1, 1)) is None
    first = MaskedConv2d(1, 1, rows=1, left=3, strict=True)
    assert lag(Network(first)) == 4


def test_a_copy_of_a_network_is_traced_by_itself():
    network = Network(MaskedConv2d(1, 2, strict=True), Pointwise(2, 2))
    x = torch.zeros(1, 1, 4, 4)
    graph = traced(network, x, None)
    assert traced(network, x, None) is graph
    copy = deepcopy(network)
    assert traced(copy, x, None).network is copy
    network.layers[0].strict = False
    with pytest.raises(ConfigError, match="not causal"):
        traced(network, x, None)


def test_the_engine_refuses_what_is_not_causal_or_not_known():
    x = torch.zeros(1, 1, 4, 4)
    for layers in (
        [MaskedConv2d(1, 2)],  # mask B first
        [Pointwise(1, 2)],
        [MaskedConv2d(1, 2, strict=True), VerticalConv2d(2, 2)],  # sees to the right
    ):
        with pytest.raises(ConfigError, match="not causal"):
            Cached(Network(*layers), x)
    with pytest.raises(Unsupported, match="has no cached form"):
        Cached(Network(MaskedConv2d(1, 2, strict=True), nn.Conv2d(2, 2, 1)), x)
    assert MaskedConv2d(1, 1).domain(Domain.IMAGE) is Domain.IMAGE
    assert MaskedConv2d(1, 1, strict=True).domain(Domain.IMAGE) is Domain.PIXEL


# --------------------------------------------------------------------------------------------------
# The rules of docs/sampling.md: which memory is a view of which, and who writes in place


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_the_taps_of_a_window_are_views_of_its_row(dilation):
    window = Window(2, 3, WIDTH, dilation, 2, torch.zeros(0))
    row = torch.randn(2, WIDTH, 3)
    taps = [window.taps(column, 2, own=True) for column in range(WIDTH)]
    for column in range(WIDTH):
        window.slot(column).copy_(row[:, column])
    assert torch.equal(window.row(), row)
    padded = nn.functional.pad(row, (0, 0, 2 * dilation, 0))
    for column, seen in enumerate(taps):
        places = [column, column + dilation, column + 2 * dilation]
        assert torch.equal(seen, padded[:, places].flatten(1))


@pytest.mark.parametrize(("above", "margin"), [(0, 0), (1, 1), (2, 3)])
def test_lines_of_a_skewed_map_are_views_of_its_rows(above, margin):
    line, behind = Line(), 2
    kept = SkewedMap((3, 4, HEIGHT, WIDTH), line, behind, above, margin, torch.zeros(0))
    image = torch.randn(3, 4, HEIGHT, WIDTH)
    kept.write(image)
    padded = nn.functional.pad(image, (margin, margin, above, 0))
    read = kept.reading(above, margin, 2 * margin + 1)
    own = kept.reading()
    for time in range(behind * (HEIGHT - 1) + WIDTH):
        crossed = [r for r in range(HEIGHT) if 0 <= time - behind * r < WIDTH]
        line.set(time, crossed[0], len(crossed))
        expected = [
            padded[:, :, r, c : c + 2 * margin + 1].transpose(1, 2).flatten(1)
            for r in crossed
            for c in [time - behind * r]
        ]
        assert torch.equal(read(), torch.cat(expected))
    for time in range(behind * (HEIGHT - 1) + WIDTH):
        crossed = [r for r in range(HEIGHT) if 0 <= time - behind * r < WIDTH]
        line.set(time, crossed[0], len(crossed))
        own().mul_(-1)  # in the map itself: each pixel lies on one line
    expected = nn.functional.pad(-image, (margin, margin, above, 0)).permute(2, 0, 3, 1)
    assert torch.equal(kept.memory[:, :, : WIDTH + 2 * margin], expected)


def test_a_map_keeps_what_kernels_reach_when_rows_move_up():
    line, behind, rows = Line(), 2, 5
    kept = SkewedMap((2, 1, rows, WIDTH), line, behind, 1, 1, torch.zeros(0))
    kept.write(torch.arange(1.0, 2 * rows * WIDTH + 1).view(2, 1, rows, WIDTH))
    line.set(8, 2, 3)  # rows 2, 3 and 4, at columns 4, 2 and 0
    read = kept.reading(1, 1, 3)
    before = read()[:4].clone()  # the last row has but begun
    kept.move_up()
    line.set(line.time - behind * 2, 0, 3)
    assert torch.equal(read()[:4], before)


class Shared(nn.Module):
    """Sums, and parts of sums, that several read: none may be overwritten before all have."""

    def __init__(self, use):
        super().__init__()
        self.first = MaskedConv2d(2, 8, strict=True)
        self.near = MaskedConv2d(4, 8)
        self.out = Pointwise(8, 6)
        self.use = use

    def forward(self, x, context):
        y = self.first(x)
        a, b = y.chunk(2, 1)
        if self.use == "whole after part":
            y = torch.cat([torch.tanh(a), torch.sigmoid(b)], 1) + y
        elif self.use == "part twice":
            y = torch.cat([torch.tanh(a) * a, b], 1)
        elif self.use == "part by two names":
            c = y.chunk(2, 1)
            y = torch.cat([torch.relu(c[0]) + torch.tanh(c[0]), c[1]], 1)
        elif self.use == "part alone":
            y = torch.cat([torch.tanh(a), torch.relu(b)], 1)
        elif self.use == "sum twice":
            y = torch.relu(y) + torch.relu(y + 0.5) + y
        elif self.use == "sum alone":
            y = torch.relu(y)
        elif self.use == "part convolved":
            y = self.near(torch.relu(a)) + self.near(b) + y
        return self.out(y)


USES = (
    "whole after part",
    "part twice",
    "part by two names",
    "part alone",
    "sum twice",
    "sum alone",
    "part convolved",
)


@pytest.mark.parametrize("engine", [Cached, Wavefront])
@pytest.mark.parametrize("use", USES)
def test_nothing_is_overwritten_that_is_still_read(use, engine):
    network = Shared(use).double().eval()
    x = torch.randn(2, 2, HEIGHT, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(by(engine, network, x, None), network(x, None).detach())


@pytest.mark.parametrize(("use", "alone"), [("part alone", True), ("whole after part", False)])
def test_an_activation_takes_the_place_of_what_it_alone_reads(use, alone):
    engine = Cached(Shared(use).eval(), torch.zeros(1, 2, HEIGHT, WIDTH))
    nodes = {node.name: node for node in engine.graph.graph.nodes}
    whole, tanh = (engine.layout.home(nodes[name])[0] for name in ("network_first", "tanh"))
    assert (whole.data_ptr() == tanh.data_ptr()) is alone


class Folded(nn.Module):
    """Two ordered colors: the first layer multiplies its own pixel, not yet known, by zero."""

    def __init__(self):
        super().__init__()
        self.first = MaskedConv2d(2, 6, strict=True, colors=2)
        self.again = MaskedConv2d(6, 6, colors=2)

    def forward(self, x, context):
        return self.again(torch.relu(self.first(torch.tanh(x))))


@pytest.mark.parametrize("engine", [Cached, Wavefront])
@pytest.mark.parametrize("make", [Folded, Slanted, Residual])
@pytest.mark.parametrize("rows", [0, 2])
def test_no_memory_is_read_before_it_is_written(make, engine, rows):
    network = make().double().eval()
    x = torch.randn(2, 2, HEIGHT, WIDTH, dtype=torch.float64)
    context = torch.randn(2, 4, 1, 1, dtype=torch.float64)
    torch.use_deterministic_algorithms(True)  # fills what is new with NaN
    try:
        found = by(engine, network, x, context, rows, colors=2 if make is Folded else 1)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(found, network(x, context)[:, :, rows:].detach())


def test_each_rule_of_the_document_names_a_test():
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text()))
    assert len(named) >= 6
    assert named <= set(globals())


# --------------------------------------------------------------------------------------------------
# The choice of an engine


def test_a_network_gets_the_engine_that_it_can_be_computed_by():
    x = torch.zeros(1, 1, 4, 8)
    first = MaskedConv2d(1, 2, rows=1, left=3, strict=True)
    network = Network(first, Pointwise(2, 2))
    assert isinstance(choose_engine(network, x), Wavefront)
    assert isinstance(choose_engine(network, x[..., :4]), Cached)  # two rows fit on no line
    assert isinstance(choose_engine(network, x.expand(100_000, -1, -1, -1)), Cached)
    down = Network(VerticalConv2d(1, 2, strict=True), Pointwise(2, 2))
    assert isinstance(choose_engine(down, x), Cached)
    assert isinstance(choose_engine(MaskedMLP((4, 8), 1, hidden=4, depth=1), x), CachedMLP)

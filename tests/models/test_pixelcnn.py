"""Autoregressive families: cached sampling is naive sampling, and says what log_prob says."""

from functools import partial

import contract
import pytest
import torch
from families import NAMES, TINY, build, conditions, config, examples

from genlab.errors import ConfigError
from genlab.models.autoregressive import Autoregressive
from genlab.models.pixelcnn import PixelCNN
from genlab.nn.causal.masked import MaskedConv2d
from genlab.nn.causal.sampling.cached import Cached
from genlab.nn.causal.sampling.engines import choose_engine, is_wavefront_faster
from genlab.nn.causal.sampling.filling import fill
from genlab.nn.causal.sampling.naive import fill_naively
from genlab.nn.causal.sampling.wavefront import Wavefront, lag
from genlab.types import Batch, ImageSpec, Tempered

FAMILIES = [
    name
    for name in NAMES
    if config(name)._target_.split(".")[2]
    in ("pixelcnn", "pixelcnn_pp", "pixelsnail", "pixelrnn", "made", "image_gpt")
]
GRAY = ImageSpec(1, 4, 8, levels=4, num_classes=3)
COLOR = ImageSpec(3, 3, 4, levels=3, num_classes=3)
BINARY = ImageSpec(1, 4, 8, levels=2, num_classes=3)
SMALL = {
    "pixelcnn": {"blocks": 3, "width": 24},
    "pixelcnn_gated": {"blocks": 3, "width": 24, "hidden": 24},
    "pixelcnn_pp": {"blocks": 1, "width": 12, "dilations": [1, 2]},
    "pixelsnail": {"blocks": 2, "residual": 1, "width": 12, "key": 8},
    "pixelrnn": {"layers": 2, "width": 12},
    "image_gpt": {"blocks": 2, "width": 24},
    "made": {"hidden": 96},
}
"""Overrides that keep the tests quick; their structure is what is tested."""


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def model_of(name, spec, scale=2, **overrides):
    model = build(name, spec, **(SMALL.get(name, {}) | overrides))
    contract.scale_weights(model, scale)
    return model.to(torch.get_default_dtype()).eval()


def both(model, batch, temperature=1.0, known=0, x=None):
    """Images of the same noise, drawn by the chosen engine, by each that there is, and naively.

    Returns:
        Pairs ``(images, parameters)``, those of the naive way last.
    """
    canvas, head = model.canvas, model.head
    u = torch.rand(batch, head.uniforms, canvas.height, canvas.width)
    context = model._context(conditions(model, batch))
    ways = [partial(fill, make_engine=choose_engine), fill_naively]
    behind = lag(model.network)
    if behind is not None:
        ways.insert(0, partial(fill, make_engine=Cached))
        if behind < canvas.width // model.fold.size:
            ways.insert(0, partial(fill, make_engine=Wavefront))
    found = []
    for way in ways:
        given = torch.zeros(batch, *canvas.shape, dtype=torch.uint8) if x is None else x.clone()
        params = torch.zeros(batch, head.channels, canvas.height, canvas.width)
        options = {"known": known, "temperature": temperature, "params": params}
        drawn = way(given, u, model.network, head, model.fold, context, **options)
        found.append((drawn, params))
    return found


def test_the_family_is_all_here():
    assert len(FAMILIES) >= 8
    assert all(isinstance(build(name, TINY), Autoregressive) for name in ("pixelcnn", "made"))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("spec", [GRAY, COLOR, BINARY], ids=["gray", "color", "binary"])
@pytest.mark.parametrize("name", FAMILIES)
def test_cached_sampling_is_naive_sampling(double, name, spec, conditional):
    model = model_of(name, spec, conditional=conditional)
    *engines, (naive, expected) = both(model, 2, temperature=0.9)
    for cached, params in engines:
        torch.testing.assert_close(params, expected)
        assert torch.equal(cached, naive)
    assert len(naive.unique()) > 1


@pytest.mark.parametrize("block", ["gated", "residual"])
@pytest.mark.parametrize("fold", [1, 2])
def test_cached_sampling_orders_colors(double, block, fold):
    model = PixelCNN(COLOR, blocks=2, width=12, block=block, fold=fold, head="categorical").eval()
    contract.scale_weights(model, 3)
    *engines, (naive, expected) = both(model, 2)
    for cached, params in engines:
        torch.testing.assert_close(params, expected)
        assert torch.equal(cached, naive)


@pytest.mark.parametrize("width", [2, 8])  # too narrow for rows to overlap, and not
def test_levels_that_are_names_have_vectors(double, width):
    spec = ImageSpec(1, 4, width, levels=4)
    model = PixelCNN(spec, blocks=2, block="residual", position=True, embed=6).eval()
    contract.scale_weights(model, 3)
    *engines, (naive, expected) = both(model, 2)
    for cached, params in engines:
        torch.testing.assert_close(params, expected)
        assert torch.equal(cached, naive)
    for refused in ({"spec": COLOR}, {"spec": spec, "fold": 2}):
        with pytest.raises(ConfigError, match=r"model.embed=6: needs images of one channel"):
            PixelCNN(**refused, embed=6)


@pytest.mark.parametrize("block", ["gated", "residual"])
@pytest.mark.parametrize(("channels", "head"), [(1, "spiked"), (3, "categorical")])
@pytest.mark.parametrize("fold", [1, 2])
def test_black_and_almost_white_are_marked_in_order(double, block, channels, head, fold):
    spec = ImageSpec(channels, 3, 4, levels=9)
    model = PixelCNN(spec, blocks=2, width=12, block=block, fold=fold, head=head, marks=True).eval()
    contract.scale_weights(model, 3)
    *engines, (naive, expected) = both(model, 2)
    for cached, params in engines:
        torch.testing.assert_close(params, expected)
        assert torch.equal(cached, naive)
    x = examples(spec, 1).x
    x[0, 0, 1, 1] = 1
    black = x.clone()
    black[0, 0, 1, 1] = 0  # the next level, but a mark of its own
    moved = (model.params(black) - model.params(x)).abs().sum(1) > 0
    first = 1 if channels > 1 else 2  # of colors, the pixel's own later ones move too
    assert not moved[0].flatten()[: 4 + first].any()
    assert moved[0].flatten()[4 + first :].any()
    for refused in ({"spec": BINARY}, {"spec": ImageSpec(1, 3, 4, levels=9), "embed": 3}):
        with pytest.raises(ConfigError, match=r"model.marks=true: needs images of more than 8"):
            PixelCNN(**refused, marks=True)


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("name", FAMILIES)
def test_in_single_precision_hardly_an_image_differs(name, batch):
    model = model_of(name, ImageSpec(1, 3, 4, levels=4))
    *engines, (naive, _) = both(model, batch)
    for cached, _ in engines:
        # Where they differ, a uniform number fell between two roundings of a probability.
        assert (cached == naive).flatten(1).all(1).double().mean() >= 0.999


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sampler_s_own_terms_add_up_to_log_prob(name):
    spec = ImageSpec(1, 4, 8, levels=4)
    model = model_of(name, spec, scale=1)  # of larger weights rounding alone is more
    for x, params in both(model, 3):
        own = model.head.log_prob(params, x)
        torch.testing.assert_close(model.log_prob(Batch(x)), own, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_likelihood_of_colors_sums_to_one(name):
    """64 images of two pixels of three binary colors."""
    head = {} if name == "pixelcnn_pp" else {"head": "categorical"}
    model = model_of(name, ImageSpec(3, 1, 2, levels=2, num_classes=3), **head)
    contract.check_likelihood(model)


@pytest.mark.parametrize("name", ["pixelcnn", "pixelcnn_gated", "pixelsnail", "pixelrnn"])
def test_a_first_layer_that_sees_its_own_pixel_is_caught(name, monkeypatch):
    """Mask B first: the probabilities no longer sum to one, and the sampler refuses."""
    init = MaskedConv2d.__init__
    monkeypatch.setattr(
        MaskedConv2d, "__init__", lambda self, *a, **k: init(self, *a, **(k | {"strict": False}))
    )
    model = build(
        name, TINY, **SMALL.get(name, {}), **({"fold": 1} if "fold" in config(name) else {})
    )
    contract.scale_weights(model, 3)
    with pytest.raises(AssertionError, match="sums to"):
        contract.check_likelihood(model)
    with pytest.raises(ConfigError, match="not causal"):
        model.sample(1)


@pytest.mark.parametrize("name", FAMILIES)
def test_completion_keeps_what_is_known(double, name):
    spec = GRAY
    model = model_of(name, spec, conditional=True)
    x, y = examples(spec, 2).x, torch.tensor([2, 0])
    for known in (0, 5, 16, 19, 32):
        rows = []
        done = model.complete(
            x,
            known,
            y,
            generator=contract.generator(),
            on_progress=lambda *report, rows=rows: rows.append(report),
        )
        assert torch.equal(done.flatten(2)[:, :, :known], x.flatten(2)[:, :, :known])
        assert int(done.max()) < spec.levels
        expected = [(2 * row, 8) for row in range(known // 8 + 1, 5)]  # of two images, 4 rows each
        assert [(steps, total) for steps, total, _ in rows] == expected
        assert all(seen.shape == x.shape for *_, seen in rows)
    mask = torch.arange(32).view(4, 8) < 19
    again = model.complete(x, mask, y, generator=contract.generator())
    assert torch.equal(again, model.complete(x, 19, y, generator=contract.generator()))
    *engines, (naive, expected) = both(model, 2, known=11, x=x)
    for cached, params in engines:
        torch.testing.assert_close(params, expected)
        assert torch.equal(cached, naive)


def test_completion_of_colors_counts_pixels():
    for name in ("made", "pixelcnn_pp"):
        model, x = model_of(name, COLOR), examples(COLOR, 2).x
        done = model.complete(x, 5)
        assert torch.equal(done.flatten(2)[:, :, :5], x.flatten(2)[:, :, :5])
        assert not torch.equal(done, x)


def test_completion_of_nothing_is_sampling():
    model = model_of("pixelcnn_tiny", GRAY)
    x = examples(GRAY, 3).x
    sampled = model.sample(3, generator=contract.generator())
    assert torch.equal(model.complete(x, 0, generator=contract.generator()), sampled)


def test_a_completion_of_what_cannot_be_is_refused():
    model, x = build("pixelcnn_tiny", GRAY), examples(GRAY, 2).x
    column = torch.zeros(4, 8)
    column[:, :3] = 1
    wrong = [
        (x, column, "not a causal prefix"),
        (x, torch.ones(3, 3), "mask of shape"),
        (x, -1, "from 0 to 32"),
        (x, 33, "from 0 to 32"),
        (x.float(), 8, "must be uint8"),
        (x[:, :, 1:], 8, "must be of shape"),
        (x + 10, 8, "below 4"),
    ]
    for given, known, message in wrong:
        with pytest.raises(ConfigError, match=message):
            model.complete(given, known)
    with pytest.raises(ConfigError, match="temperature"):
        model.complete(x, 8, options=Tempered(0))


def test_bad_input_and_bad_settings_are_refused_in_one_line():
    model, x = build("pixelcnn_tiny", GRAY), examples(GRAY, 2).x
    for call in (model.loss, model.log_prob):
        with pytest.raises(ConfigError, match="must be uint8"):
            call(Batch(x.float()))
    settings = [
        ({"head": "bernoulli"}, "2 levels"),
        ({"kernel": 4}, r"model\.kernel=4"),
        ({"first_kernel": 1}, r"model\.first_kernel=1"),
        ({"dilations": [0]}, "dilations"),
        ({"fold": 4, "width": 6}, r"model\.width"),
    ]
    for overrides, message in settings:
        with pytest.raises(ConfigError, match=message):
            build("pixelcnn_tiny", GRAY, **overrides)
    with pytest.raises(ConfigError, match=r"model\.heads=3"):
        build("image_gpt", GRAY, heads=3)


def test_sampling_reports_its_rows():
    model, seen = build("pixelcnn_tiny", GRAY), []
    x = model.sample(2, on_progress=lambda done, total, x: seen.append((done / total, x.clone())))
    assert [done for done, _ in seen] == [0.25, 0.5, 0.75, 1]
    assert torch.equal(seen[-1][1], x)
    assert torch.equal(seen[0][1][:, :, 0], x[:, :, 0])
    assert not seen[0][1][:, :, 1:].any()
    model.sample(2)
    assert len(seen) == 4  # who asked of one call is not told of the next


def test_a_low_temperature_draws_what_is_likely():
    model = model_of("pixelcnn_tiny", BINARY)
    cold = model.sample(20, generator=contract.generator(), options=Tempered(0.01))
    warm = model.sample(20, generator=contract.generator())
    assert model.log_prob(Batch(cold)).mean() > model.log_prob(Batch(warm)).mean()


MNIST, BINARY_MNIST = ImageSpec(1, 28, 28, levels=256), ImageSpec(1, 28, 28, levels=2)
BENCH = {"blocks": 15, "width": 32, "dilations": [1]}  # of scripts/benches, as is the next
WIDE = {"blocks": 10, "width": 128, "dilations": [1]}
MEASURED = [
    ("pixelcnn", MNIST, {}, {1: 1.56, 16: 1.46, 64: 1.19, 256: 0.91}),
    ("pixelcnn", BINARY_MNIST, {}, {1: 1.30, 16: 1.25, 64: 1.06, 256: 0.86}),
    ("pixelcnn", BINARY_MNIST, {"fold": 2}, {1: 2.26, 16: 1.85, 64: 1.31, 256: 0.93}),
    ("pixelcnn", BINARY_MNIST, {"fold": 1}, {1: 3.70, 16: 2.44, 64: 1.54, 256: 0.86}),
    ("pixelcnn", ImageSpec(3, 32, 32), {}, {1: 1.90, 16: 1.72, 64: 1.35, 256: 0.98}),
    ("pixelcnn_tiny", MNIST, {}, {1: 3.70, 16: 3.40, 64: 2.69, 256: 1.87}),
    ("pixelcnn_tiny", BINARY_MNIST, {}, {1: 3.00, 16: 2.82, 64: 2.22, 256: 1.60}),
    ("pixelcnn_tiny", BINARY_MNIST, BENCH, {1: 3.05, 16: 2.73, 64: 1.94, 256: 1.08}),
    ("pixelcnn_tiny", BINARY_MNIST, WIDE, {1: 2.48, 16: 1.69, 64: 1.14, 256: 0.91}),
]
"""By batch, the CPU time of `Cached` over that of `Wavefront`: the table of docs/sampling.md."""


@pytest.mark.parametrize(("name", "spec", "overrides", "times"), MEASURED)
def test_the_engine_that_was_measured_faster_is_chosen(name, spec, overrides, times):
    model = build(name, spec, **overrides)
    for batch, ratio in times.items():
        shape = model.fold.sites(torch.empty(batch, *spec.shape, device="meta")).shape
        if abs(ratio - 1) > 0.02:  # else either will do
            assert is_wavefront_faster(model.network, shape) is (ratio > 1)
        assert is_wavefront_faster(model.network, shape, "cuda")  # as few operations as can be


@pytest.mark.slow
def test_samples_have_the_probabilities_that_log_prob_says():
    model = model_of("pixelcnn", TINY)
    x = model.sample(40_000, generator=contract.generator())
    index = (x.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    share = index.bincount(minlength=16) / len(x)
    p = model.log_prob(Batch(contract.every_example(TINY)[0])).exp()
    error = (p * (1 - p) / len(x)).sqrt()
    assert ((share - p).abs() <= 5 * error + 1e-6).all()


def test_a_sample_takes_an_evaluation_a_pixel():
    assert build("pixelcnn_tiny", ImageSpec(1, 3, 5)).evaluations() == 15
    assert build("pixelcnn_pp", ImageSpec(3, 8, 8, levels=256)).evaluations() == 64
    assert build("image_gpt", ImageSpec(3, 4, 4)).evaluations() == 48  # channels side by side

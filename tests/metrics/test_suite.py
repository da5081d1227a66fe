"""The suite: honest names, floors, caches, one pass, and nothing else changed."""

import json
import random
import sys

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from torch.testing import assert_close

from genlab.config.folders import config_dir
from genlab.errors import ConfigError, DataError
from genlab.metrics import real, suite
from genlab.metrics.builtin import BUILT_IN
from genlab.metrics.extractors.base import extract
from genlab.metrics.extractors.classifier import ClassifierExtractor, StackedClassifierExtractor
from genlab.metrics.extractors.inception import INCEPTION
from genlab.metrics.extractors.pixels import PixelsExtractor
from genlab.metrics.extractors.weights_files import WeightsMissing
from genlab.metrics.frechet import frechet_distance
from genlab.metrics.keys import metric_key
from genlab.metrics.likelihood import Likelihood
from genlab.metrics.moments import Moments
from genlab.metrics.real import RealFeatures, Reference
from genlab.metrics.report import Report, Value
from genlab.metrics.suite import Suite
from genlab.system.paths import cache_dir
from genlab.system.progress import bars


def noise(n, generator, shape=(1, 28, 28)):
    return torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)


def reference(n=300, test=200, shape=(1, 28, 28), name="mnist", fingerprint="f" * 64):
    generator = torch.Generator().manual_seed(7)
    return Reference(noise(n, generator, shape), noise(test, generator, shape), fingerprint, name)


def config(name):
    found = yaml.safe_load((config_dir() / "metrics" / f"{name}.yaml").read_text())
    assert found.pop("_target_") == "genlab.metrics.suite.Suite"
    return found


class Pretender:
    """An extractor that says it is another."""

    dim, classes, batch, preprocessing = 8, 5, 64, "none"

    def __init__(self, name, id):
        self.name, self.id = name, id
        self.modes = 5 if name == "stacked_digits" else 0

    def to(self, device):
        return self

    def __call__(self, images):
        x = images.flatten(1)[:, :8].float()
        return real.Features(x, x[:, :5] / 50)


def inception(id=INCEPTION.sha256):
    return Pretender("inception", id)


# --- names

NUMBERS = {
    number.name: (metric, number) for metric in BUILT_IN.values() for number in metric.numbers
}


def named(short, extractor, n):
    metric, number = NUMBERS[short]
    return metric_key(number, extractor, n, metric.count_for(extractor))


@pytest.mark.parametrize(
    ("metric", "n", "expected"),
    [
        ("fd", 50_000, "fid"),
        ("fd", 10_000, "fid_10k"),
        ("cs", 50_000, "is_mean"),
        ("cs_std", 50_000, "is_std"),
        ("kd", 50_000, "kid"),
        ("kd", 2500, "kid_2500"),
        ("prec", 10_000, "prec_inception"),
    ],
)
def test_published_names_are_for_the_verified_network_and_protocol(metric, n, expected):
    assert named(metric, inception(), n) == expected


def test_no_other_network_is_ever_called_by_a_published_name():
    others = [inception("0" * 64), ClassifierExtractor("digits"), PixelsExtractor(3, 32, 32)]
    for extractor in others:
        for metric in NUMBERS:
            for n in (2000, 10_000, 50_000):
                found = named(metric, extractor, n)
                assert not found.startswith(("fid", "is_", "kid"))
                assert extractor.name in found
    assert named("fd", others[0], 50_000) == "fd_inception_00000000"
    assert named("fd", others[1], 10_000) == "fd_digits"
    assert named("fd", others[1], 2000) == "fd_digits_2k"


def test_every_number_of_every_group_knows_its_direction():
    neither = {short for short, (_, number) in NUMBERS.items() if number.better is None}
    assert neither == {"cs_std", "kd_std", "nn_ratio"}
    assert {number.better for _, number in NUMBERS.values()} == {"lower", "higher", None}
    assert all(number.label for _, number in NUMBERS.values())


def test_a_report_without_weights_has_no_fid(no_weights):
    rgb = reference(shape=(3, 32, 32), name="cifar10")
    with pytest.warns(UserWarning, match="no fid") as seen:
        found = Suite("auto", ["frechet", "score"], n_samples=50).run(
            lambda n, g: noise(n, g, (3, 32, 32)), rgb
        )
    assert len(seen) == 1
    assert list(found.scalars()) == ["fd_pictures_50", "floor_fd_pictures_50"]
    with pytest.raises(WeightsMissing, match="6726825d0af5"):
        Suite(["inception"]).load_extractors("cifar10", (3, 32, 32))


# --- what is measured


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A full report with few samples, and the state of all generators around it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        arguments = config("full") | {"n_samples": 200, "likelihood_samples": 10, "seeds": 2}

        def careless(n, generator):
            scale = 200 + 20 * random.random() + 20 * np.random.random()  # noqa: NPY002
            return (torch.rand(n, 1, 28, 28) * scale).round().to(torch.uint8)

        def log_prob(x, y, k, generator):
            return -x.double().mean((1, 2, 3)) - torch.rand(len(x), generator=generator) - k

        images = reference()
        likelihood = Likelihood(log_prob, "bound", images.test, None, 784)

        def states():
            numpy = np.random.get_state()  # noqa: NPY002
            return [torch.get_rng_state().tolist(), random.getstate(), str(numpy)]

        runs, before, after = [], [], []
        for seed in range(2):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            before.append(states())
            made = Suite(**arguments)
            runs.append(made.run(careless, images, likelihood=likelihood, weights="raw"))
            after.append(states())
        return runs, before, after


def test_evaluating_moves_no_global_random_state(everything):
    _run, before, after = everything
    assert before == after


def test_evaluating_is_reproducible_whatever_the_sampler_draws_from(everything):
    (first, second), _before, _after = everything
    assert first.scalars() == second.scalars()


def test_a_full_report_has_every_number_with_its_floor(everything):
    report = everything[0][0]
    names = [
        f"{number.name}_digits_200"
        for name, metric in BUILT_IN.items()
        for number in metric.numbers
        if name not in ("quality", "labels")  # of data in the plane, and of conditional models
    ]
    assert [v.key for v in report.values] == [*names, "nll_iw10", "bpd_iw10"]
    for value in report.values[:-2]:
        assert np.isfinite(value.value), value
        assert np.isfinite(value.floor), value
        assert value.std is not None
        assert (value.n, value.floor_n, value.split) == (200, 200, "train")
        assert value.extractor_id == ClassifierExtractor("digits").id
        assert value.metric_id == ""
    fd = report.value("fd_digits_200").number  # by the classes of the data itself: before any other
    assert (fd.name, fd.better, fd.rank, fd.shown) == ("fd", "lower", 1, True)
    nats = report.value("nll_iw10")
    assert nats.low < nats.value < nats.high
    assert (nats.n, nats.split, nats.floor) == (200, "test", None)
    assert report["bpd_iw10"] == pytest.approx(report["nll_iw10"] / (784 * np.log(2)))


def test_a_report_survives_json_and_fits_a_terminal(everything):
    report = everything[0][0]
    back = Report.from_json(report.to_json())
    assert back.values == report.values
    assert (back.weights, back.seeds, back.panel) == ("raw", 2, None)
    console = Console(width=80, record=True, file=sys.stderr)
    console.print(report.table())
    text = console.export_text()
    for part in ("fd_digits_200", "↓", "nll_iw10", "weights raw", "± of 2 draws"):
        assert part in text
    assert ClassifierExtractor("digits").id[:8] in text
    assert "…" not in text


def test_what_is_not_finite_survives_json():
    report = Report("mnist", "f", "ema", values=[Value("nll", float("inf"), "lower", 3, "test")])
    assert Report.from_json(report.to_json())["nll"] == float("inf")
    json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))


def test_the_panel_shows_the_nearest_training_images(everything):
    report, images = everything[0][0], reference()
    panel = report.panel
    assert panel.picture.shape == (1, 8 * 28, 6 * 28)
    assert panel.distances[0, 0] == panel.distances.min()
    nearest = images.train[panel.neighbours[0, 0]]
    assert torch.equal(panel.picture[:, :28, 28:56], nearest)


def test_the_numbers_are_those_of_the_functions():
    images = reference()
    x = noise(150, torch.Generator().manual_seed(1))
    found = Suite("auto", ["frechet"], n_samples=150).run(lambda n, g: x[:n], images)
    extractor = ClassifierExtractor("digits")
    moments = [Moments.of(extract(extractor, z).features) for z in (x, images.train)]
    assert found["fd_digits_150"] == pytest.approx(frechet_distance(*moments), rel=1e-9)


def test_samples_are_drawn_once_for_all_extractors_and_in_batches():
    asked = []

    def sampler(n, generator):
        asked.append(n)
        return noise(n, generator)

    found = Suite(["digits", "pixels"], ["frechet", "modes"], n_samples=110, batch=50).run(
        sampler, reference()
    )
    assert asked == [50, 50, 10]
    keys = [v.key for v in found.values]
    assert keys == ["fd_digits_110", "modes_digits_110", "class_kl_digits_110", "fd_pixels_110"]


def test_the_number_of_samples_follows_the_protocol():
    full, digits = Suite(), ClassifierExtractor("digits")
    assert full.count([digits]) == 10_000
    assert full.count([digits, inception()]) == 50_000
    assert full.count([Pretender("stacked_digits", "0")]) == 26_000
    assert Suite(metrics=["score"]).count([PixelsExtractor(1, 28, 28)]) == 0
    assert Suite(metrics=["score"], extractors=["pixels"]).run(None, reference()).values == []


def test_stacked_digits_are_counted_in_triples():
    shape = (3, 28, 28)
    images = reference(shape=shape, name="stacked_mnist")
    x = images.train[:40]
    made = Suite("auto", ["frechet", "modes"], n_samples=120)
    found = made.run(lambda n, g: x.repeat(3, 1, 1, 1)[:n], images)
    triples = extract(StackedClassifierExtractor(), x).logits.argmax(1).unique()
    assert found["modes_stacked_digits_120"] == len(triples)
    assert found.value("fd_stacked_digits_120").extractor_id == ClassifierExtractor("digits").id


def test_an_extractor_may_be_named_without_a_list():
    assert [e.name for e in Suite("pixels").load_extractors("mnist", (1, 28, 28))] == ["pixels"]
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        Suite("digit").load_extractors("mnist", (1, 28, 28))


def test_someone_elses_images_are_measured_alike():
    images = noise(130, torch.Generator().manual_seed(3))
    found = Suite("auto", ["frechet", "manifold"], batch=40, seeds=3).run_images(
        images, reference()
    )
    assert found.weights == "images"
    assert found.value("fd_digits_130").std is None
    again = Suite("auto", ["frechet"]).run_images(images.flip(0), reference())
    assert again["fd_digits_130"] == pytest.approx(found["fd_digits_130"], rel=1e-6)


# --- caches


def test_real_features_are_worked_out_once(monkeypatch):
    calls = []

    def counting(*args, **kwargs):
        calls.append(len(args[1]))
        return extract(*args, **kwargs)

    monkeypatch.setattr(real, "extract", counting)
    quick = Suite(metrics=["frechet", "manifold"], n_samples=100)
    first = quick.run(noise, reference())
    assert sorted(calls) == [200, 300]
    second = quick.run(noise, reference())
    assert sorted(calls) == [200, 300]
    assert first.scalars() == second.scalars()
    for changed in (reference(fingerprint="e" * 64), reference(n=301)):
        before = len(calls)
        quick.run(noise, changed)
        assert len(calls) > before
    folders = list((cache_dir() / "features").iterdir())
    assert folders
    for folder in folders:
        assert {f.name for f in folder.iterdir()} <= {
            "features.npy",
            "logits.npy",
            "moments.safetensors",
        }


def test_images_that_differ_from_their_fingerprint_get_no_cached_features():
    images = reference()
    redrawn = Reference(images.train.flip(3), images.test, images.fingerprint, images.name)
    digits = ClassifierExtractor("digits")
    assert RealFeatures(images, digits).key("train") != RealFeatures(redrawn, digits).key("train")
    assert RealFeatures(images, digits).key("test") == RealFeatures(redrawn, digits).key("test")


def test_a_damaged_cache_is_worked_out_anew():
    digits = ClassifierExtractor("digits")
    whole = RealFeatures(reference(), digits).features("test")
    whole = real.Features(whole.features.clone(), whole.logits.clone())  # off the mapped file
    file = RealFeatures(reference(), digits).folder("test") / "features.npy"
    file.write_bytes(file.read_bytes()[:200])
    again = RealFeatures(reference(), digits).features("test")
    assert_close(again.features, whole.features)
    assert_close(again.logits, whole.logits)


@pytest.mark.parametrize("n", [40, 300])
def test_cached_moments_are_those_that_were_worked_out(n):
    digits = ClassifierExtractor("digits")
    first = RealFeatures(reference(n), digits).moments
    second = RealFeatures(reference(n), digits).moments
    assert first is not second
    for name in ("mean", "covariance", "root"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_a_cache_that_cannot_be_written_is_only_slower(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "file" / "cache"))
    found = Suite(metrics=["frechet"], n_samples=100).run(noise, reference())
    assert np.isfinite(found["fd_digits_100"])


# --- what is refused


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (lambda n, g: noise(n, g).float(), "samples: expected uint8"),
        (lambda n, g: noise(n, g, (3, 28, 28)), r"samples: shape \(100, 3, 28, 28\), expected"),
        (lambda n, g: noise(n - 1, g), r"samples: shape \(99,"),
        (lambda n, g: noise(0, g), "n=0"),
    ],
)
def test_bad_samples_are_refused_in_one_line(sampler, message):
    with pytest.raises(DataError, match=message) as error:
        Suite(metrics=["frechet"], n_samples=100).run(sampler, reference())
    assert "\n" not in str(error.value)


def test_too_few_samples_are_refused_in_one_line():
    for metric, message in (("manifold", "=3"), ("score", "=3"), ("frechet", "n_samples=1")):
        n = 1 if metric == "frechet" else 3
        with pytest.raises(DataError, match=message):
            Suite(metrics=[metric], n_samples=n).run(noise, reference())


def test_a_test_split_that_is_too_small_gives_no_floor():
    found = Suite(metrics=["score"], n_samples=50).run(noise, reference(test=5))
    assert "cs_digits_50" in found.scalars()
    assert "floor_cs_digits_50" not in found.scalars()


def test_an_unknown_metric_is_a_config_error():
    with pytest.raises(ConfigError, match=r"metrics=frechett: .*did you mean 'frechet'"):
        Suite(metrics=["frechett"])


# --- configs, progress, the real thing


@pytest.mark.parametrize("name", ["none", "quick", "full"])
def test_configs_are_suites(name):
    made = Suite(**config(name))
    asked = {"none": 0, "quick": 2000, "full": 10_000}[name]
    extractors = made.load_extractors("mnist", (1, 28, 28))
    assert made.count(extractors) == asked or not extractors
    if name == "full":
        assert [metric.name for metric in made.sample_metrics] == list(BUILT_IN)


def test_nothing_to_measure_is_nothing(monkeypatch):
    monkeypatch.setattr(suite, "choose", lambda *a, **k: pytest.fail("no extractor is needed"))
    assert Suite(**config("none")).run(noise, reference()).values == []


def test_progress_says_how_far_each_step_is():
    steps = {}

    def progress(what, total):
        steps[what] = [total, 0]

        def advance(done):
            steps[what][1] += done

        return advance

    Suite(metrics=["frechet"], n_samples=120, seeds=2, batch=50).run(
        noise, reference(), progress=progress
    )
    assert steps["samples 1/2"] == steps["samples 2/2"] == [120, 120]
    assert steps["real images, digits"][1] == 500  # both splits
    console = Console(file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    with console.file, bars(console) as shown:
        shown("samples", 10)(3)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Real digits: 6,000 of the training and 2,000 of the test images, drawn at random."""
    from genlab.data.mnist import Mnist

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("mnist")))
        source = Mnist()
        source.prepare()
        draw = torch.Generator().manual_seed(0)
        splits = []
        for name, n in (("train", 6000), ("test", 4000)):
            split = source.load(name)
            index = torch.randperm(len(split.x), generator=draw)[:n]
            splits.append((split.x[index].clone(), split.y[index].clone()))
    return splits


def test_distances_respond_to_corruptions_in_the_right_order(digits):
    (train, _), (test, labels) = digits
    images = Reference(train, test[:2000], "digits", "mnist")
    x = test[2000:].float()
    blur = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    draw = torch.Generator().manual_seed(1)

    def noisy(amount):
        return x + amount * torch.randn(x.shape, generator=draw)

    suite = Suite(metrics=["frechet", "manifold", "modes"], n_samples=2000)

    def measure(y):
        return suite.run_images(y.clamp(0, 255).round().to(torch.uint8), images)

    ordered = [measure(y) for y in (noisy(255), blur, x.flip(3), noisy(12), x)]
    distances = [report["fd_digits_2k"] for report in ordered]
    floor = ordered[0].value("fd_digits_2k").floor
    assert distances == sorted(distances, reverse=True), distances
    assert distances[-2] > 1.5 * max(floor, distances[-1])
    assert floor == pytest.approx(distances[-1], rel=0.5)

    one = measure(x[labels[2000:] == 1].repeat(10, 1, 1, 1)[:2000])
    assert one["prec_digits_2k"] > 0.9
    assert one["coverage_digits_2k"] < 0.15
    assert one["modes_digits_2k"] == 1
    assert one["class_kl_digits_2k"] > 2

    most = x[labels[2000:] != 3]
    dropped = suite.run_images(most.to(torch.uint8), images)
    assert dropped[f"modes_digits_{len(most)}"] == 9


def test_features_of_10000_digits_take_seconds():
    import time

    x = noise(2500, torch.Generator().manual_seed(0))
    extractor = ClassifierExtractor("digits")
    start = time.process_time()
    extract(extractor, x)
    assert 4 * (time.process_time() - start) < 10


def test_the_speed_of_drawing_is_that_of_the_sampler_alone(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(suite.time, "perf_counter", lambda: clock[0])

    def slow(n, generator):
        clock[0] += 0.5
        return noise(n, generator)

    asked = Suite(["pixels"], ["frechet"], n_samples=110, batch=50, seeds=2)
    found = asked.run(slow, reference())
    assert found.samples_per_second == pytest.approx(220 / 3, abs=1e-3)  # 6 batches
    assert found.device == "cpu"
    assert Report.from_json(found.to_json()).samples_per_second == found.samples_per_second
    images = noise(110, torch.Generator().manual_seed(1))
    assert asked.run_images(images, reference()).samples_per_second is None

"""`trainer.compile`: compiled steps are the uncompiled ones, a failing compiler does no harm.

Most run with backends that only record the graphs, which takes no C++ compiler and no minute.
"""

import logging

import pytest
import torch

from genlab.errors import ConfigError, NonFiniteError
from genlab.models.gan import GAN
from genlab.models.progressive import ProgressiveGAN
from genlab.models.vae import VAE
from genlab.training.step.compilation import Compilation
from genlab.training.step.ema import EMA
from genlab.types import ImageSpec

from .test_module import SaveAt, weights
from .toys import SPEC, Coins, ToyData, fit, module_of

BINARY = ImageSpec(*SPEC.shape, levels=2)


@pytest.fixture(autouse=True)
def _quiet():
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "torch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    torch._dynamo.reset()


class Recorder:
    """A backend that runs graphs as they are, and counts them."""

    def __init__(self):
        self.graphs = 0
        self.calls = 0

    def __call__(self, graph, inputs):
        self.graphs += 1

        def run(*args):
            self.calls += 1
            return graph.forward(*args)

        return run


class Broken:
    """A backend that fails, as one without a C++ compiler does."""

    def __init__(self, times=100):
        self.times, self.tried = times, 0

    def __call__(self, graph, inputs):
        self.tried += 1
        if self.tried <= self.times:
            raise RuntimeError(
                "InvalidCxxCompiler: no working C++ compiler found\nin config.cpp.cxx"
            )
        return graph.forward


def vae(**options):
    torch.manual_seed(0)
    return VAE(BINARY, network="mlp", hidden=8, depth=1, latent=2, dropout=0.2, **options)


def gan(**options):
    torch.manual_seed(0)
    return GAN(BINARY, network="mlp", hidden=8, depth=1, latent=4, **options)


def coins():
    torch.manual_seed(0)
    return Coins(SPEC)


def run(model, mode=False, backend=None, chunk=3, **options):
    """A short training run."""
    compilation = Compilation(model, mode, backend or Recorder())
    module = module_of(model, compilation=compilation, **options)
    fit(module, ToyData(chunk=chunk), limit_val_batches=0)
    return module


MODELS = {
    "noise in the loss": coins,
    "vae": vae,
    "vae, weight that rises": lambda: vae(warmup=40),
    "gan, lazy penalty": lambda: gan(r1=1.0, r1_interval=3, n_dis=2),
    "gan, penalty": lambda: gan(objective="wasserstein", gradient_penalty=10.0, r1=0.0),
    "gan, augmented": lambda: gan(augment="ada", target=0.0),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_run_is_the_uncompiled_one(name):
    """Dropout, reparameterization, penalties, cadence: the same noise and weights."""
    backend = Recorder()
    compiled = run(MODELS[name](), True, backend, chunk=5)
    plain = run(MODELS[name]())
    assert backend.graphs > 0
    assert backend.calls >= compiled.steps == plain.steps == 24
    torch.testing.assert_close(weights(compiled), weights(plain))
    assert not vars(compiled.model).keys() & set(compiled.model.compilable())


@pytest.mark.parametrize("name", ["vae, weight that rises", "gan, lazy penalty"])
def test_nothing_is_compiled_again_as_steps_are_counted(name):
    short, long = Recorder(), Recorder()
    run(MODELS[name](), True, short, max_images=32)
    torch._dynamo.reset()
    run(MODELS[name](), True, long, max_images=320)
    assert short.graphs == long.graphs > 0


def test_names_of_weights_averages_and_copies_are_as_without():
    model = vae()
    module = run(model, True, ema=EMA(model, halflife=20))
    plain = vae()
    assert list(module.state_dict()) == list(module_of(plain).state_dict())
    assert list(module.ema.state_dict()) == list(plain.state_dict())
    torch.manual_seed(1)
    one = module.model.sample(3)
    torch.manual_seed(1)
    plain.load_state_dict(module.model.state_dict())
    assert torch.equal(one, plain.sample(3))


@pytest.mark.parametrize("images", [36])
def test_an_interrupted_compiled_run_goes_on_bit_by_bit(tmp_path, images):
    def make():
        model = gan(r1=1.0, r1_interval=3, n_dis=2)
        return module_of(model, compilation=Compilation(model, True, "aot_eager"))

    path, whole, rest = tmp_path / "cut.ckpt", make(), make()
    fit(whole, callbacks=[SaveAt(path, images, "chunk")])
    fit(rest, ToyData(chunk=2), ckpt_path=path)
    torch.testing.assert_close(weights(rest), weights(whole), rtol=0, atol=0)


# Failures


@pytest.mark.parametrize("make", [vae, lambda: gan(r1=1.0, r1_interval=3)])
def test_a_compiler_that_fails_does_no_harm(make, capsys):
    compiled = run(make(), "auto", Broken())
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    plain = run(make())
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=0, atol=0)
    assert len(said) == len(compiled.model.players)
    assert "trainer.compile=auto" in said[0]
    assert "no working C++ compiler found" in said[0]
    assert "uncompiled" in said[0]


def test_a_turn_that_was_half_compiled_begins_anew():
    """Random numbers and buffers are where they were when the second of two graphs fails."""

    class Halves(Coins):
        def loss(self, batch, player="model"):
            self.steps += 100
            loss = super().loss(batch)
            assert int(self.steps) % 100 < 25  # a break between two graphs
            return loss._replace(total=loss.total * 2)

        def after_step(self, player):
            self.steps -= 99

    class Late(Recorder):
        def __call__(self, graph, inputs):
            if self.graphs == 1:
                raise RuntimeError("unsupported operator")
            return super().__call__(graph, inputs)

    def made():
        torch.manual_seed(0)
        return Halves(SPEC)

    backend = Late()
    compiled, plain = run(made(), "auto", backend), run(made())
    assert backend.calls > 0
    torch.testing.assert_close(
        compiled.model.state_dict(), plain.model.state_dict(), rtol=0, atol=0
    )


def test_a_compiler_that_was_interrupted_is_asked_again(capsys):
    backend = Broken(times=1)
    module = run(coins(), "auto", backend)
    assert module.compilation.compiled == {"model": True}
    assert backend.tried == 2
    assert "warning" not in capsys.readouterr().err
    torch.testing.assert_close(weights(module), weights(run(coins())), rtol=0, atol=0)


def test_where_it_must_compile_a_failure_is_an_error():
    with pytest.raises(
        ConfigError, match=r"trainer\.compile=true.*C\+\+ compiler.*=false"
    ) as error:
        run(coins(), True, Broken())
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_a_model_that_cannot_be_compiled_says_so(capsys):
    spec = ImageSpec(1, 8, 8, levels=2)
    model = ProgressiveGAN(spec, width=4, latent=4)
    Compilation(model, "auto").start()
    assert "ProgressiveGAN changes as it trains" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"trainer\.compile=true: ProgressiveGAN"):
        Compilation(model, True).start()


def test_several_processes_train_uncompiled(capsys):
    compilation = Compilation(Coins(SPEC), "auto")
    compilation.start(world_size=2)
    assert "several processes" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="several processes"):
        Compilation(Coins(SPEC), True).start(world_size=2)


class Faulty(Coins):
    """Goes wrong by itself, in its third step or at once."""

    def __init__(self, spec, error, at):
        super().__init__(spec)
        self.error, self.at = error, at

    def loss(self, batch, player="model"):
        loss = super().loss(batch)
        if int(self.steps) >= self.at:
            if self.error == "shape":
                return loss._replace(total=(loss.total + torch.ones(3) @ torch.ones(4)))
            if self.error == "config":
                raise ConfigError("model.key=1: must be 2")
            return loss._replace(total=loss.total / 0)
        return loss


@pytest.mark.parametrize(("mode", "at"), [("auto", 0), (True, 2)])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [("shape", RuntimeError), ("config", ConfigError), ("nan", NonFiniteError)],
)
def test_errors_of_the_model_come_through_as_without(fault, kind, at, mode, capsys):
    def told(mode):
        with pytest.raises(kind) as error:
            run(Faulty(SPEC, fault, at), mode)
        return type(error.value), str(error.value)

    assert told(mode) == told(False)
    assert "warning" not in capsys.readouterr().err

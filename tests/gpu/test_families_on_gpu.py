"""Every family on a GPU: steps that wait for nothing, float32 and bf16, the numbers of the CPU."""

import contextlib

import pytest
import torch
from contract import LATE, check_codes, check_examples
from families import build, case_id, conditions, examples, spec_of, variants

from genlab.row_streams import RowGenerator
from genlab.types import Batch

pytestmark = pytest.mark.gpu

CASES = [pytest.param(*case, id=case_id(case)) for case in variants()]


@pytest.fixture(autouse=True)
def _full_float32():
    """Products of float32 in float32: compared with the CPU's, TF32 shows in the third digit."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    saved = conv.fp32_precision, matmul.fp32_precision
    conv.fp32_precision = matmul.fp32_precision = "ieee"
    yield
    conv.fp32_precision, matmul.fp32_precision = saved


def on_gpu(batch):
    return Batch(*(None if part is None else part.cuda() for part in (batch.x, batch.y)))


def moved(model, batch):
    """The model on the GPU, after a first batch here, by which layers initialize."""
    for player in model.players:
        model.loss(batch, player)
    return model.cuda()


@contextlib.contextmanager
def waiting_for_the_gpu_is_an_error():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def step(model, batch, player, precision):
    """A player's step; its loss and gradients are finite, its tensors on the GPU."""
    autocast = (
        torch.autocast("cuda", precision) if precision else contextlib.nullcontext()
    )  # as Lightning has it: around the loss alone
    with autocast:
        loss = model.loss(batch, player)
    loss.total.backward()
    model.after_step(player)
    return loss


@pytest.mark.parametrize("precision", [None, torch.bfloat16], ids=["float32", "bf16"])
@pytest.mark.parametrize(("name", "kind", "options"), CASES)
def test_a_step_waits_for_nothing_and_is_finite(name, kind, options, precision):
    spec = spec_of(name, kind)
    batch = examples(spec)
    model = moved(build(name, spec, **options), batch)
    batch = on_gpu(batch)
    for model.step, model.images_seen in ((0, 0), (1, 10**5), (16, LATE)):
        for player in model.players:
            step(model, batch, player, precision)  # a first time: kernels are chosen
            model.zero_grad()
            with waiting_for_the_gpu_is_an_error():
                loss = step(model, batch, player, precision)
            assert loss.total.isfinite(), f"{player}: {loss.total}"
            for key, p in model.named_parameters():
                assert p.is_cuda, key
                assert p.grad is None or p.grad.isfinite().all(), key
        model.zero_grad()


@pytest.mark.parametrize(("name", "kind", "options"), CASES)
def test_samples_and_codes_keep_the_contract(name, kind, options):
    spec = spec_of(name, kind)
    batch = examples(spec)
    model = moved(build(name, spec, **options), batch)
    y = conditions(model, 5)
    y = None if y is None else y.cuda()
    rows = RowGenerator(0, "samples", range(5), "cuda")
    x = model.sample(5, y, generator=rows)
    assert x.is_cuda
    check_examples(model, x, 5)
    given = on_gpu(batch)
    check_codes(model, given)


@pytest.fixture
def noise_of_the_cpu(monkeypatch):
    """What is drawn with a generator is drawn on the CPU, and is the same wherever it is used."""
    for name in ("rand", "randn", "randint", "randperm"):
        draw = getattr(torch, name)

        def drawn(*args, draw=draw, device="cpu", generator=None, **options):
            return draw(*args, generator=generator, **options).to(device)

        monkeypatch.setattr(torch, name, drawn)


@pytest.mark.usefixtures("noise_of_the_cpu")
@pytest.mark.parametrize(("name", "kind", "options"), CASES)
def test_likelihoods_are_the_cpus(name, kind, options):
    spec = spec_of(name, kind)
    batch = examples(spec)
    model = build(name, spec, **options)
    for player in model.players:
        model.loss(batch, player)
    if not model.can("log_prob"):
        pytest.skip("no likelihood")
    with torch.no_grad():
        want = model.log_prob(batch, generator=RowGenerator(0, "likelihood", range(6)))
        model.cuda()
        rows = RowGenerator(0, "likelihood", range(6))
        found = model.log_prob(on_gpu(batch), generator=rows)
    torch.testing.assert_close(found.cpu(), want, rtol=1e-3, atol=1e-3)


def test_the_contract_of_the_default_holds_with_all_on_the_gpu():
    torch.set_default_device("cuda")
    try:
        spec = spec_of("vae")
        batch = on_gpu(examples_on_cpu(spec))
        model = build("vae", spec)
        assert next(model.parameters()).is_cuda
        assert model.sample(3).is_cuda
        assert model.log_prob(batch).is_cuda
    finally:
        torch.set_default_device(None)


def examples_on_cpu(spec):
    with torch.device("cpu"):
        return examples(spec)

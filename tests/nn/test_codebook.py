"""The codebook against cases worked out by hand."""

import torch

from genlab.nn.latents.codebook import Codebook


def book(codes, **options):
    module = Codebook(len(codes), len(codes[0]), **options)
    module.codes.copy_(torch.tensor(codes))
    module.count.fill_(1.0)
    module.total.copy_(module.codes)
    return module


def as_map(vectors):
    return torch.tensor(vectors).T.view(1, len(vectors[0]), 1, len(vectors))


def test_the_nearest_code_is_the_nearest():
    module, z = Codebook(20, 6), torch.randn(3, 6, 4, 5)
    expected = torch.cdist(z.movedim(1, -1).flatten(0, 2), module.codes).argmin(1).view(3, 4, 5)
    quantized, index = module(z)
    torch.testing.assert_close(index, expected)
    torch.testing.assert_close(quantized, module.codes[expected].movedim(-1, 1))


def test_the_gradient_passes_straight_through():
    module = Codebook(5, 2)
    z = torch.randn(1, 2, 3, 3, requires_grad=True)
    weight = torch.randn(1, 2, 3, 3)
    (gradient,) = torch.autograd.grad((module(z)[0] * weight).sum(), z)
    torch.testing.assert_close(gradient, weight)


def test_the_moving_averages_by_hand():
    """Codes (0, 0) and (4, 0), each with count 1; decay 0.5; three vectors."""
    module = book([[0.0, 0.0], [4.0, 0.0]], decay=0.5, revive=0.0)
    z = as_map([[1.0, 1.0], [1.0, -1.0], [3.0, 2.0]])
    _, index = module(z)
    torch.testing.assert_close(index, torch.tensor([[[0, 0, 1]]]))
    module.observe(z, index)
    module.update()
    # counts: (1 + 2) / 2 and (1 + 1) / 2; sums: (0 + 2, 0 + 0) / 2 and (4 + 3, 0 + 2) / 2
    torch.testing.assert_close(module.count, torch.tensor([1.5, 1.0]))
    torch.testing.assert_close(module.total, torch.tensor([[1.0, 0.0], [3.5, 1.0]]))
    torch.testing.assert_close(module.codes, torch.tensor([[2 / 3, 0.0], [3.5, 1.0]]))


def test_two_portions_make_one_step():
    z = torch.randn(4, 2, 3, 3)
    whole, parts = book([[0.0, 0.0], [1.0, 1.0]]), book([[0.0, 0.0], [1.0, 1.0]])
    whole.observe(z, whole.nearest(z))
    for half in z.split(2):
        parts.observe(half, parts.nearest(half))
    whole.update()
    parts.update()
    torch.testing.assert_close(parts.codes, whole.codes)


def test_a_code_out_of_use_moves_onto_a_vector_of_the_batch():
    module = book([[0.0, 0.0], [100.0, 100.0]], decay=0.5, revive=0.3)
    z = as_map([[1.0, 0.0], [0.0, 1.0]])
    for _ in range(1):
        module.observe(z, module.nearest(z))
        module.update()
    torch.testing.assert_close(module.codes[1], torch.tensor([100.0, 100.0]))  # count is 0.5 yet
    module.observe(z, module.nearest(z))
    module.update()
    assert module.codes[1].tolist() in ([1.0, 0.0], [0.0, 1.0])
    torch.testing.assert_close(module.count[1], torch.tensor(1.0))


def test_the_first_step_starts_from_data():
    module, z = Codebook(4, 3), torch.randn(2, 3, 5, 5) + 10
    module.observe(z, module.nearest(z))
    module.update()
    near = torch.cdist(module.codes, z.movedim(1, -1).flatten(0, 2)).min(1).values
    torch.testing.assert_close(near[:3].sort().values[0], torch.tensor(0.0))
    assert (module.codes.mean(1) > 5).sum() >= 3  # all but perhaps the one that was in use


def test_a_codebook_that_learns_lowers_the_error():
    torch.manual_seed(0)
    centres = 5 * torch.randn(8, 2)
    module = Codebook(16, 2, decay=0.8)
    for _ in range(60):
        z = (centres[torch.randint(8, (200,))] + 0.1 * torch.randn(200, 2)).T.view(1, 2, 1, 200)
        module.observe(z, module.nearest(z))
        module.update()
    assert (module(z)[0] - z).square().sum(1).mean() < 0.05

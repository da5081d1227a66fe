"""Streams of their own: example i of a seed is the same whatever is drawn beside it."""

import contract  # noqa: F401 - where the families' helpers are
import pytest
import torch
from families import NAMES, accepted, build, heavy_are_slow, spec_of

from genlab.modalities.by_spec import modality_of
from genlab.row_streams import RowGenerator, categorical, normal, part_of, uniform
from genlab.tasks.drawing import draw_samples


def rows(start, stop):
    return RowGenerator(3, "test", range(start, stop))


@pytest.mark.parametrize("draw", [normal, uniform])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5, 7)])
def test_a_row_does_not_know_its_neighbours(draw, shape):
    whole = draw((6, *shape), rows(0, 6))
    parts = torch.cat([draw((2, *shape), rows(0, 2)), draw((4, *shape), rows(2, 6))])
    torch.testing.assert_close(whole, parts, rtol=0, atol=0)
    if shape:
        assert len(whole.flatten(1).unique(dim=0)) == 6


def test_one_draw_after_another_goes_on():
    generator = rows(0, 2)
    first, second = normal((2, 3), generator), normal((2, 3), generator)
    assert not torch.equal(first, second)
    again = rows(0, 2)
    torch.testing.assert_close(normal((2, 3), again), first, rtol=0, atol=0)
    torch.testing.assert_close(normal((2, 3), again), second, rtol=0, atol=0)


def test_a_part_is_of_its_own_rows_and_moves_them_on():
    generator, apart = rows(0, 5), rows(0, 5)
    first = normal((2, 3), part_of(generator, slice(0, 2)))
    rest = normal((3, 3), part_of(generator, slice(2, 5)))
    torch.testing.assert_close(torch.cat([first, rest]), normal((5, 3), apart), rtol=0, atol=0)
    torch.testing.assert_close(normal((5, 3), generator), normal((5, 3), apart), rtol=0, atol=0)
    plain = torch.Generator()
    assert part_of(plain, slice(0, 2)) is plain
    assert part_of(None, slice(0, 2)) is None


def test_the_numbers_are_normal_and_uniform():
    z, u = normal((400, 50), rows(0, 400)), uniform((400, 50), rows(0, 400))
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1) < 0.03
    assert 0 <= u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.01


def test_categories_have_their_probabilities():
    p = torch.tensor([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0]])
    found = categorical(p, 4000, rows(0, 4000))
    assert found.shape == (4000, 2)
    shares = torch.bincount(found[:, 0], minlength=3) / 4000
    torch.testing.assert_close(shares, p[0], rtol=0, atol=0.03)
    assert (found[:, 1] == 1).all()
    parts = torch.cat([categorical(p, 3, rows(0, 3)), categorical(p, 2, rows(3, 5))])
    torch.testing.assert_close(parts, categorical(p, 5, rows(0, 5)))
    plain = categorical(p, 4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        torch.bincount(plain[:, 0], minlength=3) / 4000, p[0], rtol=0, atol=0.03
    )


def test_a_shape_of_other_examples_is_refused():
    with pytest.raises(ValueError, match="3 examples"):
        normal((4, 2), rows(0, 3))


def test_to_torch_it_is_one_generator():
    first = torch.randn(3, generator=rows(0, 2))
    torch.testing.assert_close(torch.randn(3, generator=rows(0, 5)), first, rtol=0, atol=0)
    assert not torch.equal(torch.randn(3, generator=rows(1, 2)), first)


@pytest.mark.parametrize("name", heavy_are_slow(NAMES, name_of=str, id_of=str))
def test_an_image_is_the_same_whatever_batch_and_number(name):
    """All families: alone, in threes, all at once, and with more behind it."""
    for kind in accepted(name):
        spec = spec_of(name, kind)
        model = build(name, spec).eval()
        modality = modality_of(spec)
        draw = {batch: draw_samples(model, modality, 7, seed=1, batch=batch) for batch in (3, 100)}
        more = draw_samples(model, modality, 9, seed=1, batch=4)
        # Sums of another batch are rounded otherwise: a level of one pixel, now and then.
        for other in (draw[3], more[:7]):
            same = (other == draw[100]).float().mean()
            assert same > 0.98, f"{1 - same:.3f} of all pixels differ"
            assert (other == draw[100]).flatten(1).float().mean(1).min() > 0.9

"""Drawing in batches: conditions in turn, and progress over all of the batches."""

import pytest
import torch

from genlab.errors import Unsupported
from genlab.modalities.by_spec import modality_of
from genlab.models.base import GenerativeModel
from genlab.tasks.drawing import conditions_for, draw_samples, follow
from genlab.training.evaluator import sampler_of
from genlab.types import ImageSpec, LabelSpec


class Copies(GenerativeModel):
    """Draws the image that it is given, or one as bright as its label, row by row."""

    conditions = (ImageSpec, LabelSpec)
    draws_in_steps = True

    def __init__(self, spec):
        super().__init__(spec, spec.condition is not None)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def loss(self, batch, player="model"):
        raise NotImplementedError

    def draw(self, n, y, generator, options):
        given = torch.zeros(n) if y is None else y
        for row in range(self.spec.height):
            self.report_progress(row + 1, self.spec.height, given)
        return given.view(n, -1, 1, 1).expand(-1, *self.spec.shape).to(torch.uint8)


class AtOnce(Copies):
    draws_in_steps = False

    def draw(self, n, y, generator, options):
        return torch.zeros(n, *self.spec.shape, dtype=torch.uint8)


PIXEL = ImageSpec(1, 1, 1)
GIVEN = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1)


def drawn_from(model, n, **options):
    return draw_samples(model, modality_of(model.spec), n, seed=0, **options)


def test_labels_are_drawn_in_turn_over_batches():
    model = Copies(ImageSpec(1, 2, 2, num_classes=3))
    assert drawn_from(model, 7, batch=2)[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    sampler = sampler_of(model)
    drawn = [sampler(n, None) for n in (2, 3)]
    assert [batch.x[:, 0, 0, 0].tolist() for batch in drawn] == [[0, 1], [2, 0, 1]]
    assert [batch.y.tolist() for batch in drawn] == [[0, 1], [2, 0, 1]]


def test_conditions_of_the_data_are_drawn_in_turn():
    model = Copies(ImageSpec(1, 2, 2, condition=PIXEL))
    given = conditions_for(model, 5, GIVEN)
    assert given.flatten().tolist() == [0, 1, 2, 0, 1]
    assert drawn_from(model, 5, y=given, batch=2)[:, 0, 1, 1].tolist() == [0, 1, 2, 0, 1]
    sampler = sampler_of(model, GIVEN)
    drawn = [sampler(n, None) for n in (2, 3)]
    assert [batch.x[:, 0, 0, 0].tolist() for batch in drawn] == [[0, 1], [2, 0, 1]]
    assert [batch.y for batch in drawn] == [None, None]  # no labels
    with pytest.raises(Unsupported, match="Copies draws given images of the data"):
        drawn_from(model, 2)
    assert conditions_for(Copies(PIXEL), 5, GIVEN) is None


@pytest.mark.parametrize("family", [Copies, AtOnce])
def test_progress_is_over_all_batches(family):
    seen, bar = [], []
    advance = follow(bar.append, 5)

    def on_progress(done, total, x):
        seen.append(done / total)
        advance(done, total, x)

    drawn_from(family(ImageSpec(1, 2, 2)), 5, batch=2, on_progress=on_progress)
    steps = [0.2, 0.4, 0.6, 0.8, 0.9, 1.0] if family is Copies else [0.4, 0.8, 1.0]
    assert seen == pytest.approx(steps)
    assert sum(bar) == 5
    assert min(bar) >= 0

"""`label_acc`: what a judge sees, against what was asked for."""

import pytest
import torch
from torch import Tensor

from genlab.metrics.extractors.base import Features
from genlab.metrics.real import Reference
from genlab.metrics.report import Report
from genlab.metrics.suite import Sampler, Suite
from genlab.types import Batch

CLASSES = 5
N = 400


class Judge:
    """Sees the class of an image in its first pixel, and half of the fives as a four."""

    name, id, preprocessing, dim, classes, modes, batch = "judge", "0" * 64, "none", 2, 5, 5, 64

    def to(self, device: object) -> "Judge":
        return self

    def __call__(self, images: Tensor) -> Features:
        x = images.flatten(1).float()
        seen = x[:, 0].long().clamp(max=CLASSES - 1)
        seen[(seen == 4) & (x[:, 1] >= 128)] = 3
        return Features(x[:, :2], torch.nn.functional.one_hot(seen, CLASSES).float())


def pictures(y: Tensor, seed: int) -> Tensor:
    x = torch.randint(0, 256, (len(y), 1, 4, 4), generator=torch.Generator().manual_seed(seed))
    x[:, 0, 0, 0] = y
    return x.to(torch.uint8)


Y = torch.arange(N) % CLASSES
TRAIN, TEST = pictures(Y, 0), pictures(Y, 1)


def report(sampler: Sampler, labelled: bool = True) -> Report:
    y = {"train_y": Y, "test_y": Y} if labelled else {}
    judged = Reference(TRAIN, TEST, "judged" + str(labelled), "judged", Judge(), **y)
    return Suite(metrics=["labels", "modes"], n_samples=200, batch=64).run(sampler, judged)


def asked_of(drawn: Tensor, y: Tensor) -> Sampler:
    """Gives the rows in turn."""
    at = 0

    def sampler(n: int, generator: torch.Generator) -> Batch:
        nonlocal at
        at += n
        return Batch(drawn[at - n : at], y[at - n : at])

    return sampler


def test_it_is_the_share_of_samples_that_are_seen_as_asked_beside_that_of_real_ones() -> None:
    wrong = (torch.arange(N) % 10 == 0) & (Y != 4)
    drawn = pictures(torch.where(wrong, (Y + 1) % 4, Y), 2)
    value = report(asked_of(drawn, Y)).value("label_acc_judge_200")
    halves = (Y == 4) & (drawn.flatten(1)[:, 1] >= 128)
    assert value.value == pytest.approx(1 - float((wrong | halves)[:200].float().mean()))
    chosen = (Y == 4) & (TEST.flatten(1)[:, 1] >= 128)
    assert value.floor == pytest.approx(1 - float(chosen.float().mean()), abs=0.03)
    assert value.number.better == "higher"


def test_of_a_model_that_ignores_its_labels_it_is_one_in_their_number() -> None:
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    found = report(asked_of(pictures(Y[order], 2), Y)).value("label_acc_judge_200")
    assert found.value == pytest.approx(1 / CLASSES, abs=0.08)


def test_it_is_left_out_where_nothing_was_asked_for() -> None:
    keys = [v.key for v in report(lambda n, generator: TEST[:n]).values]
    assert "modes_judge_200" in keys
    assert not [key for key in keys if key.startswith("label_acc")]


def test_unlabelled_real_images_give_no_floor() -> None:
    value = report(asked_of(TEST, Y), labelled=False).value("label_acc_judge_200")
    assert value.floor is None

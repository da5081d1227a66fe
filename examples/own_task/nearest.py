"""A task of your own: samples beside the training images that are nearest to them.

    cd examples/own_task
    genlab train model=vae data=mnist data.limit=6000 trainer.epochs=8 name=seen
    genlab sample --config-dir conf trust=[nearest] run=seen task=nearest n=8 task.neighbours=4

The first column is drawn, the others are real: a model that copies shows the same image twice.
Under a minute.
"""

import torch

from genlab.ranges import PositiveInt
from genlab.system.progress import Progress
from genlab.tasks.base import Outcome, Request, Task, Trained
from genlab.tasks.drawing import Draw

__all__ = ["Nearest"]


class Nearest(Task):
    """Rows of a sample and its nearest training images, by the distance of their pixels.

    Args:
        neighbours: Training images beside each sample.
    """

    def __init__(self, neighbours: PositiveInt = 5):
        self.neighbours = neighbours

    def run(self, trained: Trained, request: Request, progress: Progress) -> Outcome:
        """``n (1 + neighbours)`` images, that many a row."""
        drawn = Draw().run(trained, request, progress).x
        trained.data.prepare_data()
        real = trained.modality.display(trained.data.train.x)
        distance = torch.cdist(drawn.flatten(1).float(), real.flatten(1).float())
        nearest = distance.topk(min(self.neighbours, len(real)), largest=False).indices
        rows = torch.cat([drawn[:, None], real[nearest]], 1)
        kinds = ("synthetic", *(rows.shape[1] - 1) * ("real",))
        return Outcome(rows.flatten(0, 1), columns=rows.shape[1], kinds=kinds)

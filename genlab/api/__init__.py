"""The Python interface: load a trained run, train one, compare many.

    import genlab

    run = genlab.train("model=vae", "data=mnist", "trainer.epochs=2")
    run.sample(64)                       # a notebook shows the picture
    run.log_prob(x), run.encode(x)
    genlab.load("runs/last").evaluate()
    genlab.compare("runs")

Nothing heavy is imported before the first call. The commands stand on the same functions.
"""

from genlab.api.functions import compare, load, train
from genlab.api.results import Comparison, Evaluation, Samples
from genlab.api.trained_model import TrainedModel

__all__ = ["Comparison", "Evaluation", "Samples", "TrainedModel", "compare", "load", "train"]

"""A metric of your own: how much ink a digit takes, beside that of real ones.

    cd examples/own_metric
    genlab train --config-dir conf trust=[ink] metrics=ink model=vae_mlp data=mnist data.limit=2000 trainer.epochs=2 name=inked
    genlab compare --sort ink_gap

It has a floor (real digits against real ones), is logged along the way, ranks runs and can be what a
sweep optimizes. Half a minute.
"""  # noqa: E501 - commands as they are typed

from dataclasses import dataclass

from torch import Tensor

from genlab.metrics.base import Metric, Number
from genlab.metrics.real import RealSamples
from genlab.ranges import Fraction

__all__ = ["Ink"]


@dataclass
class Ink(Metric):
    """Share of pixels that are brighter than a threshold, and its distance from real images'.

    Args:
        threshold: Share of full brightness above which a pixel is ink.
    """

    threshold: Fraction = 0.5
    numbers = (
        Number("ink", None, "share of pixels that are ink"),
        Number("ink_gap", "lower", "distance from real images' share of ink"),
    )

    def measure(self, samples: Tensor, real: RealSamples) -> dict[str, float]:
        """Both numbers of uint8 images ``(n, C, H, W)``."""
        ours = self.share(samples)
        return {"ink": ours, "ink_gap": abs(ours - self.share(real.samples("train")))}

    def share(self, images: Tensor) -> float:
        """The share of ink in all of them."""
        return float((images > 255 * self.threshold).float().mean())

"""Exported models: what they say of themselves, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import DataError

if TYPE_CHECKING:
    from genlab.experiment.trained import Loaded
    from genlab.models.base import GenerativeModel

__all__ = ["facts", "import_model", "is_export"]


def facts(loaded: "Loaded") -> dict[str, Any]:
    """Facts about a trained model, as JSON can hold them."""
    import genlab
    from genlab.experiment.cards.gathered import terms
    from genlab.experiment.spec_record import spec_record
    from genlab.system.secrets import redact

    model, spec, source = loaded.model, loaded.model.spec, loaded.data.source
    described: dict[str, Any] = redact(
        {
            "genlab": genlab.__version__,
            "model": f"{type(model).__module__}.{type(model).__name__}",
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights": loaded.weights,
            "images_seen": loaded.images_seen,
            "run": loaded.run.name,
            "spec": {"shape": list(spec.shape)} | (spec_record(spec) or {}),
            "data": terms(source),
            "metrics": loaded.run.read("summary.json").get("metrics", {}),
            "config": loaded.config.content,
        }
    )
    return described


def is_export(folder: Path) -> bool:
    """True if a folder holds an exported model."""
    from genlab.training.saving.portable import FACTS

    return (folder / FACTS).is_file()


def import_model(folder: Path) -> "GenerativeModel":
    """Rebuilds an exported model; its config is checked before anything that it names is built.

    Raises:
        ConfigError: The config is wrong, or names what it may not.
        DataError: A file is damaged, or the weights are another model's.
    """
    from omegaconf import OmegaConf

    from genlab.config.check import check
    from genlab.config.saved import without_retired
    from genlab.experiment.build import build_data, build_model
    from genlab.experiment.pretrained import rebuild
    from genlab.experiment.spec_record import recorded_spec
    from genlab.training.saving.portable import WEIGHTS, read_portable

    state, described = read_portable(folder)
    content = without_retired(described["config"])
    config = check(OmegaConf.create(content), "train")
    kept = {name: value for name, value in described["spec"].items() if name != "shape"}
    spec = recorded_spec(kept) or build_data(config.data).spec
    model = build_model(config.model, spec, config.seed, rebuild(config))
    try:
        model.load_state_dict(state)
    except RuntimeError:
        raise DataError(
            f"{folder / WEIGHTS} holds the weights of another model than model.json's config"
        ) from None
    model.begin_step(described["images_seen"], 0)
    return model.eval().requires_grad_(False)

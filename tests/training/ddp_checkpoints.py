"""Trains a toy on two processes that save in the background: python ddp_checkpoints.py FOLDER.

Prints what the first process found in the folder when training had ended.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import torch
from toys import ToyData, fit, module_of

from genlab.runs import storage
from genlab.training.checkpoints import Checkpoints
from genlab.training.saving.checkpoint_io import AtomicCheckpointIO, read_checkpoint

warnings.filterwarnings("ignore")


def main(folder: Path, broken: bool) -> None:
    written = []
    original = storage.store

    def store(path: Path, *args: object) -> None:
        time.sleep(0.2)
        written.append(path.name)
        if broken and len(written) == 2:
            raise OSError(28, "No space left on device", str(path))
        original(path, *args)

    sys.modules["genlab.training.saving.checkpoint_io"].store = store
    checkpoints = Checkpoints(background=True)
    module = module_of(optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    trainer = fit(
        module,
        ToyData(chunk=3, batch_size=4),
        callbacks=[checkpoints],
        folder=folder,
        plugins=[AtomicCheckpointIO()],
        devices=2,
        strategy="ddp",
    )
    if trainer.is_global_zero:
        found = {
            path.name: read_checkpoint(path)["genlab"]["images_seen"]
            for path in sorted(folder.glob("*.ckpt"))
        }
        print(json.dumps({"written": written, "found": found}))
    else:
        assert written == []


if __name__ == "__main__":
    main(Path(sys.argv[1]), len(sys.argv) > 2)

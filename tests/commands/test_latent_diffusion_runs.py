"""Latent diffusion from the command line: on another run's autoencoder, resumed, sampled."""

import torch

from commands.conftest import TINY

DATA = [word for word in TINY if not word.startswith("model")]


def test_a_run_on_another_runs_codes(genlab, tmp_path):
    code, _, err = genlab("train", "model=latent_diffusion", *DATA)
    assert code == 2
    assert "model.autoencoder" in err
    assert "run:NAME" in err
    ae = ("model=ae", "model.network=mlp", "model.hidden=16", "model.latent=4")
    assert genlab("train", *ae, *DATA, "trainer.epochs=1", "name=codes")[0] == 0
    words = ("model=latent_diffusion", "model.autoencoder=run:codes", "model.width=16", *DATA)
    code, _, err = genlab("train", *words, "scheduler=constant", "trainer.epochs=2", "name=whole")
    assert code == 0, err
    assert genlab("train", *words, "scheduler=constant", "trainer.epochs=1", "name=half")[0] == 0
    assert genlab("train", "run=half", "trainer.epochs=2")[0] == 0

    def weights(name):
        path = tmp_path / "runs" / name / "checkpoints" / "last.ckpt"
        return torch.load(path, weights_only=False)["state_dict"]

    torch.testing.assert_close(weights("half"), weights("whole"), rtol=0, atol=0)
    assert any(
        key.endswith("std") and (value != 1).all() for key, value in weights("whole").items()
    )
    assert genlab("sample", "run=whole", "n=4", "sampling.steps=2", "out=a.png")[0] == 0
    assert genlab("sample", "run=whole", "gif=true", "out=a.gif")[0] == 0
    assert genlab("reconstruct", "run=whole", "n=4", "out=b.png")[0] == 0

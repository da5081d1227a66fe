"""A run of a second: four batches of a VAE of a few weights."""

TINY = (
    "model=vae_mlp",
    "model.hidden=16",
    "model.latent=4",
    "data=synthetic",
    "data.limit=128",
    "data.batch_size=16",
    "data.val_size=32",
    "trainer.max_images=64",
    "trainer.chunk=2",
    "trainer.log_every=32",
    "trainer.threads=1",
    "trainer.progress=false",
    "closing.n_samples=16",
    "metrics=none",
    "logger=none",
)

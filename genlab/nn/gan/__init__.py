"""GAN networks, objectives, penalties and augmentation."""

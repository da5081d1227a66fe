"""Toggling of players: which parameters the gradients of a player's loss reach."""

from torch import nn

from genlab.models.base import GenerativeModel

__all__ = ["PlayerToggle"]


class PlayerToggle:
    """Holds the parameters constant that the model says are constant in a player's update.

    So a player's loss costs no weight gradients of the other players, which would be thrown away.

    Args:
        model: The model; its players' parameters are those that require gradients now.
    """

    def __init__(self, model: GenerativeModel):
        self.model = model
        # The parameters never change hands, so they are looked up once.
        self.owned: dict[str, list[nn.Parameter]] = {
            player: [p for p in model.player(player).parameters() if p.requires_grad]
            for player in model.players
        }

    def switch(self, player: str) -> None:
        """Lets gradients reach what the player's update needs, and nothing else."""
        if len(self.owned) == 1:
            return
        frozen = self.model.frozen(player)
        for other, parameters in self.owned.items():
            for parameter in parameters:
                parameter.requires_grad_(other not in frozen)

    def reset(self) -> None:
        """Lets gradients reach every player's parameters again."""
        for parameters in self.owned.values():
            for parameter in parameters:
                parameter.requires_grad_(True)

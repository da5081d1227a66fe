"""Whose turn it is: which player's parameters gradients reach."""

from torch import nn

from genlab.models.base import GenerativeModel

__all__ = ["Turns"]


class Turns:
    """Holds the parameters constant that the model says are constant in a player's turn.

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

    def take(self, player: str) -> None:
        """Gives the player the turn."""
        if len(self.owned) == 1:
            return
        frozen = self.model.frozen(player)
        for other, parameters in self.owned.items():
            for parameter in parameters:
                parameter.requires_grad_(other not in frozen)

    def end(self) -> None:
        """Lets gradients reach every player's parameters again."""
        for parameters in self.owned.values():
            for parameter in parameters:
                parameter.requires_grad_(True)

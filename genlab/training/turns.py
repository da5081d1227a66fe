"""Whose turn it is: which player's parameters gradients reach."""

from torch import nn

from genlab.models.base import GenerativeModel

__all__ = ["Turns"]


class Turns:
    """Lets gradients reach one player's parameters at a time.

    So a player's loss costs no weight gradients of the other players, which would be thrown away.

    Args:
        model: The model; its players' parameters are those that require gradients now.
    """

    def __init__(self, model: GenerativeModel):
        # The parameters never change hands, so they are looked up once.
        self.owned: dict[str, list[nn.Parameter]] = {
            player: [p for p in model.player(player).parameters() if p.requires_grad]
            for player in model.players
        }

    def take(self, player: str) -> None:
        """Gives the player the turn."""
        if len(self.owned) == 1:
            return
        mine = {id(parameter) for parameter in self.owned[player]}
        for parameters in self.owned.values():
            for parameter in parameters:
                parameter.requires_grad_(id(parameter) in mine)

    def end(self) -> None:
        """Lets gradients reach every player's parameters again."""
        for parameters in self.owned.values():
            for parameter in parameters:
                parameter.requires_grad_(True)

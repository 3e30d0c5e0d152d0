"""A head as another one would be added: a file that imports what it needs from the package; see test_seams.py."""

from torch import Tensor, nn

from mario_tui.agent.heads import Head
from mario_tui.agent.spec import AgentSpec

QUANTILES = 5


class ToyHead(Head):
    """A few values per action, (B, actions, QUANTILES)."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.layer = nn.Linear(features, actions * QUANTILES)

    def forward(self, features: Tensor) -> Tensor:
        values: Tensor = self.layer(features.float())
        return values.view(-1, self.actions, QUANTILES)

    def q_values(self, output: Tensor) -> Tensor:
        return output.mean(dim=2)


def toy(features: int, hidden: int, spec: AgentSpec) -> tuple[nn.Module, ...]:
    return (ToyHead(features, spec.actions),)

"""Episodes of evaluations, played by processes of their own: a training in this one keeps its core and its GIL."""

from __future__ import annotations

from typing import Any

import torch

from mario_tui.agent.network import MarioNet, load_weights
from mario_tui.agent.policy import Policy
from mario_tui.agent.spec import AgentSpec
from mario_tui.errors import EvaluationError
from mario_tui.play.background_processes import BackgroundProcess, BackgroundProcesses, GoOn, run
from mario_tui.play.evaluation import EpisodeResult, Evaluation, evaluate, play_episode


class EvaluationProcesses:
    """Plays episodes in processes, each with the weights that it is given; the results are those of `play_episode`.

    Episodes are begun in the order in which they are asked for, so that greedy play waits for one episode of the robust
    protocol, not all.

    Args:
        most: how many processes there are at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._processes = BackgroundProcesses(most, _Process)

    @property
    def pids(self) -> list[int]:
        """Of the processes that are there now."""
        return self._processes.pids

    def evaluate(self, policy: Policy, **settings: Any) -> Evaluation:
        """As play.evaluation.evaluate, without `threads`.

        Raises EvaluationError if an episode cannot be played, also not by another process.
        """
        return evaluate(policy, threads=self._most, play=self.play, **settings)

    def play(self, policy: Policy, *, go_on: GoOn, **settings: Any) -> EpisodeResult | None:
        """As `play_episode`, for a policy on the CPU, when a process is free."""
        return self._processes.submit(lambda process: process.play(policy, go_on, settings)).result()

    def close(self) -> None:
        """Ends the processes; what they play is given up. Closing again does nothing."""
        self._processes.close()


class _Process(BackgroundProcess):
    """This program's end of one process."""

    def __init__(self) -> None:
        super().__init__(__name__)
        self._policy: Policy | None = None  # whose weights it has

    def play(self, policy: Policy, go_on: GoOn, settings: dict[str, Any]) -> EpisodeResult | None:
        """One episode; see `ask`."""
        packed = None if policy is self._policy else _packed(policy)
        self._policy = policy
        try:
            answer = self.ask((packed, settings), go_on)
        except EvaluationError:
            self._policy = None  # which it may not have taken in
            raise
        assert answer is None or isinstance(answer, EpisodeResult)
        return answer


def _packed(policy: Policy) -> dict[str, Any]:
    """What `_unpacked` makes the policy of in another process: the network that plays, without the target network."""
    weights = policy.net.state_dict().items()
    return {
        "spec": policy.spec.model_dump(),
        "weights": {name: value.numpy() for name, value in weights if not name.startswith("target.")},
        "stage": policy.stage,
        "step": policy.step,
        "source": policy.source,
    }


def _unpacked(packed: dict[str, Any]) -> Policy:
    net = MarioNet(AgentSpec.parse(packed.pop("spec")))
    load_weights(net, {name: torch.from_numpy(value) for name, value in packed.pop("weights").items()})
    return Policy(net.eval(), **packed)


class _Player:
    """What the process does: plays episodes of a policy that it receives, or of the one before in place of None."""

    policy: Policy | None = None

    def play(self, request: tuple[dict[str, Any] | None, dict[str, Any]], go_on: GoOn) -> EpisodeResult | None:
        packed, settings = request
        if packed is not None:
            self.policy = _unpacked(packed)
        assert self.policy is not None
        return play_episode(self.policy, go_on=go_on, **settings)


if __name__ == "__main__":
    run(_Player().play)

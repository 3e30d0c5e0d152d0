"""A replay buffer of demonstrations, sampled together with the agent's own.

A fixed share of every batch comes from them, as the demo ratio of R2D3 (Paine et al. 2019, Making Efficient Use of
Demonstrations to Solve Hard Exploration Problems). The loss is that of Double DQN for both: the agent is not made to
imitate, it learns what the demonstrated actions led to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_tui.agent.replay import Replay
from mario_tui.agent.replay_draw import DEMONSTRATED, Draw
from mario_tui.grey_frames import FRAME_SHAPE


@dataclass(frozen=True, slots=True)
class DemonstrationRows:
    """Rows as in `Replay.add`, of one game after the other, each with its final frame.

    frame: (N, 84, 84) uint8; action: (N,) uint8; reward: (N,) float32; terminated, first, last: (N,) bool; usable: (N,)
    bool, whether a transition that can be learned from begins there, never so in a final frame.
    """

    frame: Tensor
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    first: np.ndarray
    last: np.ndarray
    usable: np.ndarray


class Demonstrations(Replay):
    """A replay buffer that is filled once and never overwritten.

    Args:
        rows: what it holds; one of them at least is usable.
        share: of a batch that is drawn from here, 0 to 1.
        settings: as for Replay.
    """

    source = DEMONSTRATED

    def __init__(self, rows: DemonstrationRows, *, share: float, n_steps: int = 1, **settings: Any) -> None:
        # a row can be sampled once n_steps more follow it: blank ones after the last
        count, blank = len(rows.frame), n_steps - 1
        super().__init__(count + blank, n_steps=n_steps, **settings)
        self.share = share
        self._usable = np.pad(rows.usable, (0, blank))
        self._usable_rows = np.flatnonzero(rows.usable)
        state: dict[str, Any] = {
            "frame": torch.cat((rows.frame.cpu(), torch.zeros((blank, *FRAME_SHAPE), dtype=torch.uint8))),
            "action": torch.from_numpy(np.pad(rows.action, (0, blank)).astype(np.uint8)),
            "reward": torch.from_numpy(np.pad(rows.reward, (0, blank)).astype(np.float32)),
            "terminated": torch.from_numpy(np.pad(rows.terminated, (0, blank))),
            "first": torch.from_numpy(np.pad(rows.first, (0, blank), constant_values=True)),
            "last": torch.from_numpy(np.pad(rows.last, (0, blank), constant_values=True)),
            "tick": torch.tensor(count + blank),
            "generator": self._generator.get_state(),
        }
        if self.priorities:
            values = np.zeros(self.rows, dtype=np.float32)
            values[self._usable_rows] = self.priorities.largest
            state |= {"priorities": torch.from_numpy(values), "largest_priority": self.priorities.largest}
        super().load_state_dict(state)
        self.transitions = len(self._usable_rows)

    @property
    def ready(self) -> bool:
        return True

    def _draw_rows(self, batches: int, size: int) -> np.ndarray:
        if self.priorities:
            return super()._draw_rows(batches, size)
        drawn = torch.randint(len(self._usable_rows), (batches, size), generator=self._generator)
        rows: np.ndarray = self._usable_rows[drawn.numpy()]
        return rows

    def _sampleable(self) -> np.ndarray:
        sampleable: np.ndarray = super()._sampleable() & self._usable[:, None]
        return sampleable

    def draw_with(self, own: Replay, batches: int = 1) -> Draw:
        """Batches of the agent's own transitions, followed by demonstrated ones, whose frames count on from its own.

        If `share` of a batch is no whole number, it is rounded up or down at random, so that the mean is right.

        With priorities the importance-sampling weights correct the probabilities within each of the two buffers, and
        leave the share as it is: before scaling, a transition of mean probability in its own buffer has the weight 1.
        """
        return Draw.joined([self._batch_with(own) for _ in range(batches)])

    def _batch_with(self, own: Replay) -> Draw:
        chance = float(torch.rand(1, generator=self._generator, dtype=torch.float64))
        theirs = int(self.share * own.batch_size + chance)
        counts = ((own, own.batch_size - theirs), (self, theirs))
        parts = [(replay, replay.draw(1, count)) for replay, count in counts if count]
        batch = Draw.side_by_side([part.of_rows_after(own.rows) if one is self else part for one, part in parts])
        if not self.priorities:
            return batch
        likelier = np.concatenate(
            [replay.priorities.oversampling(part.index) for replay, part in parts if replay.priorities], axis=1
        )
        weight = likelier**-self.priorities.beta
        return replace(batch, weight=weight / np.max(weight))

    def state_dict(self) -> dict[str, Any]:
        """The random state and the priorities; not the rows, which come from playing the games again."""
        state: dict[str, Any] = {"tick": torch.tensor(self.tick), "generator": self._generator.get_state()}
        if self.priorities:
            self._apply_priorities()
            state["priorities"] = torch.from_numpy(self.priorities.values.copy())
            state["largest_priority"] = torch.tensor(float(self.priorities.largest))
        return state

    def load_state_dict(self, state: dict[str, Any], *, envs: int | None = None) -> None:
        """Continues from a state of `state_dict`, with the same rows; they do not depend on the number of games."""
        self._generator.set_state(state["generator"])
        if self.priorities:
            self.priorities.load(state["priorities"].numpy(), float(state["largest_priority"]))

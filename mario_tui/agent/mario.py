"""Mario: act, cache, recall, learn. The tutorial's agent, for any number of games at once.

The learning rule itself is `loss.double_dqn`.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_tui.agent import loss
from mario_tui.agent.cuda_graph import CudaGraphs, GraphedUpdate, Recorder
from mario_tui.agent.demo_replay import Demonstrations
from mario_tui.agent.exploration import ExponentialDecay, LinearDecay, exponents_by_role
from mario_tui.agent.labelled_states import LabelledStates, margin_loss
from mario_tui.agent.measuring import MeasuringGames
from mario_tui.agent.network import MarioNet
from mario_tui.agent.optimizer import NetworkOptimizer
from mario_tui.agent.preprocess import SCORE_ROWS
from mario_tui.agent.replay import Replay
from mario_tui.agent.replay_draw import Draw, on_its_way, unpacked
from mario_tui.agent.runtime import resolve_precision
from mario_tui.agent.shift import shifted
from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig
from mario_tui.errors import TrainingError
from mario_tui.game_roles import game_roles

AVERAGE_EVERY = 10
"""Updates between two steps of the averaged network, whose cost they share."""

LOSSES: dict[str, loss.LossFunction] = {"double_dqn": loss.double_dqn}
"""The learning rules. They stand here, not in loss.py, so that the file of another one can import from there."""


@dataclass(frozen=True, slots=True)
class Update:
    """One update of the online network: the mean TD estimate of its batch, and the loss.

    0-d tensors on the device: reading them waits for it. `skipped`: bool, the loss or a gradient was not finite, and
    the networks are unchanged.
    """

    q: Tensor
    loss: Tensor
    skipped: Tensor


class Mario:
    """A Double-DQN agent that plays `config.envs` games: actors and learner in one.

    Args:
        config: the hyper-parameters.
        device: where its networks and its replay buffer are.
        spec: what fixes its network, by default what `config` says.
        loss_name: its learning rule, a name in LOSSES.
        recorder: records an update once, to start it with one call from then on; CudaGraphs by default, on a GPU and
            where `config` says so. Without one every operation of every update is started by itself.

    Attributes:
        measuring: the games of it that measure how it plays.
        notices: what the user should hear of, one line each; whoever tells it takes it away.
        labelled: states that every update learns from besides its batch, with the setting `corrections`.

    `act`, `cache` and `learn` raise TrainingError if the device's memory is full; it can be saved then.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: torch.device | str = "cpu",
        *,
        spec: AgentSpec | None = None,
        loss_name: str = "double_dqn",
        recorder: Recorder | None = None,
    ) -> None:
        self.config = config
        self.spec = spec or AgentSpec.from_config(config)
        self.device = torch.device(device)
        self.notices: list[str] = []
        seeds = np.random.SeedSequence(config.seed).generate_state(3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            self.net = MarioNet(self.spec).on(self.device)
        self.loss = LOSSES[loss_name]
        if recorder is None and config.graph and self.device.type == "cuda":
            recorder = CudaGraphs(self.device)
        self.optimizer = NetworkOptimizer(
            self.net,
            lambda net, batch: self.loss(net, batch, self.config),
            learning_rate=config.at("learning_rate", 0),
            epsilon=config.adam_epsilon,
            dtype=resolve_precision(config.precision, self.device),
            # on Apple's GPUs the fused one passed over `found_inf` before PyTorch 2.14, and is not tried since
            fused=self.device.type != "mps",
            recorded=recorder is not None,
        )
        self._graphed = GraphedUpdate(self._update, recorder) if recorder else None
        self.memory = Replay(
            config.replay_size,
            envs=config.envs,
            depth=config.frame_stack,
            batch_size=config.batch_size,
            n_steps=config.n_steps,
            gamma=config.gamma,
            alpha=config.priority_exponent,
            beta=config.priority_correction,
            cut=config.cut_at_exploration,
            device=self.device,
            seed=int(seeds[1]),
        )
        self.demonstrations: Demonstrations | None = None  # a share of each batch comes from them
        self.labelled: LabelledStates | None = None
        if config.corrections:
            self.labelled = LabelledStates(
                config.corrections_size,
                actions=self.spec.actions,
                depth=config.frame_stack,
                device=self.device,
                seed=int(seeds[1]),
                reserved_bytes=0 if self.device.type == "cuda" else self.memory.missing_bytes,
            )
        self.exploration: ExponentialDecay | LinearDecay
        if config.exploration_steps:
            self.exploration = LinearDecay(
                config.exploration_rate, config.exploration_steps, config.exploration_rate_min
            )
        else:
            self.exploration = ExponentialDecay(
                config.exploration_rate, config.exploration_rate_decay, config.exploration_rate_min
            )
        roles = game_roles(config)
        self._exponents = exponents_by_role(roles, config.exploration_ladder)
        self.measuring = MeasuringGames(self.net, roles)
        self.curr_step = 0
        self.updates = 0
        self.burn_in_until = config.burn_in  # the step at which learning starts
        self._rng = np.random.Generator(np.random.PCG64(int(seeds[2])))

    # Acting.

    @torch.no_grad()
    def act(self, states: Tensor, games: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Epsilon-greedy actions, with an epsilon of its own for each game.

        Args:
            states: observations (G, depth, 84, 84) uint8.
            games: (G,) int64, the numbers of the games that they are of; None for all games.

        Returns:
            (G,) int64, one action index for each game; and (G,) bool, whether it was random and not the greedy one,
            which is known with the setting `cut_at_exploration` alone.
        """
        exponents = self._exponents if games is None else self._exponents[games]
        explore = self._rng.random(len(states)) < self.exploration_rate**exponents
        actions = self._rng.integers(self.spec.actions, size=len(states))
        explored = np.zeros(len(states), dtype=bool)
        if not explore.all() or self.config.cut_at_exploration:
            with self._memory_may_be_full():
                greedy = self.net.q_values(states, "online").argmax(dim=1).cpu().numpy()
            actions = np.where(explore, actions, greedy)
            if self.config.cut_at_exploration:
                explored = actions != greedy
        measures = self.measuring.act(states, games, actions)
        return actions, explored & ~measures

    def begin_episodes(self, games: np.ndarray) -> None:
        """These games, (G,) int64, are at the start of an episode: where they measure, the weights of now play it."""
        self.measuring.begin_episodes(games.tolist())

    @property
    def exploration_rate(self) -> float:
        """Epsilon of the first game; the others explore less, see `per_actor_exponents`."""
        if self.config.exploration_schedule:
            return float(self.config.at("exploration_rate", self.curr_step))
        return self.exploration.rate

    @property
    def steps_to_final_exploration(self) -> float:
        """Steps until epsilon has its final value; infinite if it never gets there."""
        if schedule := self.config.schedule("exploration_rate"):
            return max(schedule.points[-1][0] - self.curr_step, 0)
        return self.exploration.steps_to_minimum()

    def epsilon_of(self, game: int) -> float:
        """Epsilon of a game."""
        return float(self.exploration_rate ** self._exponents[game])

    def count_steps(self, steps: int) -> None:
        """Counts steps that were taken: epsilon falls with each."""
        self.exploration.advance(steps)
        self.curr_step += steps

    # Memory.

    def cache(
        self,
        frame: Tensor,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
        explored: np.ndarray | None = None,
    ) -> None:
        """Stores one step of each game; see `Replay.add` for shapes."""
        with self._memory_may_be_full():
            self.memory.add(frame, action, reward, terminated, first, last, explored)

    def recall(self, batches: int = 1) -> Draw:
        """Batches of transitions from memory, and from the demonstrations if there are any."""
        if self.demonstrations is not None:
            return self.demonstrations.draw_with(self.memory, batches)
        return self.memory.draw(batches)

    def update_priorities(self, draw: Draw, td_errors: Tensor) -> None:
        """Sets the priorities of what was recalled by its TD errors, (N, B) float32."""
        for replay in self._replays():
            replay.update_priorities(draw, td_errors)

    def _replays(self) -> Sequence[Replay]:
        return (self.memory,) if self.demonstrations is None else (self.memory, self.demonstrations)

    # Learning.

    def learn(self, steps: int = 1, mark: Callable[[str], None] = lambda phase: None) -> list[Update]:
        """What is due after the last `steps` steps: a target network update every `sync_every`, an update every
        `learn_every`.

        With several games a tick counts several steps; the number of updates per step stays the same. `mark` is called
        when a phase, "sample" or "update", is over.
        """
        before = self.curr_step - steps
        if self.curr_step // self.config.sync_every > before // self.config.sync_every:
            self.sync_q_target()
        learn_from = max(before, self.burn_in_until - 1)
        due = self.curr_step // self.config.learn_every - learn_from // self.config.learn_every
        if due <= 0 or not self.memory.ready:
            return []
        with self._memory_may_be_full():
            return self.update(due, mark)

    def update(self, count: int = 1, mark: Callable[[str], None] = lambda phase: None) -> list[Update]:
        """So many updates of the online network, each with another batch from memory.

        All batches are drawn before the first update, with the priorities of then, so that a GPU is waited for once.
        """
        self._follow_schedules()
        draw = self.recall(count)
        batches = draw.to(self.device, self._shifts(draw))
        if self.labelled is not None and self.labelled.added:
            batches = torch.cat((batches, on_its_way(self._draw_labelled(self.labelled, count), self.device)), dim=1)
        mark("sample")
        updates, td_errors = [], []
        for batch in batches:
            loss, q, td_error, skipped = self._start_update(batch)
            updates.append(Update(q=q, loss=loss, skipped=skipped))
            td_errors.append(td_error)
            self.updates += 1
            if self.config.average_updates and self.updates % AVERAGE_EVERY == 0:
                self.average()
        self.update_priorities(draw, torch.stack(td_errors))
        mark("update")
        return updates

    def _follow_schedules(self) -> None:
        """Learns with what the schedules say for this step."""
        config, step = self.config, self.curr_step
        if config.learning_rate_schedule:
            self.optimizer.set_learning_rate(config.at("learning_rate", step))
        for replay in self._replays():
            if config.n_steps_schedule:
                replay.n_now = config.at("n_steps", step)
            if config.priority_correction_schedule and replay.priorities:
                replay.priorities.beta = config.at("priority_correction", step)

    def _shifts(self, draw: Draw) -> np.ndarray | None:
        """By how much s_tm1 and s_t of each transition are shifted, (N, 2, B, 2) int32 pixels; None if they are not."""
        return self._offsets(len(draw), 2, draw.index.shape[1])

    def _offsets(self, *shape: int) -> np.ndarray | None:
        if not (most := self.config.shift):
            return None
        return self._rng.integers(-most, most, size=(*shape, 2), dtype=np.int32, endpoint=True)

    def _draw_labelled(self, labelled: LabelledStates, batches: int) -> Tensor:
        """Rows of labelled states for so many batches, perhaps with shifts: (N, K) or (N, 3 K) int32, on the CPU."""
        rows = labelled.draw(batches, self._labelled_size)
        offsets = self._offsets(*rows.shape)
        if offsets is None:
            return rows
        return torch.cat((rows, torch.from_numpy(offsets.reshape(batches, -1))), dim=1)

    @property
    def _labelled_size(self) -> int:
        """K, labelled states in an update: one at least."""
        return max(1, round(self.config.corrections * self.memory.batch_size))

    def _update(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Learns from a row of `Draw.to`, with one of `_draw_labelled` behind it if there are labelled states.

        It waits for nothing, so that a CUDA graph can hold it.
        """
        shown = self.demonstrations.frames if self.demonstrations is not None else None
        still = (SCORE_ROWS if self.spec.show_buttons else 0) if self.config.shift else None
        besides = None
        if self.labelled is not None and self.labelled.added:
            columns = self._labelled_size * (1 if still is None else 3)
            batch, rows = batch.split((len(batch) - columns, columns))
            besides = self._correction(self.labelled, rows, still)
        transitions = unpacked(batch, self.spec.frame_stack, self.memory.frames, shown, still)
        loss, q, td_error = self.optimizer.update(transitions, besides)
        return loss, q.mean(), td_error.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0), self.optimizer.skipped

    def _correction(self, labelled: LabelledStates, rows: Tensor, still: int | None) -> Callable[[MarioNet], Tensor]:
        """The loss of labelled states, of a row of `_draw_labelled`, as a function of the network."""
        states, safe = labelled.at(rows[: self._labelled_size])
        if still is not None:
            states = shifted(states, rows[self._labelled_size :].view(-1, 2), still)
        return lambda net: self.config.corrections_weight * margin_loss(net, states, safe)

    def _start_update(self, batch: Tensor) -> tuple[Tensor, ...]:
        """`_update`, by a recording of it if there is one."""
        if self._graphed is None:
            return self._update(batch)
        results = self._graphed(batch)
        if self._graphed.problem:
            self.notices.append(
                "an update could not be recorded as a CUDA graph, so each of its operations is started by itself, "
                f"which is slower ({self._graphed.problem})"
            )
            self._graphed = None
        return results

    @contextlib.contextmanager
    def _memory_may_be_full(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)  # they hold what there was room for
            self._graphed = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            raise TrainingError(
                f"the memory of {self.device} is full: go on with --device cpu, or begin a new run with a smaller "
                "--replay-size"
            ) from None

    def td_estimate(self, state: Tensor, action: Tensor) -> Tensor:
        """Q_online(s, a): (B,) float32."""
        return loss.td_estimate(self.learning_net, state, action)

    def td_target(self, reward: Tensor, next_state: Tensor, discount: Tensor) -> Tensor:
        """r + discount Q_target(s', argmax_a' Q_online(s', a')): (B,) float32; the discount is 0 for a terminal s'."""
        return loss.td_target(self.learning_net, reward, discount, next_state)

    def sync_q_target(self) -> None:
        """Target network update: copies the online network."""
        for net in self.optimizer.nets:
            net.target.load_state_dict(net.online.state_dict())

    @torch.no_grad()
    def average(self) -> None:
        """Moves the averaged network towards the online one: an exponential mean over `average_updates` updates.

        Random weights are no part of it, so that it is over fewer at first; those of another agent are.
        """
        assert self.net.average is not None
        length = self.config.at("average_updates", self.curr_step)
        known = length if self.config.init_from else self.updates
        weight = min(1.0, AVERAGE_EVERY / min(length, known))
        torch._foreach_lerp_(list(self.net.average.parameters()), list(self.net.online.parameters()), weight)

    # Changes while it runs.

    def set_learning_rate(self, rate: float) -> None:
        """From the next update on."""
        self.optimizer.set_learning_rate(rate)

    def set_exploration_rate(self, rate: float) -> None:
        """Epsilon from the next step on; the schedule continues from there, and its final value is lowered to it."""
        self.exploration.rate = rate
        self.exploration.minimum = min(self.exploration.minimum, rate)

    # State.

    @property
    def learning_net(self) -> MarioNet:
        """The network that updates are computed with: `net`, or its copy in low precision."""
        return self.optimizer.learning_net

    def load_net(self, state: Mapping[str, Tensor]) -> None:
        """Takes the weights of a MarioNet's state dict; raises RuntimeError if its layers are others."""
        self.net.load_state_dict(state)
        if self.learning_net is not self.net:
            self.learning_net.load_state_dict(state, strict=False)  # without the average

    def is_finite(self) -> bool:
        """Whether every number of the networks and of the optimizer is finite; waits for the device."""
        tensors = [value for value in (*self.net.parameters(), *self.optimizer.moments()) if value.is_floating_point()]
        return all(bool(torch.isfinite(value).all()) for value in tensors)

    def state_dict(self) -> dict[str, Any]:
        """Counters, epsilon and the random state; the networks, optimizer and replay have state dicts of their own."""
        return {
            "curr_step": self.curr_step,
            "updates": self.updates,
            "exploration_rate": self.exploration.rate,
            "burn_in_until": self.burn_in_until,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a state of `state_dict`; raises KeyError, TypeError or ValueError for anything else."""
        if not 0 <= state["exploration_rate"] <= 1 or min(state["curr_step"], state["updates"]) < 0:
            raise ValueError("its counters or epsilon are out of range")
        self.curr_step = int(state["curr_step"])
        self.updates = int(state["updates"])
        self.exploration.rate = float(state["exploration_rate"])
        self.burn_in_until = int(state["burn_in_until"])
        self._rng.bit_generator.state = state["rng"]

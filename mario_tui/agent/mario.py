"""Mario: act, cache, recall, learn. The tutorial's agent, for any number of games at once.

Double DQN (van Hasselt, Guez, Silver 2016, Deep Reinforcement Learning with Double Q-learning): the online network
chooses the next action, the target network says what it is worth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mario_tui.agent.cuda_graph import CudaGraphs, GraphedUpdate
from mario_tui.agent.demo_replay import Demonstrations
from mario_tui.agent.exploration import ExponentialDecay, LinearDecay, ladder
from mario_tui.agent.network import MarioNet
from mario_tui.agent.replay import Batch, Replay
from mario_tui.agent.runtime import resolve_precision
from mario_tui.agent.spec import AgentSpec
from mario_tui.config import TrainingConfig
from mario_tui.errors import InputError

AVERAGE_EVERY = 10
"""Updates between two steps of the averaged network, whose cost they share."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update of the online network was: the mean TD estimate of its batch, and the loss.

    0-d tensors on the device: to read them makes the program wait for it. `skipped`: bool, loss or gradient were not
    finite, and the networks are what they were before.
    """

    q: Tensor
    loss: Tensor
    skipped: Tensor


def resolve_device(name: str) -> torch.device:
    """The device meant by `auto`, `cpu` or `cuda`; raises InputError where there is no GPU to use."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device = 'cuda' cannot be used: PyTorch sees no GPU here; take device 'auto' or 'cpu'")
    return torch.device(name)


class Mario:
    """A Double-DQN agent that plays `config.envs` games.

    Args:
        config: the hyper-parameters.
        device: where its networks and its replay are.
    """

    def __init__(self, config: TrainingConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.spec = AgentSpec.from_config(config)
        self.device = torch.device(device)
        seeds = np.random.SeedSequence(config.seed).generate_state(3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            self.net = MarioNet(self.spec).to(self.device)
        graph = config.graph and self.device.type == "cuda"
        self.optimizer = torch.optim.Adam(
            self.net.online.parameters(), lr=config.learning_rate, fused=True, capturable=graph
        )
        self.learning_net = self.net  # the one that updates are computed with
        if resolve_precision(config.precision, self.device) == torch.bfloat16:
            self.learning_net = self.net.low_precision()
            for parameter in self.net.online.parameters():
                parameter.grad = torch.zeros_like(parameter)
        # 1 where an update is to change nothing: the optimizer looks at it without waiting for the device
        self._skip = self.optimizer.found_inf = torch.zeros((), device=self.device)  # type: ignore[attr-defined]
        self._graph = graph
        self.graphed_update = self._new_graph()
        self.loss_fn = nn.SmoothL1Loss(reduction="none")
        self.memory = Replay(
            config.replay_size,
            envs=config.envs,
            depth=config.frame_stack,
            batch_size=config.batch_size,
            n_steps=config.n_steps,
            gamma=config.gamma,
            alpha=config.priority_exponent,
            beta=config.priority_correction,
            device=self.device,
            seed=int(seeds[1]),
        )
        self.demonstrations: Demonstrations | None = None  # a share of each batch comes from them
        self.exploration: ExponentialDecay | LinearDecay
        if config.exploration_steps:
            self.exploration = LinearDecay(
                config.exploration_rate, config.exploration_steps, config.exploration_rate_min
            )
        else:
            self.exploration = ExponentialDecay(
                config.exploration_rate, config.exploration_rate_decay, config.exploration_rate_min
            )
        self._ladder = ladder(config.envs, config.exploration_ladder)
        self.curr_step = 0
        self.updates = 0
        self.burn_in_until = config.burn_in  # the step that learning starts at
        self._rng = np.random.Generator(np.random.PCG64(int(seeds[2])))

    @property
    def exploration_rate(self) -> float:
        """Epsilon; with a ladder, that of the first game."""
        return self.exploration.rate

    def _new_graph(self) -> GraphedUpdate | None:
        return GraphedUpdate(self.update_networks, CudaGraphs()) if self._graph else None

    def set_learning_rate(self, rate: float) -> None:
        """From the next update on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.graphed_update = self._new_graph()  # a recording holds the rate that it was made with

    def set_exploration_rate(self, rate: float) -> None:
        """Epsilon from the next step on; the schedule goes on from there, and a floor above it comes down to it."""
        self.exploration.rate = rate
        self.exploration.minimum = min(self.exploration.minimum, rate)

    @torch.no_grad()
    def act(self, states: Tensor) -> np.ndarray:
        """Epsilon-greedy actions.

        Args:
            states: (E, depth, 84, 84) uint8.

        Returns:
            (E,) int64, one action index for each game.
        """
        explore = self._rng.random(len(states)) < self.exploration_rate**self._ladder
        actions = self._rng.integers(self.spec.actions, size=len(states))
        if not explore.all():
            greedy = self.net(states, model="online").argmax(dim=1).cpu().numpy()
            actions = np.where(explore, actions, greedy)
        return actions

    def count_steps(self, steps: int) -> None:
        """Counts steps that were taken: epsilon falls with each."""
        self.exploration.advance(steps)
        self.curr_step += steps

    def cache(
        self,
        frame: Tensor,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Stores one experience of each game; see `Replay.add` for shapes."""
        self.memory.add(frame, action, reward, terminated, first, last)

    def recall(self) -> Batch:
        """A batch of experiences from memory, and of the demonstrations where there are any."""
        if self.demonstrations is not None:
            return self.demonstrations.sample_with(self.memory)
        return self.memory.sample()

    def update_priorities(self, batch: Batch, td_error: Tensor) -> None:
        """Takes note of what error, (B,) float32, a batch was found to have."""
        if self.demonstrations is not None:
            self.demonstrations.update_priorities_with(self.memory, batch, td_error)
        else:
            self.memory.update_priorities(batch, td_error)

    def td_estimate(self, state: Tensor, action: Tensor) -> Tensor:
        """Q_online(s, a): (B,) float32."""
        q_values: Tensor = self.learning_net(state, model="online")
        return q_values.gather(1, action.unsqueeze(1)).squeeze(1)

    @torch.no_grad()
    def td_target(
        self, reward: Tensor, next_state: Tensor, done: Tensor, discount: Tensor | float | None = None
    ) -> Tensor:
        """r + discount Q_target(s', argmax_a' Q_online(s', a')), and r alone where s' is terminal: (B,) float32.

        `discount` is gamma by default; for n-step returns gamma to the power of n, (B,) float32.
        """
        discount = self.config.gamma if discount is None else discount
        next_state = self.learning_net.scale(next_state)
        best_action = self.learning_net(next_state, model="online").argmax(dim=1, keepdim=True)
        next_q: Tensor = self.learning_net(next_state, model="target").gather(1, best_action).squeeze(1)
        return (reward + (1 - done.float()) * discount * next_q).float()

    @torch.no_grad()
    def disadvantage(self, state: Tensor, action: Tensor) -> Tensor:
        """max_a Q_target(s, a) - Q_target(s, a) of the action taken: (B,) float32, 0 for the best one.

        Advantage learning (Bellemare et al. 2016, Increasing the Action Gap, equation 9) lowers targets by a part of
        it. At a wall it matters little when Mario jumps, so that both actions are worth almost the same, and the
        network's errors are larger than the difference: greedy play then stays there.
        """
        q_values = self.learning_net(state, model="target")
        return q_values.amax(dim=1) - q_values.gather(1, action.unsqueeze(1)).squeeze(1)

    def update_q_online(self, td_estimate: Tensor, td_target: Tensor, weight: Tensor | None = None) -> Tensor:
        """One step of Adam on the smooth L1 loss between the two, (B,) float32 each; returns the loss, 0-d.

        With `weight`, (B,) float32, each transition's loss counts that much. Where the loss or a gradient is not
        finite, the step is left out: a NaN in the weights would never leave them.
        """
        losses: Tensor = self.loss_fn(td_estimate, td_target)
        loss = (losses if weight is None else losses * weight).mean()
        self.learning_net.zero_grad()
        loss.backward()
        self._look_for_nan(loss)
        if self.learning_net is self.net:
            self.optimizer.step()
        else:
            self._step_in_float32()
        return loss.detach()

    @torch.no_grad()
    def _look_for_nan(self, loss: Tensor) -> None:
        gradients = [p.grad for p in self.learning_net.online.parameters() if p.grad is not None]
        # a norm is not finite where an element is not; a sum of squares that overflows would spoil Adam's moments, too
        norms = torch.stack([norm.float() for norm in torch._foreach_norm(gradients)])
        self._skip.copy_(~(torch.isfinite(loss) & torch.isfinite(norms.square()).all()))

    @torch.no_grad()
    def _step_in_float32(self) -> None:
        """A step of Adam with the gradients of the low-precision network.

        Parameters and moments stay float32: in bfloat16 small steps would be lost (Micikevicius et al. 2018, Mixed
        Precision Training, section 3.1).
        """
        parameters: list[Tensor] = list(self.net.online.parameters())
        low: list[Tensor] = list(self.learning_net.online.parameters())
        gradients, low_gradients = ([p.grad for p in those if p.grad is not None] for those in (parameters, low))
        torch._foreach_copy_(gradients, low_gradients)
        self.optimizer.step()
        torch._foreach_copy_(low, parameters)

    def load_net(self, state: Mapping[str, Tensor]) -> None:
        """Takes the weights of a MarioNet's state dict; raises RuntimeError where its layers are others."""
        self.net.load_state_dict(state)
        if self.learning_net is not self.net:
            self.learning_net.load_state_dict(state, strict=False)  # which has an average besides

    def sync_q_target(self) -> None:
        """Copies the online network to the target network."""
        for net in {self.net, self.learning_net}:
            net.target.load_state_dict(net.online.state_dict())

    @torch.no_grad()
    def average(self) -> None:
        """Moves the averaged network towards the online one: an exponential mean over `average_updates` updates."""
        assert self.net.average is not None
        weight = min(1.0, AVERAGE_EVERY / min(self.config.average_updates, self.updates))
        torch._foreach_lerp_(list(self.net.average.parameters()), list(self.net.online.parameters()), weight)

    def learn(self, steps: int = 1, mark: Callable[[str], None] = lambda phase: None) -> list[Update]:
        """What is due after the last `steps` steps: a sync every `sync_every`, an update every `learn_every`.

        With several games a tick counts several steps; the number of updates per step stays the same. `mark` is called
        when a phase, "sample" or "update", is over.
        """
        before = self.curr_step - steps
        if self.curr_step // self.config.sync_every > before // self.config.sync_every:
            self.sync_q_target()
        learn_from = max(before, self.burn_in_until - 1)
        due = self.curr_step // self.config.learn_every - learn_from // self.config.learn_every
        return [self._update(mark) for _ in range(due) if self.memory.ready]

    def _update(self, mark: Callable[[str], None]) -> Update:
        batch = self.recall()
        mark("sample")
        loss, td_estimate, td_error = (self.graphed_update or self.update_networks)(
            batch.state, batch.action, batch.reward, batch.next_state, batch.done, batch.discount, batch.weight
        )
        self.update_priorities(batch, td_error.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
        self.updates += 1
        if self.config.average_updates and self.updates % AVERAGE_EVERY == 0:
            self.average()
        mark("update")
        return Update(q=td_estimate.mean(), loss=loss, skipped=self._skip > 0)

    def is_finite(self) -> bool:
        """Whether every number of the networks and of the optimizer is finite; waits for the device."""
        moments = [value for entry in self.optimizer.state.values() for value in entry.values()]
        tensors = [value for value in (*self.net.parameters(), *moments) if value.is_floating_point()]
        return all(bool(torch.isfinite(value).all()) for value in tensors)

    def update_networks(
        self,
        state: Tensor,
        action: Tensor,
        reward: Tensor,
        next_state: Tensor,
        done: Tensor,
        discount: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The whole update with a batch of transitions, shapes as in `Batch`.

        Returns the loss, 0-d, and of each transition the TD estimate before the update and the TD error, (B,) float32.
        Nothing in it waits for the device, so that a CUDA graph can hold it.
        """
        state, reward = self.learning_net.scale(state), reward / self.config.reward_scale
        td_estimate = self.td_estimate(state, action)
        td_target = self.td_target(reward, next_state, done, discount)
        if self.config.action_gap:
            td_target = td_target - self.config.action_gap * self.disadvantage(state, action)
        loss = self.update_q_online(td_estimate, td_target, weight)
        td_estimate = td_estimate.detach()
        return loss, td_estimate, td_target - td_estimate

    def state_dict(self) -> dict[str, Any]:
        """Counters, epsilon and the random state; the networks, optimizer and replay have state dicts of their own."""
        return {
            "curr_step": self.curr_step,
            "updates": self.updates,
            "exploration_rate": self.exploration_rate,
            "burn_in_until": self.burn_in_until,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called; KeyError, TypeError or ValueError for a state that is none."""
        if not 0 <= state["exploration_rate"] <= 1 or min(state["curr_step"], state["updates"]) < 0:
            raise ValueError("its counters or epsilon are out of range")
        self.curr_step = int(state["curr_step"])
        self.updates = int(state["updates"])
        self.exploration.rate = float(state["exploration_rate"])
        self.burn_in_until = int(state["burn_in_until"])
        self._rng.bit_generator.state = state["rng"]

"""An exam: states in which only some actions are safe, and how many of them an agent gets right, without an emulator.

States of random walks through a stage, with labels found by search (`play/labels.py`), as many for each safe action:
who always does the same does no better than chance. But who always changes the buttons does, as most walks die of what
they hold, and that the score follows an agent's clear rate is not shown. benchmarks/make_exam.py makes one.
"""

from __future__ import annotations

import io
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mario_tui.agent.policy import Policy
from mario_tui.agent.preprocess import draw_buttons
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.play.labels import DEPTH, LabelledStates
from mario_tui.store.untrusted import one_line_error
from mario_tui.system.files import write_atomically

FORMAT = 1
MAX_FILE_BYTES = 64 << 20
MAX_BYTES = 1 << 30
"""What is read at most of a file, as it is and unpacked."""
PLACE_PIXELS = 256
_BATCH = 64
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Exam:
    """Labelled states of one stage.

    Attributes:
        actions: the button bytes that the columns of `states.safe` stand for.
        episodes: (N,) int, a number for the walk that each state is from.
    """

    stage: str
    frame_skip: int
    actions: tuple[int, ...]
    states: LabelledStates
    episodes: NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class Score:
    """How an agent did.

    Attributes:
        right: (N,) bool, whether the greedy action is a safe one.
        x, episodes: (N,) int, as in the exam.
    """

    right: NDArray[np.bool_]
    x: NDArray[np.int_]
    episodes: NDArray[np.int_]

    @property
    def share(self) -> float:
        return float(self.right.mean())

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share, by drawing whole walks anew, as states of one are alike.

        Percentile bootstrap, Efron 1979, Bootstrap methods: another look at the jackknife; always the same numbers.
        """
        _, groups = np.unique(self.episodes, return_inverse=True)
        right, all_of = np.bincount(groups, weights=self.right), np.bincount(groups)
        drawn = np.random.Generator(np.random.PCG64(0)).integers(len(all_of), size=(_RESAMPLES, len(all_of)))
        low, high = np.quantile(right[drawn].sum(axis=1) / all_of[drawn].sum(axis=1), (0.025, 0.975))
        return float(low), float(high)

    def places(self) -> list[tuple[int, int, int]]:
        """For each stretch of PLACE_PIXELS pixels with states: its first x, states, how many are right."""
        stretch = self.x // PLACE_PIXELS
        return [
            (int(one) * PLACE_PIXELS, int((stretch == one).sum()), int(self.right[stretch == one].sum()))
            for one in np.unique(stretch)
        ]

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui exam --json` promises."""
        return {
            "states": len(self.right),
            "right": int(self.right.sum()),
            "share": self.share,
            "interval": self.interval(),
            "places": [{"x": x, "states": states, "right": right} for x, states, right in self.places()],
        }


def take_exam(policy: Policy, exam: Exam) -> Score:
    """An agent's greedy action in each state; always the same on one machine.

    Raises InputError for an agent that chooses among other actions, or sees more frames or holds actions longer.
    """
    spec = policy.spec
    if ACTION_SETS[spec.action_set] != exam.actions:
        raise InputError(f"the exam is not for agents with the action set {spec.action_set!r}: make one for it")
    if spec.frame_skip != exam.frame_skip or spec.frame_stack > DEPTH:
        raise InputError(
            f"the exam is for agents with frame_skip {exam.frame_skip} and frame_stack up to {DEPTH}, "
            f"and this one has {spec.frame_skip} and {spec.frame_stack}"
        )
    frames, pressed = exam.states.frames[:, -spec.frame_stack :], exam.states.pressed[:, -spec.frame_stack :]
    device = next(policy.net.parameters()).device
    chosen = []
    with torch.no_grad():
        for first in range(0, len(frames), _BATCH):
            stacks = torch.from_numpy(frames[first : first + _BATCH])
            if spec.show_buttons:
                drawn = draw_buttons(stacks.flatten(0, 1), pressed[first : first + _BATCH].ravel())
                stacks = drawn.view_as(stacks)
            chosen.append(policy.net.greedy(stacks.to(device)).argmax(dim=1).cpu().numpy())
    actions = np.concatenate(chosen)
    return Score(exam.states.safe[np.arange(len(actions)), actions], exam.states.x, exam.episodes)


def write_exam(exam: Exam, path: Path, *, made_by: str = "") -> None:
    """Writes a file for `read_exam`: each frame once, packed; `made_by` says how it was made. Raises OSError."""
    shown = exam.states.frames.reshape(-1, *FRAME_SHAPE)
    number_of: dict[bytes, int] = {}  # in the order of the states, in which frames are alike
    numbers = [number_of.setdefault(frame.tobytes(), len(number_of)) for frame in shown]
    about = {
        "format": FORMAT,
        "stage": exam.stage,
        "frame_skip": exam.frame_skip,
        "actions": exam.actions,
        "made_by": made_by,
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        frames=np.frombuffer(b"".join(number_of), np.uint8).reshape(-1, *FRAME_SHAPE),
        numbers=np.array(numbers, np.int32).reshape(-1, DEPTH),
        pressed=exam.states.pressed,
        safe=exam.states.safe,
        x=exam.states.x.astype(np.int32),
        episodes=exam.episodes.astype(np.int32),
    )
    write_atomically(path, lzma.compress(buffer.getvalue(), preset=9))


def read_exam(path: str | Path) -> Exam:
    """Reads a file that `write_exam` wrote; raises InputError, in one line, for anything else."""
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"{path} is no file of an exam")
        with path.open("rb") as file:
            packed = file.read(MAX_FILE_BYTES + 1)
        decompressor = lzma.LZMADecompressor(memlimit=256 << 20)
        content = decompressor.decompress(packed, MAX_BYTES)
        if len(packed) > MAX_FILE_BYTES or not decompressor.eof:
            raise ValueError("it is too large, or only a part")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["format"] != FORMAT:
                raise ValueError("it is of another format")
            frames, numbers, safe = arrays["frames"], arrays["numbers"], arrays["safe"]
            pressed, x, episodes = arrays["pressed"], arrays["x"], arrays["episodes"]
        actions, count = tuple(map(int, about["actions"])), len(safe)
        expected = [
            (numbers, (count, DEPTH), np.int32),
            (pressed, (count, DEPTH), np.uint8),
            (safe, (count, len(actions)), np.bool_),
            (x, (count,), np.int32),
            (episodes, (count,), np.int32),
            (frames, (len(frames), *FRAME_SHAPE), np.uint8),
        ]
        if not count or any(array.shape != shape or array.dtype != dtype for array, shape, dtype in expected):
            raise ValueError("its parts do not fit each other")
        if numbers.size * FRAME_SHAPE[0] * FRAME_SHAPE[1] > MAX_BYTES:
            raise ValueError("it has too many states")
        states = LabelledStates(frames[numbers], pressed, safe, x.astype(int), 0)
        return Exam(str(about["stage"]), int(about["frame_skip"]), actions, states, episodes.astype(int))
    except InputError:
        raise
    except Exception as error:  # untrusted content may raise anything on its way
        raise InputError(f"{path} is no exam that can be read: {one_line_error(error)}") from None

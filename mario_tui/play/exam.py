"""An exam: states in which only some actions are safe, and how many of them an agent gets right, without an emulator.

They are the labelled states of trainings with corrections: from before deaths, with what is safe there found by search
(`play/safe_actions.py`). The agents of these trainings have learned from them, so that their own score says nothing.
Others' scores do not follow their clear rates, but for those that have learned little: docs/measuring.md has figures.
benchmarks/make_exam.py makes one.
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
from mario_tui.buttons import ACTION_SETS
from mario_tui.errors import InputError
from mario_tui.grey_frames import FRAME_SHAPE
from mario_tui.store.untrusted import one_line_error
from mario_tui.system.files import write_atomically

FORMAT = 2
MAX_FILE_BYTES = 64 << 20
MAX_BYTES = 1 << 30
"""What is read at most of a file, as it is and unpacked."""
_BATCH = 64
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Exam:
    """N labelled states of one stage.

    Attributes:
        actions: the button bytes that the columns of `safe` stand for.
        show_buttons: whether the pressed buttons are drawn on the frames.
        states: (N, depth, 84, 84) uint8, as a network sees them.
        safe: (N, A) bool, in each state one action at least and not all.
        deaths: (N,) int64, a number for the death that each state is from.
    """

    stage: str
    frame_skip: int
    actions: tuple[int, ...]
    show_buttons: bool
    states: NDArray[np.uint8]
    safe: NDArray[np.bool_]
    deaths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """How an agent did.

    Attributes:
        right: (N,) bool, whether the greedy action is a safe one.
        deaths: (N,) int64, as in the exam.
    """

    right: NDArray[np.bool_]
    deaths: NDArray[np.int64]

    @property
    def share(self) -> float:
        return float(self.right.mean())

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share, by drawing whole deaths anew, as states before one are alike.

        Percentile bootstrap, Efron 1979, Bootstrap methods: another look at the jackknife; always the same numbers.
        """
        _, groups = np.unique(self.deaths, return_inverse=True)
        right, all_of = np.bincount(groups, weights=self.right), np.bincount(groups)
        drawn = np.random.Generator(np.random.PCG64(0)).integers(len(all_of), size=(_RESAMPLES, len(all_of)))
        low, high = np.quantile(right[drawn].sum(axis=1) / all_of[drawn].sum(axis=1), (0.025, 0.975))
        return float(low), float(high)

    def as_json(self) -> dict[str, Any]:
        """The keys that `mario-tui exam --json` promises."""
        return {
            "states": len(self.right),
            "deaths": len(np.unique(self.deaths)),
            "right": int(self.right.sum()),
            "share": self.share,
            "interval": self.interval(),
        }


def take_exam(policy: Policy, exam: Exam) -> Score:
    """An agent's greedy action in each state; always the same on one machine.

    Raises InputError for an agent that chooses among other actions, holds them for longer, or sees something else.
    """
    spec, depth = policy.spec, exam.states.shape[1]
    if ACTION_SETS[spec.action_set] != exam.actions:
        raise InputError(f"the exam is not for agents with the action set {spec.action_set!r}: make one for it")
    if (spec.frame_skip, spec.show_buttons) != (exam.frame_skip, exam.show_buttons) or spec.frame_stack > depth:
        raise InputError(
            f"the exam is for agents with frame_skip {exam.frame_skip}, frame_stack up to {depth} and show_buttons "
            f"{exam.show_buttons}, and this one has {spec.frame_skip}, {spec.frame_stack} and {spec.show_buttons}"
        )
    states = torch.from_numpy(exam.states[:, depth - spec.frame_stack :])
    device = next(policy.net.parameters()).device
    with torch.no_grad():
        greedy = [policy.net.greedy(batch.to(device)).argmax(dim=1).cpu() for batch in states.split(_BATCH)]
    return Score(exam.safe[np.arange(len(states)), torch.cat(greedy).numpy()], exam.deaths)


def write_exam(exam: Exam, path: Path, *, made_by: str = "") -> None:
    """Writes a file for `read_exam`: each frame once, packed; `made_by` says how it was made. Raises OSError."""
    number_of: dict[bytes, int] = {}  # in the order of the states, in which frames are alike
    shown = exam.states.reshape(-1, *FRAME_SHAPE)
    numbers = [number_of.setdefault(frame.tobytes(), len(number_of)) for frame in shown]
    about = {
        "format": FORMAT,
        "stage": exam.stage,
        "frame_skip": exam.frame_skip,
        "actions": exam.actions,
        "show_buttons": exam.show_buttons,
        "made_by": made_by,
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        frames=np.frombuffer(b"".join(number_of), np.uint8).reshape(-1, *FRAME_SHAPE),
        numbers=np.array(numbers, np.int32).reshape(exam.states.shape[:2]),
        safe=exam.safe,
        deaths=exam.deaths.astype(np.int32),
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
            frames, numbers, safe, deaths = (arrays[name] for name in ("frames", "numbers", "safe", "deaths"))
        actions, show_buttons = tuple(map(int, about["actions"])), bool(about["show_buttons"])
        count, depth = numbers.shape
        expected = [
            (numbers, (count, depth), np.int32),
            (safe, (count, len(actions)), np.bool_),
            (deaths, (count,), np.int32),
            (frames, (len(frames), *FRAME_SHAPE), np.uint8),
        ]
        if not numbers.size or any(array.shape != shape or array.dtype != dtype for array, shape, dtype in expected):
            raise ValueError("its parts do not fit each other")
        if numbers.size * FRAME_SHAPE[0] * FRAME_SHAPE[1] > MAX_BYTES:
            raise ValueError("it has too many states")
        stage, frame_skip = str(about["stage"]), int(about["frame_skip"])
        return Exam(stage, frame_skip, actions, show_buttons, frames[numbers], safe, deaths.astype(np.int64))
    except InputError:
        raise
    except Exception as error:  # untrusted content may raise anything on its way
        raise InputError(f"{path} is no exam that can be read: {one_line_error(error)}") from None

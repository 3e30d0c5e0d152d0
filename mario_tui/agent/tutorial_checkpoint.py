"""A checkpoint of the tutorial: a file from elsewhere, of which the weights and epsilon are read, and nothing else.

Such a file is a pickle, which could run any code. PyTorch's loader for weights calls only what is on a list of its own.
What people save beside tensors are numbers of numpy and their memory: those names get stand-ins here, which hold
numbers or nothing, and can do nothing. A file that names anything else is refused.
"""

from __future__ import annotations

import re
import threading
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mario_tui import paths
from mario_tui.agent.network import MarioNet, load_weights
from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import ACTION_SETS, ActionSet
from mario_tui.config import check_settings
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store.manifest import MANIFEST
from mario_tui.store.untrusted import sanitize

_ACTION_SETS: tuple[ActionSet, ...] = ("tutorial", "right_only", "simple", "complex")
"""The action sets that a tutorial checkpoint may have been trained with: told by their numbers of actions."""

MAX_BYTES = 256 * 2**20
"""Of a file, unpacked; the tutorial's takes 13 MB."""

_WRAPPERS = re.compile(r"\b(module|_orig_mod)\.")
"""What DataParallel and torch.compile put into the names of weights."""


@dataclass(frozen=True)
class TutorialCheckpoint:
    """What was read of a file.

    Attributes:
        net: the network, on the CPU.
        epsilon: 0 to 1; None if the file does not say it.
        no_epsilon: why not, e.g. `its exploration_rate is no number from 0 to 1`.
        ignored: what else is in it, and was not read: names for a sentence; "" for nothing.
    """

    net: MarioNet
    epsilon: float | None
    no_epsilon: str
    ignored: str


def read_tutorial_checkpoint(file: Path) -> TutorialCheckpoint:
    """Reads what the tutorial's `Mario.save` wrote, or the state dict of its network alone.

    Raises CheckpointError, one line that says what is wrong, for anything else. Nothing in the file is run.
    """
    content = _load(file)
    bare = isinstance(content, Mapping) and "model" not in content and _is_state_dict(content)
    weights = content if bare else content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not _is_state_dict(weights):
        raise CheckpointError(
            f"{file} is not a tutorial checkpoint: it should hold 'model', the state_dict() of a MarioNet, "
            "and 'exploration_rate'"
        )
    net = _network(file, _unwrapped(file, weights))
    if bare:
        return TutorialCheckpoint(net, None, "it holds weights only", "")
    epsilon = _epsilon(content.get("exploration_rate"))
    no_epsilon = "" if epsilon is not None else "its exploration_rate is no number from 0 to 1"
    if "exploration_rate" not in content:
        no_epsilon = "it has no exploration_rate"
    others = [sanitize(name, 30) for name in content if name not in ("model", "exploration_rate")]
    return TutorialCheckpoint(net, epsilon, no_epsilon, sanitize(", ".join(others)))


# stand-ins for what a pickle names


class _Unread:
    """In the place of an array: whatever it is given is dropped."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _NumberType:
    """In the place of numpy's dtype: the name of a type of numbers, and its byte order."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"


def _number(kind: object = None, data: object = None) -> float | _Unread:
    """In the place of the function that makes numpy's scalars of a type and bytes."""
    if not isinstance(kind, _NumberType) or not isinstance(data, bytes):
        return _Unread()
    if kind.name not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        return _Unread()
    dtype = np.dtype(f"{kind.order}{kind.name}")
    return float(np.frombuffer(data, dtype)[0]) if len(data) == dtype.itemsize else _Unread()


def _items(*_: object) -> list[object]:
    """In the place of a deque, whose items come after."""
    return []


_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_items, "collections.deque"),
    (_Unread, "numpy.ndarray"),
    (_NumberType, "numpy.dtype"),
    *((_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),  # numpy 1 and 2
    *((_Unread, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
_loading = threading.Lock()  # the stand-ins are known to PyTorch as a whole, for as long as a file is read


# reading


def _load(file: Path) -> Any:
    size, pickled = _looked_at(file)
    if b"bytearray" in pickled:  # which PyTorch makes of any size that a few bytes ask for
        raise CheckpointError(f"{file} is not a tutorial checkpoint, or not a safe one: it names 'bytearray'")
    if size > MAX_BYTES:
        raise CheckpointError(
            f"{file} would take {size / 1e6:,.0f} MB of memory, and a tutorial checkpoint takes 13: "
            "save it again with 'model' and 'exploration_rate' only"
        )
    try:
        with _loading, warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # they are for programmers
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, for a file that may hold anything
        if isinstance(error, OSError) and error.strerror:
            raise CheckpointError(f"{file} cannot be read: {error.strerror}") from None
        if named := re.search(r"\bGLOBAL ([^\s,]+)", str(error)):
            raise CheckpointError(
                f"{file} is not a tutorial checkpoint, or not a safe one: it names {sanitize(named[1], 60)!r}, and "
                "only numbers are read: save it again with 'model', a state_dict(), and 'exploration_rate' only"
            ) from None
        raise CheckpointError(
            f"{file} is not a tutorial checkpoint, or not a safe one, or damaged: copy it again, or save it again "
            "with 'model', a state_dict(), and 'exploration_rate' only"
        ) from None


def _looked_at(file: Path) -> tuple[int, bytes]:
    """Bytes of what a file holds, which of a zip archive, as PyTorch writes them, may be more than its own; and what is
    pickled in it, if it is not too large."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            if not stream.read(4).startswith(b"PK"):
                stream.seek(0)
                return size, stream.read(MAX_BYTES)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or 'not a file'}") from None
    except Exception:  # zipfile raises several kinds, and others for what it does not know
        raise CheckpointError(f"{file} is damaged, e.g. cut off while it was copied: copy it again") from None
    names = [entry.filename for entry in entries]
    if any(name.rpartition("/")[2] == MANIFEST for name in names):
        raise CheckpointError(f"{file} is a run in a zip archive: unpack it into {paths.checkpoints_dir()} first")
    if not any(name.rpartition("/")[2] == "data.pkl" for name in names):
        raise CheckpointError(f"{file} is a zip archive, and no checkpoint: PyTorch did not save it")
    size = max(size, sum(entry.file_size for entry in entries))
    if size > MAX_BYTES:
        return size, b""
    try:
        with zipfile.ZipFile(file) as archive:
            return size, b"".join(archive.read(name) for name in names if name.endswith("data.pkl"))
    except Exception:
        raise CheckpointError(f"{file} is damaged, e.g. cut off while it was copied: copy it again") from None


def _is_state_dict(weights: Mapping[Any, Any]) -> bool:
    return bool(weights) and all(isinstance(name, str) and isinstance(one, Tensor) for name, one in weights.items())


def _unwrapped(file: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the tutorial's names."""
    named = {_WRAPPERS.sub("", name): tensor for name, tensor in weights.items()}
    if len(named) < len(weights):
        raise CheckpointError(f"{file} holds the same weights twice, with and without 'module.' before their names")
    return named


def _network(file: Path, weights: dict[str, Tensor]) -> MarioNet:
    first, last = weights.get("online.0.weight"), weights.get("online.9.weight")
    if first is None or first.ndim != 4 or last is None or last.ndim != 2:
        raise CheckpointError(f"{file} is not a tutorial checkpoint: it holds the weights of another network")
    actions, frame_stack = last.shape[0], first.shape[1]
    action_set = next((name for name in _ACTION_SETS if len(ACTION_SETS[name]) == actions), None)
    if action_set is None:
        raise CheckpointError(f"{file} chooses from {actions} actions, and no action set here has as many")
    try:
        check_settings({"frame_stack": frame_stack})
    except InputError:
        raise CheckpointError(
            f"{file} takes {frame_stack} frames at once, which is more than is possible here"
        ) from None
    net = MarioNet(TUTORIAL.model_copy(update={"action_set": action_set, "frame_stack": frame_stack}))
    try:
        load_weights(net, weights)
    except ValueError as error:
        raise CheckpointError(f"{file} is not a tutorial checkpoint: {error}") from None
    except Exception:  # of tensors that are e.g. sparse, quantized, or on no device
        raise CheckpointError(f"{file} is not a tutorial checkpoint: its weights are no plain tensors") from None
    return net


def _epsilon(value: object) -> float | None:
    if isinstance(value, Tensor):
        try:
            value = value.item()
        except Exception:  # of more than one element, or of none
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:  # which NaN is not
        return None
    return float(value)

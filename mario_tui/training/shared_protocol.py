"""How a training tells another process of the same user about itself: a local socket, and the messages on it.

A message is a line of JSON, with the lengths of the blocks of bytes that follow it under `blocks`. The client asks, the
training answers; nothing is sent unasked. The sockets lie in a folder that only its user may enter.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mario_tui import __version__
from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import InputError
from mario_tui.game.kept_episodes import Place
from mario_tui.store.history import EpisodeRecord
from mario_tui.training.curves import END_BUCKETS, Ends
from mario_tui.training.snapshot import TrainingSnapshot

MOST_BYTES = 64 << 20
"""Of a message: more than 16 pictures and all curves take."""
_CURVES = ("curves", "ends")  # sent only after an episode
_APART = ("config", "frame", "frames", "last_episode", "last_checkpoint", *_CURVES)


class SharedError(Exception):
    """The other side says something that is none of these messages."""


def are_there_sockets() -> bool:
    """Whether this system has local sockets."""
    return hasattr(socket, "AF_UNIX")


def socket_path(run: Path) -> Path:
    """Where a run's training listens: its name is short, as that of a socket has to be.

    Raises InputError where the folder is not this user's alone.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"mario-tui-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o077:
        raise InputError(f"{folder} is not a folder of this user alone: remove it, or set XDG_RUNTIME_DIR to another")
    return folder / f"{hashlib.sha256(os.fsencode(run.resolve())).hexdigest()[:24]}.sock"


def send(file: BinaryIO, message: dict[str, Any], blocks: Sequence[bytes] = ()) -> None:
    """Sends a message."""
    head = json.dumps({**message, "blocks": [len(block) for block in blocks]}).encode()
    file.write(b"".join((head, b"\n", *blocks)))
    file.flush()


def receive(file: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; raises EOFError where the other side has gone, SharedError for something else."""
    line = file.readline(MOST_BYTES)
    if not line:
        raise EOFError
    try:
        message = json.loads(line)
        lengths = message["blocks"]
        fits = all(type(length) is int and length >= 0 for length in lengths) and sum(lengths) <= MOST_BYTES
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SharedError("it is no message") from None
    if not fits:
        raise SharedError("its blocks are too long")
    blocks = [file.read(length) for length in lengths]
    if any(len(block) != length for block, length in zip(blocks, lengths, strict=True)):
        raise EOFError
    return message, blocks


def packed_snapshot(snapshot: TrainingSnapshot, *, with_curves: bool) -> tuple[dict[str, Any], list[bytes]]:
    """A snapshot as a message with blocks, which are its pictures."""
    plain = {field.name: getattr(snapshot, field.name) for field in fields(snapshot) if field.name not in _APART}
    plain["config"] = snapshot.config.model_dump()
    plain["last_episode"] = asdict(snapshot.last_episode) if snapshot.last_episode else None
    plain["last_checkpoint"] = str(snapshot.last_checkpoint) if snapshot.last_checkpoint else None
    if with_curves:
        plain["curves"] = {name: list(points) for name, points in snapshot.curves.items()}
        plain["ends"] = _packed_ends(snapshot.ends)
    frames = snapshot.frames or ((snapshot.frame,) if snapshot.frame is not None else ())
    plain["all_games"] = bool(snapshot.frames)
    plain["shapes"] = [list(frame.shape) for frame in frames]
    return plain, [zlib.compress(frame.tobytes(), 1) for frame in frames]


def unpacked_snapshot(
    plain: dict[str, Any], blocks: Sequence[bytes], before: TrainingSnapshot | None
) -> TrainingSnapshot:
    """Of what `packed_snapshot` gave; curves that it leaves out are those of the snapshot before.

    Raises SharedError for anything else.
    """
    try:
        frames = tuple(_picture(block, shape) for block, shape in zip(blocks, plain.pop("shapes"), strict=True))
        all_games = plain.pop("all_games")
        config = plain.pop("config")
        last = plain.pop("last_episode")
        checkpoint = plain.pop("last_checkpoint")
        if "curves" in plain:
            curves = {name: tuple((x, y) for x, y in points) for name, points in plain.pop("curves").items()}
            ends = _unpacked_ends(plain.pop("ends"))
        else:
            curves, ends = (dict(before.curves), before.ends) if before else ({}, None)
        plain["warnings"] = tuple(plain["warnings"])
        plain["place"] = _place(plain["place"])
        return TrainingSnapshot(
            **plain,
            config=_config(config, before),
            frame=frames[0] if frames else None,
            frames=frames if all_games else (),
            curves=curves,
            ends=ends,
            last_episode=EpisodeRecord(**last) if last else None,
            last_checkpoint=Path(checkpoint) if checkpoint else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error, InputError) as error:
        raise SharedError(f"it is no snapshot ({type(error).__name__})") from None


def greeting() -> dict[str, str]:
    """What a training says first."""
    return {"version": __version__}


def _config(content: dict[str, Any], before: TrainingSnapshot | None) -> TrainingConfig:
    if before is not None and before.config.model_dump() == content:
        return before.config
    return make_config(**content)


def _place(content: Sequence[int] | None) -> Place | None:
    if content is None:
        return None
    x, y, area = content
    return int(x), int(y), int(area)


def _picture(block: bytes, shape: Sequence[int]) -> NDArray[np.uint8]:
    height, width, channels = shape
    size = height * width * channels
    unpacking = zlib.decompressobj()
    return np.frombuffer(unpacking.decompress(block, min(size, MOST_BYTES)), np.uint8).reshape(height, width, channels)


def _packed_ends(ends: Ends | None) -> dict[str, Any] | None:
    if ends is None:
        return None
    off_course = {end: counts.tolist() for end, counts in ends.off_course.items()}
    return {
        "episodes": ends.episodes,
        "deaths": ends.deaths.tolist(),
        "clears": ends.clears.tolist(),
        "off_course": off_course,
    }


def _unpacked_ends(content: dict[str, Any] | None) -> Ends | None:
    if content is None:
        return None
    off_course = {end: np.array(counts, np.int32) for end, counts in content["off_course"].items()}
    deaths = np.array(content["deaths"], np.int32)
    return Ends(content["episodes"], deaths.reshape(-1, END_BUCKETS), np.array(content["clears"], np.int32), off_course)

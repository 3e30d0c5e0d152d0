"""Writes what was played to MP4 and GIF files, frame by frame, with the action log beside them.

Both formats go through imageio's ffmpeg and are read back with imageio. Its Pillow writer for GIFs holds every frame
until the end, and its FFMPEG writer takes no GIFs, so ffmpeg is started here, which keeps nothing. Frames are piped at
their own size; ffmpeg enlarges them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import imageio_ffmpeg
import numpy as np
import psutil

from mario_tui.errors import InputError, RecordingError
from mario_tui.game.action_log import ActionLog, load_logs, logs_to_json
from mario_tui.game.replaying import ReplayResult, play_log
from mario_tui.game.step import EpisodeStep
from mario_tui.system.files import hidden_name, sweep
from mario_tui.video.overlay import draw_overlay

EMULATOR_FPS = 60
FPS_CHOICES = {".mp4": (60, 30, 15), ".gif": (30, 15)}
"""Frames per second of each format, the default first. Browsers slow a GIF of 60 a second down to 10."""
MAX_SCALE = 8

# imageio-ffmpeg logs to stderr, where the terminal's screen is; what went wrong is reported by our own errors.
logging.getLogger("imageio_ffmpeg").addHandler(logging.NullHandler())


class RecordingCancelledError(RecordingError):
    """The caller asked for the recording to end; nothing of it is left."""


class Progress(Protocol):
    """Hears of a recording as it grows."""

    def __call__(self, frames: int, total: int | None, /) -> None:
        """`frames`: emulator frames in it so far; `total`: how many it will have, None where that is not known."""


def check_video(path: str | Path, *, scale: int, fps: int | None = None) -> int:
    """The frames per second of a video that can be written; raises InputError if it cannot.

    Args:
        path: ends in .mp4 or .gif.
        scale: whole number from 1 to 8.
        fps: 15, 30 or (MP4 only) 60; by default 60 for MP4 and 30 for GIF.
    """
    path = Path(path)
    choices = FPS_CHOICES.get(path.suffix.lower())
    if choices is None:
        raise InputError(f"{path} cannot be recorded to: the name must end in .mp4 or .gif")
    if path.is_dir():
        raise InputError(f"{path} cannot be recorded to: it is a folder")
    if not 1 <= scale <= MAX_SCALE:
        raise InputError(f"scale {scale} cannot be recorded: take a whole number from 1 to {MAX_SCALE}")
    if fps is None:
        return choices[0]
    if fps not in choices:
        known = " or ".join(map(str, sorted(choices)))
        raise InputError(f"{fps} frames a second cannot be recorded to {path.suffix}: take {known}")
    return fps


class VideoWriter:
    """Writes a video under a hidden name; on close it is read back, counted, and given its name.

    A context manager. Where anything fails, or the `with` block is left by an exception, nothing is left behind, and
    an older file of the same name is as it was. Memory use does not grow with the length.

    Args:
        path: the file to write, ending in .mp4 (H.264, yuv420p) or .gif (exact colours, loops).
        fps: frames per second of the video; see `check_video`.
        scale: every pixel becomes scale x scale pixels.
        threads: that the encoder may use; 0 for as many as it likes.

    Raises InputError for arguments that cannot be, RecordingError where the folder cannot be written to.
    """

    def __init__(self, path: str | Path, *, fps: int | None = None, scale: int = 2, threads: int = 0) -> None:
        self.path = Path(path)
        self.fps = check_video(self.path, scale=scale, fps=fps)
        self.scale = scale
        self._threads = threads
        self.frames = 0
        """Emulator frames added so far."""
        self._frames_written = 0
        self._frame_shape: tuple[int, ...] = ()
        self._encoder: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._partial = hidden_name(self.path, keep_suffix=True)
        self._beside: tuple[Path, Path] | None = None  # a text's name until the end, and its own
        self.replaces = self.path.exists()
        """Whether there was a file of that name at the beginning, which this one will replace."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.path.parent)
            self._partial.write_bytes(b"")  # ffmpeg would fail without saying why
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def takes_next(self) -> bool:
        """Whether the next frame goes into the video: at 30 frames a second every other one does."""
        return self.frames % (EMULATOR_FPS // self.fps) == 0

    def add(self, frame: np.ndarray) -> None:
        """Adds the next emulator frame, (height, width, 3) uint8 RGB, all of one size; they come at 60 a second.

        Raises RecordingError where the frame does not fit or the encoder failed.
        """
        takes_it = self.takes_next
        self.frames += 1
        if not takes_it:
            return
        try:
            if self._encoder is None:
                self._start(frame)
            elif frame.shape != self._frame_shape:
                raise RecordingError(
                    f"{self.path} was not written: its frames changed from {_size(self._frame_shape)} "
                    f"to {_size(frame.shape)}"
                )
            self._send(frame)
        except BaseException:
            self.abort()
            raise
        self._frames_written += 1

    def put_beside(self, path: Path, text: str) -> None:
        """Has a text file get its name together with the video, or not at all; raises RecordingError if it cannot."""
        partial = hidden_name(path)
        self._beside = partial, path
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._failure(f"its action log cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Finishes the video; raises RecordingError, and leaves nothing, if it is not whole."""
        if self._closed:
            return
        try:
            if self._encoder is None:
                raise RecordingError(f"{self.path} was not written: there was no frame to record")
            assert self._encoder.stdin is not None
            with contextlib.suppress(OSError):  # it is gone: what it wrote is looked at below
                self._encoder.stdin.close()
            if self._encoder.wait() != 0:
                raise self._failure("ffmpeg ended with an error")
            self._verify()
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            if self.path.exists() and not self.replaces:
                raise RecordingError(f"{self.path} was not written: another program made it meanwhile; record again")
            if self._beside is not None:  # killed between these, it leaves a video without its log, not with another's
                self._beside[1].unlink(missing_ok=True)
            os.replace(self._partial, self.path)
            if self._beside is not None:
                os.replace(*self._beside)
        except OSError as error:
            raise self._failure(error.strerror or "the file cannot be written") from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Gives the recording up: ends the encoder and removes what was written. Does nothing after close()."""
        if self._closed:
            return
        self._closed = True
        if self._encoder is None and self._frame_shape:
            _kill_encoder_of(self._partial)
        elif self._encoder is not None:
            self._encoder.kill()
            self._encoder.wait()
            assert self._encoder.stdin is not None
            with contextlib.suppress(OSError):  # nobody reads what is left in it
                self._encoder.stdin.close()
        for partial in (self._partial, *(self._beside or ())[:1]):
            with contextlib.suppress(OSError):
                partial.unlink()

    def _start(self, frame: np.ndarray) -> None:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise RecordingError(f"{self.path} was not written: frames are not (height, width, 3) uint8")
        height, width = frame.shape[:2]
        if self.path.suffix.lower() == ".gif":
            options = _gif_options(self.scale)
        else:
            if height * self.scale % 2 or width * self.scale % 2:
                raise RecordingError(
                    f"{self.path} was not written: H.264 video has an even width and height, "
                    f"and {_size(frame.shape)} times {self.scale} is odd"
                )
            options = _mp4_options(self.scale)
        if self._threads:
            options += ["-threads", str(self._threads), "-filter_threads", str(self._threads)]
        self._frame_shape = frame.shape
        frames = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(self.fps), "-i", "-"]
        try:
            self._encoder = subprocess.Popen(
                [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "quiet", *frames, *options, str(self._partial)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **_OWN_GROUP,
            )
            _enlarge(self._encoder.stdin)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not installed"
            raise RecordingError(
                f"{self.path} was not written: ffmpeg cannot be started ({reason}); "
                "install imageio-ffmpeg again, or correct IMAGEIO_FFMPEG_EXE if it is set"
            ) from error

    def _send(self, frame: np.ndarray) -> None:
        assert self._encoder is not None
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(np.ascontiguousarray(frame).data)
        except OSError as error:
            raise self._failure("ffmpeg ended before the video did") from error

    def _verify(self) -> None:
        """Counts what a decoder finds in the file: an encoder that ends well may have written too little."""
        try:
            found = _count_frames(self._partial)
        except (OSError, RuntimeError, ValueError, EOFError, SyntaxError) as error:  # Pillow raises the last two
            raise self._failure("ffmpeg wrote no video that can be read back") from error
        if found != self._frames_written:
            raise self._failure(f"{found} of its {self._frames_written} frames can be read back")

    def _failure(self, reason: str) -> RecordingError:
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.path.parent).free < 1 << 20:
                reason = "the disk is full"
        return RecordingError(f"{self.path} was not written: {reason}")


# The terminal's Ctrl+C is not for the encoder; in a session of its own being nice might have no effect.
_OWN_GROUP: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}


def _kill_encoder_of(path: Path) -> None:
    """Ends an encoder that nobody knows: a signal came while it was being started."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[-1:] == [str(path)]:
                child.kill()
                child.wait()


def _enlarge(pipe: IO[bytes] | None) -> None:
    """Makes room for several frames where the system can: on one core the two programs then take turns less often."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # the system's limits
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _count_frames(video: Path) -> int:
    """How many frames imageio reads from a file: ffmpeg's decoder for MP4, Pillow's for GIF."""
    import imageio.v2
    import imageio.v3

    if video.suffix.lower() == ".gif":
        return int(imageio.v3.improps(video, plugin="pillow", index=...).n_images)
    with imageio.v2.get_reader(video, format="FFMPEG") as reader:
        return int(reader.count_frames())


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in reversed(shape[:2]))


def _mp4_options(scale: int) -> list[str]:
    enlarge = f"scale=iw*{scale}:ih*{scale}:flags=neighbor"
    to_yuv = "out_color_matrix=bt709:out_range=tv"
    # Colour has half the resolution: with an odd scale its pixels straddle NES pixels and are averaged.
    filters = f"{enlarge},format=rgb24,scale=flags=area:{to_yuv}" if scale % 2 else f"{enlarge}:{to_yuv}"
    return [
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
        "-vf",
        # Said in the file, or players guess the colour matrix by the picture's height.
        f"{filters},setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv",
        # On NES pictures, half the time of "veryfast" with -crf 18, a higher PSNR, and files half as large again.
        *("-preset", "ultrafast", "-x264-params", "cabac=1:sync-lookahead=0", "-crf", "24", "-movflags", "+faststart"),
    ]


def _gif_options(scale: int) -> list[str]:
    # A palette for each frame: an NES screen has a few dozen colours at most, so every one of them is kept. One palette
    # for all would be smaller, but to find it ffmpeg holds all frames. The muxer spreads the delays, multiples of
    # 10 ms, so that the total is right, and loops forever.
    filters = (
        f"scale=iw*{scale}:ih*{scale}:flags=neighbor,split[picture][copy];"
        "[copy]palettegen=stats_mode=single[palette];"
        "[picture][palette]paletteuse=new=1:dither=none"
    )
    # Writing differences alone is what ffmpeg gets wrong when a palette comes back: it compares the numbers of colours
    # of two palettes, and the old picture shows through.
    whole_frames = ("-gifflags", "-transdiff-offsetting")
    return ["-c:v", "gif", "-pix_fmt", "pal8", "-filter_complex", filters, *whole_frames]


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One of the episodes in a recording.

    Attributes:
        log: what was pressed, with the checksums of what was seen.
        result: what replaying it gives.
    """

    log: ActionLog
    result: ReplayResult

    @classmethod
    def of_frames(cls, stage: str, frame_skip: int, pressed: Sequence[int], result: ReplayResult) -> RecordedEpisode:
        """Of an episode with this button byte in each of its frames."""
        log = ActionLog.of_frames(
            stage, frame_skip, pressed, ram_crc32=result.ram_crc32, screen_crc32=result.screen_crc32
        )
        return cls(log, result)

    def as_json(self) -> dict[str, Any]:
        result = self.result
        return {"stage": self.log.stage, "frames": result.frames, "max_x": result.max_x, "cleared": result.cleared}


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished recording.

    Attributes:
        path: the video.
        frames: emulator frames played (60 a second); a video of 30 frames a second shows every other one.
        seconds: of play.
        max_x: farthest x position, pixels.
        cleared: whether the stage was; of several stages, whether each was.
        action_log: the JSON file beside the video that replays the episode, or the episodes.
        episodes: all that were played for it, in their order.
    """

    path: Path
    frames: int
    seconds: float
    max_x: int
    cleared: bool
    action_log: Path
    episodes: tuple[RecordedEpisode, ...] = field(default=(), compare=False)

    def as_json(self) -> dict[str, Any]:
        """What `mario-tui record --json` promises; of several episodes each as well."""
        content: dict[str, Any] = {
            "path": str(self.path),
            "frames": self.frames,
            "seconds": self.seconds,
            "max_x": self.max_x,
            "cleared": self.cleared,
            "action_log": str(self.action_log),
        }
        if len(self.episodes) > 1:
            content["episodes"] = [episode.as_json() for episode in self.episodes]
        return content


@dataclass(frozen=True, slots=True)
class Clip:
    """An episode to record.

    Attributes:
        moments: its steps with all their frames; a first one with step 0 is not played, so not written.
        stage, frame_skip: for the action log.
        action_names: of the agent's actions, for the overlay.
        frames: how many it has, as far as that is known before.
    """

    moments: Iterable[EpisodeStep]
    stage: str
    frame_skip: int
    action_names: Sequence[str] = ()
    frames: int | None = None


def log_path_of(video: str | Path, logs: Sequence[ActionLog] = ()) -> Path:
    """Where a video's action log goes.

    Raises InputError where something else would be replaced: another play's log, as far as it is known what will be
    played (`logs`), which is not that of an older video of this name.
    """
    path = Path(video).with_suffix(".json")
    if path.exists():
        try:
            found = load_logs(path)
        except InputError:
            raise InputError(
                f"{video} cannot be recorded to: its action log would replace {path}, which is something else"
            ) from None
        perhaps_same = _same_play(found, logs) or _same_play(logs, found)  # a game may end before its log does
        if logs and not perhaps_same and not _goes_with(path, Path(video)):
            raise InputError(f"{video} cannot be recorded to: {_OTHER_PLAY.format(path)}")
    return path


_OTHER_PLAY = "its action log would replace {}, which is of another play; choose another name"


def _same_play(found: Sequence[ActionLog], logs: Sequence[ActionLog]) -> bool:
    """Whether a log begins with a play, as one does of which a part is recorded."""
    return len(found) == len(logs) and all(map(ActionLog.begins_with, found, logs))


def _goes_with(log: Path, video: Path) -> bool:
    """Whether an action log is an older video's alone: not of one of another kind, nor of a game played by hand."""
    others = [video.with_suffix(suffix) for suffix in FPS_CHOICES if suffix != video.suffix.lower()]
    if not video.exists() or any(other.exists() for other in others):
        return False
    content = json.loads(log.read_bytes())  # an action log has been read from it
    return not (isinstance(content, dict) and content.get("played_by"))


def record_episodes(
    episodes: Sequence[Clip],
    path: str | Path,
    *,
    scale: int = 2,
    fps: int | None = None,
    overlay: bool = False,
    first_frame: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Recording:
    """Writes episodes to a video, one after the other, every frame that was played, and their action log beside it.

    Args:
        path: the video; see VideoWriter for it, `scale`, `fps` and `threads`.
        overlay: draw buttons, Q values and reward under the game.
        first_frame: how many emulator frames of the first episode come before the video; the log has them all the same.
        progress: called after each step.
        cancelled: asked before each step; once it says True the recording is given up with RecordingCancelledError.

    Raises InputError or RecordingError; then nothing is left of the video.
    """
    log_path = log_path_of(path)
    # The overlay is as high as there are actions, and a video has one size.
    action_names = max((episode.action_names for episode in episodes), key=len)
    lengths = [episode.frames for episode in episodes if episode.frames is not None]
    total = sum(lengths) - first_frame if len(lengths) == len(episodes) else None
    done: list[RecordedEpisode] = []
    with VideoWriter(path, fps=fps, scale=scale, threads=threads) as video:
        for episode in episodes:
            pressed: list[int] = []
            played = 0
            last: EpisodeStep | None = None
            for moment in episode.moments:
                if cancelled is not None and cancelled():
                    raise RecordingCancelledError(f"{path} was not written: the recording was cancelled")
                last = moment
                if moment.step == 0:
                    continue
                if not moment.frames:
                    raise ValueError("recordings need moments with all their frames: rollout(all_frames=True)")
                for frame in moment.frames:
                    played += 1
                    if not done and played <= first_frame:
                        continue
                    picture = frame
                    if overlay and video.takes_next:
                        picture = draw_overlay(
                            frame,
                            buttons=moment.buttons,
                            q_values=moment.q_values,
                            action_names=action_names,
                            reward=moment.reward,
                            total_reward=moment.total_reward,
                            x=moment.x,
                            stage=episode.stage,
                            step=moment.step,
                        )
                    video.add(picture)
                pressed += moment.frame_buttons
                if progress is not None:
                    progress(video.frames, total)
            if last is None:
                raise ValueError("an episode has at least its first frame")
            result = ReplayResult.after(last)
            done.append(RecordedEpisode.of_frames(episode.stage, episode.frame_skip, pressed, result))
        recording = Recording(
            path=video.path,
            frames=video.frames,
            seconds=video.frames / EMULATOR_FPS,
            max_x=max(episode.result.max_x for episode in done),
            cleared=all(episode.result.cleared for episode in done),
            action_log=log_path,
            episodes=tuple(done),
        )
        put_log_beside(video, recording, [episode.log for episode in done], {"first_frame": first_frame})
    return recording


def record_replay(logs: ActionLog | Sequence[ActionLog], path: str | Path, **settings: Any) -> Recording:
    """Writes the episode that an action log holds to a video, or those of several; see `record_episodes`."""
    logs = [logs] if isinstance(logs, ActionLog) else logs
    log_path_of(path, logs)
    return record_episodes(
        [Clip(play_log(log), log.stage, log.frame_skip, frames=log.frames) for log in logs], path, **settings
    )


def put_log_beside(
    video: VideoWriter, recording: Recording, logs: Sequence[ActionLog], more: Mapping[str, Any] | None = None
) -> None:
    """Has the action log of a recording get its name with the video, with what there is to say of the video in it.

    A log that begins with the same play is left alone: it is the one that was replayed to make the video. Raises
    RecordingError where it is of another play, and not of the video that is replaced.
    """
    path = recording.action_log
    with contextlib.suppress(InputError):
        if _same_play(load_logs(path), logs):
            return
        if not _goes_with(path, video.path):
            raise RecordingError(f"{video.path} was not written: {_OTHER_PLAY.format(path)}")
    about = {"frames": recording.frames, "max_x": recording.max_x, "cleared": recording.cleared, **(more or {})}
    video.put_beside(path, logs_to_json(logs, video=about))

"""Writes MP4 and GIF files, frame by frame, through imageio-ffmpeg.

imageio's own Pillow writer for GIFs holds every frame until the end, and its FFMPEG writer takes no GIFs; ffmpeg keeps
nothing. Frames are piped at their own size, and ffmpeg enlarges them. The encoder's standard error is that of the
program, as `write_frames` has no other choice; so ffmpeg is told to be quiet.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import shutil
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import imageio_ffmpeg
import numpy as np

from mario_tui.errors import InputError, RecordingError
from mario_tui.system import signals
from mario_tui.system.files import MOST_NAME_BYTES, fsync, hidden_name, sweep

EMULATOR_FPS = 60
FPS_CHOICES = {".mp4": (60, 30, 15), ".gif": (30, 15)}
"""Frames per second of each format, the default first. Browsers slow a GIF of 60 a second down to 10."""
MAX_SCALE = 8
_GIF_TRAILER = b";"
_KILLED_SECONDS = 1.0
"""How long to wait for the end of an encoder that was killed, which comes at once unless its disk hangs."""

# imageio-ffmpeg logs to stderr, where the terminal's screen is; what went wrong is reported by our own errors.
logging.getLogger("imageio_ffmpeg").addHandler(logging.NullHandler())


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
        raise InputError(f"{path} cannot be recorded to: it must be a name and then .mp4 or .gif")
    log = path.with_suffix(".json")
    if (length := len(os.fsencode(log.name))) > MOST_NAME_BYTES:
        raise InputError(
            f"{path.name[:40]}... cannot be recorded to: the name is too long, as that of the action log beside it "
            f"would have {length} bytes of {MOST_NAME_BYTES} at most"
        )
    try:
        is_folder = path.is_dir()
        log.exists()
    except OSError as error:
        raise InputError(f"{str(path)[:80]}... cannot be recorded to: {error.strerror}") from None
    if is_folder:
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
    """Writes a video into a hidden folder; on close it is read back, counted, and given its name.

    A context manager. If anything fails, or the `with` block is left by an exception, nothing is left behind, and an
    older file of the same name is as it was. Memory use does not grow with the length.

    Args:
        path: the file to write, ending in .mp4 (H.264, yuv420p) or .gif (exact colours, loops).
        fps: frames per second of the video; see `check_video`.
        scale: every pixel becomes scale x scale pixels.
        threads: for the encoder; 0 for as many as it likes.

    Raises InputError for arguments that cannot be, RecordingError if the folder cannot be written to.
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
        self._encoder: Generator[None, Any, None] | None = None
        self._closed = False
        # A folder, since an encoder that is killed at its start may still create its file, but no folder for it.
        self._folder = hidden_name(self.path)
        # Under names of our own: ffmpeg would take a colon for the end of a protocol. An absolute path has none.
        self._partial = self._folder.absolute() / f"video{self.path.suffix.lower()}"
        self._beside: tuple[Path, Path] | None = None  # a text's name until the end, and its own
        self.replaces = self.path.exists()
        """Whether there was a file of that name at the beginning, which this one will replace."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.path.parent)
            self._folder.mkdir(exist_ok=True)  # ffmpeg would fail without saying why
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

        Raises RecordingError if the frame does not fit or the encoder failed.
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
        """Makes a text file get its name together with the video, or not at all; RecordingError if it cannot."""
        partial = self._folder / "beside"
        self._beside = partial, path
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
            fsync(partial)
        except OSError as error:
            raise self._failure(f"its action log cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Finishes the video; raises RecordingError, and leaves nothing, if it is not whole."""
        if self._closed:
            return
        try:
            if self._encoder is None:
                raise RecordingError(f"{self.path} was not written: there was no frame to record")
            self._encoder.close()
            self._verify()
            fsync(self._partial)
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
        if self._encoder is not None:
            process = inspect.getgeneratorlocals(self._encoder).get("p")  # as write_frames calls it
            with contextlib.suppress(KeyboardInterrupt):
                self._encoder.throw(
                    KeyboardInterrupt()
                )  # write_frames kills its encoder then, and does not wait for it
            if isinstance(process, subprocess.Popen):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_KILLED_SECONDS)
        for _ in range(3):  # a dying encoder may create its file once more meanwhile
            if self._folder.exists():
                shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, frame: np.ndarray) -> None:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise RecordingError(f"{self.path} was not written: frames are not (height, width, 3) uint8")
        height, width = frame.shape[:2]
        if self.path.suffix.lower() == ".gif":
            codec, pixels, options = "gif", "pal8", _gif_options(self.scale)
        else:
            if height * self.scale % 2 or width * self.scale % 2:
                raise RecordingError(
                    f"{self.path} was not written: H.264 video has an even width and height, "
                    f"and {_size(frame.shape)} times {self.scale} is odd"
                )
            codec, pixels, options = "libx264", "yuv420p", _mp4_options(self.scale)
        if self._threads:
            options += ["-threads", str(self._threads), "-filter_threads", str(self._threads)]
        self._frame_shape = frame.shape
        self._encoder = imageio_ffmpeg.write_frames(
            self._partial,
            (width, height),
            fps=self.fps,
            codec=codec,
            pix_fmt_out=pixels,
            quality=None,
            macro_block_size=1,
            ffmpeg_log_level="quiet",
            output_params=options,
        )
        try:
            # In a thread: a signal raises its exception in the main one, perhaps between ffmpeg's start and its return.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._start_encoder).result()
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not installed"
            raise RecordingError(
                f"{self.path} was not written: ffmpeg cannot be started ({reason}); "
                "install imageio-ffmpeg again, or correct IMAGEIO_FFMPEG_EXE if it is set"
            ) from error

    def _start_encoder(self) -> None:
        assert self._encoder is not None
        with signals.kept_from_children():
            self._encoder.send(None)

    def _send(self, frame: np.ndarray) -> None:
        assert self._encoder is not None
        try:
            self._encoder.send(np.ascontiguousarray(frame).data)
        except OSError as error:
            raise self._failure("ffmpeg ended before the video did") from error

    def _verify(self) -> None:
        """Counts what a decoder finds in the file: an encoder that ends well may have written too little."""
        # ffmpeg obeys even signals that it finds ignored; here those that would have ended the program do end it
        unheard = {*signals.ignored(), *signals.WARNINGS}
        try:
            with signals.kept_from_children(unheard):
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


def _count_frames(video: Path) -> int:
    """How many frames are read from a file: by ffmpeg's decoder for MP4, by Pillow's for GIF.

    imageio itself is not asked, since it looks for addresses and archives in the path.

    Raises ValueError for a GIF without its last byte, which Pillow reads as if it were whole.
    """
    from PIL import Image

    if video.suffix.lower() == ".gif":
        with video.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() != _GIF_TRAILER:
                raise ValueError("the GIF was cut off")
        with Image.open(video) as image:
            return int(getattr(image, "n_frames", 1))
    return int(imageio_ffmpeg.count_frames_and_secs(video)[0])


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in reversed(shape[:2]))


def _mp4_options(scale: int) -> list[str]:
    enlarge = f"scale=iw*{scale}:ih*{scale}:flags=neighbor"
    to_yuv = "out_color_matrix=bt709:out_range=tv"
    # Colour has half the resolution: with an odd scale its pixels straddle NES pixels and are averaged.
    filters = f"{enlarge},format=rgb24,scale=flags=area:{to_yuv}" if scale % 2 else f"{enlarge}:{to_yuv}"
    return [
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
    return ["-filter_complex", filters, *whole_frames]

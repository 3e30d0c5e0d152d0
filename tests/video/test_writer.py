"""Videos as files: what players and browsers find in them, and that a failure leaves nothing behind."""

import gc
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from PIL import Image

from mario_tui.errors import InputError, RecordingError
from mario_tui.video.writer import VideoWriter, check_video
from videos import assert_looks_like, encoders, enlarged, files, opened_gif, picture, probe, write, write_all

# --- MP4 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fps", "scale", "frames"), [(60, 2, 90), (30, 1, 45), (15, 3, 23), (None, 2, 90)])
def test_an_mp4_is_what_browsers_play(tmp_path: Path, fps: int | None, scale: int, frames: int) -> None:
    path = tmp_path / "a.mp4"
    write(path, 90, fps=fps, scale=scale)
    assert files(tmp_path) == ["a.mp4"]
    stream = probe(path)
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"]) == (256 * scale, 240 * scale)
    assert stream["r_frame_rate"] == f"{fps or 60}/1"
    assert (stream["nb_read_frames"], stream["nb_frames"]) == (str(frames), str(frames))
    assert (stream["color_space"], stream["color_range"]) == ("bt709", "tv")
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat"), "it plays while it is being loaded"


@pytest.mark.parametrize(("fps", "every"), [(60, 1), (30, 2)])
def test_mp4_frames_are_the_frames_that_were_played(tmp_path: Path, fps: int, every: int) -> None:
    write(tmp_path / "a.mp4", 90, fps=fps)
    decoded = imageio.mimread(tmp_path / "a.mp4", memtest=False)
    assert len(decoded) == 90 // every
    for index in (0, 1, len(decoded) // 2, len(decoded) - 1):
        assert_looks_like(decoded[index], picture(index * every))


# --- GIF --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fps", "every", "delays"), [(None, 2, {30, 40}), (30, 2, {30, 40}), (15, 4, {60, 70})])
def test_a_gif_has_the_colours_the_time_and_no_end(
    tmp_path: Path, fps: int | None, every: int, delays: set[int]
) -> None:
    path = tmp_path / "a.gif"
    write(path, 120, fps=fps)
    assert files(tmp_path) == ["a.gif"]
    with opened_gif(path) as gif:
        assert gif.info["loop"] == 0
        assert gif.size == (512, 480)
        assert gif.n_frames == 120 // every
        durations = []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
            assert np.array_equal(np.asarray(gif.convert("RGB")), enlarged(picture(index * every), 2))
    assert set(durations) == delays
    assert sum(durations) == 2000


def test_every_frame_of_a_gif_is_exact_when_colours_come_and_go(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (6, 3), np.uint8)
    frames = []
    for _ in range(200):
        frame = np.full((48, 64, 3), random.choice(colours), np.uint8)
        for top, left in random.integers(0, 40, (2, 2)):
            frame[top : top + 20, left : left + 20] = random.choice(colours)
        frames += [frame, frame]
    write_all(tmp_path / "a.gif", frames, scale=1)
    with Image.open(tmp_path / "a.gif") as gif:
        for index in range(200):
            gif.seek(index)
            assert np.array_equal(np.asarray(gif.convert("RGB")), frames[2 * index]), index


def test_equal_frames_stay_frames(tmp_path: Path) -> None:
    write_all(tmp_path / "a.gif", [picture(0)] * 20)
    with opened_gif(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 10


def test_one_frame_makes_a_video(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.gif"):
        write(tmp_path / name, 1)
    assert files(tmp_path) == ["a.gif", "a.mp4"]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, name: str) -> None:
    def resident_bytes() -> int:
        process = psutil.Process()
        return sum(each.memory_info().rss for each in [process, *process.children()])

    with VideoWriter(tmp_path / name) as video:
        for number in range(900):
            if number == 300:
                before = resident_bytes()
            video.add(picture(number))
        after = resident_bytes()
        video.abort()
    assert after - before < 50e6, "600 frames more are 110 MB as they come, and 442 MB as they are shown"


# --- what cannot be recorded --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fps", "scale"),
    [
        ("a.avi", None, 2),
        ("a", None, 2),
        ("a.mp4", 24, 2),
        ("a.mp4", 0, 2),
        ("a.gif", 60, 2),
        ("a.mp4", None, 0),
        ("a.mp4", None, 9),
        ("a.mp4", None, -1),
        ("folder.mp4", None, 2),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, name: str, fps: int | None, scale: int) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for refuse in (check_video, VideoWriter):
        with pytest.raises(InputError) as caught:
            refuse(tmp_path / name, fps=fps, scale=scale)
        assert "\n" not in str(caught.value)
    assert files(tmp_path) == ["folder.mp4"]


def test_odd_sizes_are_refused_for_mp4_alone(tmp_path: Path) -> None:
    odd = picture(0, 241, 255)
    with pytest.raises(RecordingError, match="even"):
        write_all(tmp_path / "a.mp4", [odd], scale=1)
    assert files(tmp_path) == []
    write_all(tmp_path / "a.mp4", [odd], scale=2)
    write_all(tmp_path / "a.gif", [odd], scale=1)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (255, 241)
    assert imageio.get_reader(tmp_path / "a.mp4").get_meta_data()["size"] == (510, 482)


@pytest.mark.parametrize("bad", [picture(0, 240, 240), picture(0)[..., :2], picture(0).astype(float)])
def test_frames_that_do_not_fit_end_the_recording(tmp_path: Path, bad: np.ndarray) -> None:
    for frames in ([bad, picture(0)], [picture(0), bad]):
        with pytest.raises(RecordingError):
            write_all(tmp_path / "a.mp4", frames)
        assert files(tmp_path) == []


def test_a_video_without_frames_is_none(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no frame"):
        VideoWriter(tmp_path / "a.mp4").close()
    assert files(tmp_path) == []


# --- faults -------------------------------------------------------------------------------------------------------

NOT_READ = '#!/bin/sh\nfor last; do :; done\n[ "$last" != - ] || exit 1\n'
"""The beginning of a faulty encoder that, told to read a video, says at once that it cannot."""

FAULTY_ENCODERS = {
    "is missing": None,
    "is no program": "just text",
    "ends at once": "#!/bin/sh\nexit 1\n",
    "ends after a while": "#!/bin/sh\nhead -c 500000 > /dev/null\nexit 1\n",
    "reads all and writes nothing": f"{NOT_READ}cat > /dev/null\n",
    "writes garbage": f'{NOT_READ}cat > /dev/null\necho garbage > "$last"\n',
    "leaves out the end": (
        f'#!/bin/sh\n"{imageio_ffmpeg.get_ffmpeg_exe()}" "$@"\n'
        'for last; do :; done\n[ "$last" = - ] || truncate -s -1 "$last"\n'
    ),
}


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("fault", FAULTY_ENCODERS)
def test_a_faulty_encoder_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, name: str
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / name).write_text("an older recording")
    encoder = tmp_path / "ffmpeg"
    if (script := FAULTY_ENCODERS[fault]) is not None:
        encoder.write_text(script)
        encoder.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(encoder))
    with pytest.raises(RecordingError, match="was not written") as caught:
        write(folder / name, 20)
    assert "\n" not in str(caught.value)
    assert files(folder) == [name]
    assert (folder / name).read_text() == "an older recording"


def test_an_encoder_killed_in_the_middle_is_noticed(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from map(picture, range(50))
        for encoder in encoders():
            encoder.kill()
        yield from map(picture, range(50, 200))

    with pytest.raises(RecordingError):
        write_all(tmp_path / "a.mp4", frames())
    assert files(tmp_path) == []
    gc.collect()
    assert capfd.readouterr() == ("", ""), "a screen may be drawn there"


def test_a_video_with_a_frame_too_few_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageio_ffmpeg.count_frames_and_secs", lambda path: (19, 0.3))
    with pytest.raises(RecordingError, match="19 of its 20 frames"):
        write(tmp_path / "a.mp4", 20)
    assert files(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here: a full disk is not tried")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_full_disk_is_called_so(small_disk: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 240, 256, 3), np.uint8)
    with pytest.raises(RecordingError, match="the disk is full"):
        write_all(small_disk / name, noise, scale=1)
    assert files(small_disk) == []


def test_a_disk_that_is_too_full_for_the_action_log_gets_no_video_either(small_disk: Path) -> None:
    video = VideoWriter(small_disk / "a.mp4", scale=1)
    video.add(picture(0))
    with pytest.raises(RecordingError, match="the disk is full"):
        video.put_beside(small_disk / "a.json", "0" * 100_000)
    video.abort()
    assert files(small_disk) == []


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "a.mp4")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() != 0:
        with pytest.raises(RecordingError, match="Permission denied"):
            VideoWriter(locked / "a.mp4")


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    write(tmp_path / "new" / "folder" / "a.mp4", 2)
    assert files(tmp_path / "new" / "folder") == ["a.mp4"]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_an_older_file_is_replaced_at_the_end_and_not_before(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    with VideoWriter(path) as video:
        for number in range(100):
            video.add(picture(number))
        assert path.read_text() == "old"
    assert path.read_bytes()[:3] != b"old"
    assert files(tmp_path) == [name]


def test_abort_and_close_may_come_again(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "a.mp4")
    video.add(picture(0))
    video.abort()
    video.abort()
    video.close()
    assert files(tmp_path) == []
    video = VideoWriter(tmp_path / "b.mp4")
    video.add(picture(0))
    video.close()
    video.close()
    video.abort()
    assert files(tmp_path) == ["b.mp4"]


def test_a_recording_given_up_leaves_no_process(tmp_path: Path) -> None:
    for _ in range(8):  # an encoder may be gone before it is looked for
        video = VideoWriter(tmp_path / "a.mp4")
        video.add(picture(0))
        assert encoders()
        video.abort()
        assert not encoders(), "nor a zombie"


def test_nothing_is_left_when_the_work_inside_fails(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield picture(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path / "a.mp4", frames())
    assert files(tmp_path) == []
    _, alive = psutil.wait_procs(encoders(), timeout=30)
    assert not alive


def test_of_two_that_record_to_one_name_the_second_is_told(tmp_path: Path) -> None:
    first, others = VideoWriter(tmp_path / "a.mp4", scale=1), []
    thread = threading.Thread(target=lambda: others.append(VideoWriter(tmp_path / "a.mp4", scale=1)))
    thread.start()
    thread.join()
    second = others[0]
    for video in (first, second):
        video.add(picture(0))
    first.close()
    content = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(RecordingError, match="another program made it meanwhile"):
        second.close()
    assert (tmp_path / "a.mp4").read_bytes() == content
    assert files(tmp_path) == ["a.mp4"]


def test_the_free_space_is_asked_only_about_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=10)

    monkeypatch.setattr("shutil.disk_usage", usage)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    with pytest.raises(RecordingError, match="the disk is full"):
        write(tmp_path / "a.mp4", 20)
    assert asked
    assert set(asked) == {tmp_path}


def test_an_interruption_while_the_encoder_starts_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    video = VideoWriter(tmp_path / "a.mp4")
    with pytest.raises(KeyboardInterrupt):
        video.add(picture(0))
    monkeypatch.undo()
    assert files(tmp_path) == []
    _, alive = psutil.wait_procs(encoders(), timeout=30)
    assert not alive
    assert files(tmp_path) == []


def test_an_encoder_that_is_killed_at_its_start_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(5):
        video = VideoWriter(tmp_path / "a.mp4")
        video.add(picture(0))
        video.abort()
        _, alive = psutil.wait_procs(encoders(), timeout=30)
        assert not alive
        assert files(tmp_path) == []

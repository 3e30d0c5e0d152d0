"""Videos of what was played: what players and browsers find in them, and that a failure leaves nothing behind."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import ReplayResult, play_log, replay, summary
from mario_tui.game.step import EpisodeStep
from mario_tui.video import recorder
from mario_tui.video.recorder import (
    Clip,
    RecordingCancelledError,
    VideoWriter,
    check_video,
    record_episodes,
    record_replay,
)

SKY, BRICK = (104, 136, 252), (200, 76, 12)
LOG = ActionLog("1-1", 4, (130, 131, 131, 131, 130) * 4)


def watch(log: ActionLog, seen: list[np.ndarray]) -> ReplayResult:
    """Plays a log, and adds every frame that the emulator shows."""
    steps = list(play_log(log))
    seen += [frame for step in steps for frame in step.frames]
    return summary(steps)


def picture(number: int, height: int = 240, width: int = 256) -> np.ndarray:
    """A frame that tells its number by the place of a block."""
    frame = np.full((height, width, 3), SKY, np.uint8)
    left = number * 3 % (width - 32)
    frame[100:132, left : left + 32] = BRICK
    return frame


def write(path: Path, frames: int, *, fps: int | None = None, scale: int = 2) -> None:
    write_all(path, map(picture, range(frames)), fps=fps, scale=scale)


def write_all(path: Path, frames: Iterable[np.ndarray], *, fps: int | None = None, scale: int = 2) -> None:
    with VideoWriter(path, fps=fps, scale=scale) as video:
        for frame in frames:
            video.add(frame)


def enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)


def assert_looks_like(decoded: np.ndarray, frame: np.ndarray, scale: int = 2) -> None:
    difference = np.abs(decoded.astype(int) - enlarged(frame, scale))
    assert difference.mean() < 3
    assert np.percentile(difference, 99) < 30


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def encoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def probe(path: Path) -> dict[str, str]:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("ffprobe is not installed: what other programs find in the video is not checked")
    command = [ffprobe, "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
    return stream


def steps(count: int) -> Iterator[EpisodeStep]:
    """An episode that no emulator played: pictures and numbers of a game that is cleared in the last step."""
    about = {"time": 400, "coins": 0, "score": 0, "life": 2, "status": "small", "ram_crc32": 7}
    for step in range(count + 1):
        frames = tuple(picture(4 * step - 4 + frame) for frame in range(4)) if step else ()
        buttons = 130 + step % 2 if step else 0
        yield EpisodeStep(
            step=step,
            frame=frames[-1] if frames else picture(0),
            frames=frames,
            frame_count=4 * step,
            buttons=buttons,
            frame_buttons=(buttons,) * len(frames),
            q_values=(1.0, 2.0) if step else (),
            reward=1.0,
            total_reward=10.0,
            x=40 + step,
            max_x=40 + step,
            end=EndReason.CLEAR if step == count else None,
            **about,  # type: ignore[arg-type]
        )


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
    with Image.open(path) as gif:
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
    with Image.open(tmp_path / "a.gif") as gif:
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
    "writes all and fails": f'#!/bin/sh\n"{imageio_ffmpeg.get_ffmpeg_exe()}" "$@"\nexit 1\n',
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


def test_an_encoder_killed_in_the_middle_is_noticed(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from map(picture, range(50))
        for encoder in encoders():
            encoder.kill()
        yield from map(picture, range(50, 200))

    with pytest.raises(RecordingError):
        write_all(tmp_path / "a.mp4", frames())
    assert files(tmp_path) == []


def test_a_video_with_a_frame_too_few_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder.imageio_ffmpeg, "count_frames_and_secs", lambda path: (19, 0.3))
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


def test_a_video_that_fails_gets_no_action_log_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder.imageio_ffmpeg, "count_frames_and_secs", lambda path: (0, 0.0))
    (tmp_path / "a.json").write_text(older := ActionLog("8-4", 4, (1,)).to_json())
    with pytest.raises(RecordingError):
        record(tmp_path / "a.mp4")
    assert files(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == older


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


def test_nothing_is_left_when_the_work_inside_fails(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield picture(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path / "a.mp4", frames())
    assert files(tmp_path) == []
    _, alive = psutil.wait_procs(encoders(), timeout=30)
    assert not alive


# --- episodes -----------------------------------------------------------------------------------------------------


def record(path: Path, count: int = 10, **options: object) -> recorder.Recording:
    names = ("right", "right+A")
    return record_episodes([Clip(steps(count), "1-1", 4, names)], path, **options)  # type: ignore[arg-type]


def test_an_episode_becomes_a_video_and_an_action_log(tmp_path: Path) -> None:
    progress: list[int] = []
    recording = record(tmp_path / "a.mp4", progress=lambda frames, total: progress.append(frames))
    assert files(tmp_path) == ["a.json", "a.mp4"]
    assert recording == recorder.Recording(
        tmp_path / "a.mp4", 40, 40 / 60, max_x=50, cleared=True, action_log=tmp_path / "a.json"
    )
    assert progress == list(range(4, 41, 4))
    assert ActionLog.load(tmp_path / "a.json") == ActionLog("1-1", 4, (131, 130) * 5)
    decoded = imageio.mimread(tmp_path / "a.mp4", memtest=False)
    assert len(decoded) == 40, "the frame before the first step was not played"
    assert_looks_like(decoded[0], picture(0))
    assert_looks_like(decoded[-1], picture(39))
    assert json.loads(json.dumps(recording.as_json())) == {
        "path": str(tmp_path / "a.mp4"),
        "frames": 40,
        "seconds": 40 / 60,
        "max_x": 50,
        "cleared": True,
        "action_log": str(tmp_path / "a.json"),
    }


def test_fewer_frames_a_second_are_the_same_play(tmp_path: Path) -> None:
    recording = record(tmp_path / "a.gif", fps=15)
    assert (recording.frames, recording.seconds) == (40, 40 / 60)
    with Image.open(recording.path) as gif:
        assert gif.n_frames == 10


def test_the_overlay_lies_under_the_game(tmp_path: Path) -> None:
    record(tmp_path / "a.gif", overlay=True)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 20
        assert gif.height > 480
        assert np.array_equal(np.asarray(gif.convert("RGB"))[:480], enlarged(picture(0), 2))


def test_a_cancelled_recording_leaves_nothing(tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(RecordingCancelledError):
        record(tmp_path / "a.mp4", progress=lambda frames, total: done.append(frames), cancelled=lambda: len(done) == 3)
    assert done == [4, 8, 12]
    assert files(tmp_path) == []


def test_a_game_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[EpisodeStep]:
        yield from steps(3)
        raise RecordingError("the game failed")

    with pytest.raises(RecordingError, match="the game failed"):
        record_episodes([Clip(failing(), "1-1", 4)], tmp_path / "a.mp4")
    assert files(tmp_path) == []


def test_moments_without_all_their_frames_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="all_frames"):
        record_episodes([Clip([replace(step, frames=()) for step in steps(2)], "1-1", 4)], tmp_path / "a.mp4")
    assert files(tmp_path) == []


def test_a_replay_on_the_real_game_shows_the_emulators_frames(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    expected = watch(LOG, seen)
    recording = record_replay(LOG, tmp_path / "a.mp4")
    assert recording.frames == expected.frames == len(seen) == 80
    assert (recording.max_x, recording.cleared) == (expected.max_x, False)
    log = ActionLog.load(recording.action_log)
    assert (log.ram_crc32, log.screen_crc32) == (expected.ram_crc32, expected.screen_crc32)
    again = replay(log)
    assert (again.ram_crc32, again.screen_crc32) == (expected.ram_crc32, expected.screen_crc32)
    decoded = imageio.mimread(recording.path, memtest=False)
    assert len(decoded) == 80
    for index in (0, 40, 79):
        assert_looks_like(decoded[index], seen[index])


def test_a_replay_can_begin_in_the_middle(tmp_path: Path) -> None:
    log = ActionLog("1-1", 4, (130,) * 12)
    whole = record_replay(log, tmp_path / "whole.mp4", scale=1)
    part = record_replay(log, tmp_path / "part.mp4", scale=1, first_frame=20)
    assert (whole.frames, part.frames) == (48, 28)
    assert part.seconds == pytest.approx(28 / 60)
    in_file = ActionLog.load(part.action_log)
    assert in_file == log, "the log has all of it, so that it replays"
    assert not replay(log).differs_from(in_file), "and so do its checksums"
    assert in_file.ram_crc32 is not None
    first, there = (
        imageio.get_reader(tmp_path / name).get_data(index).astype(int)
        for name, index in (("part.mp4", 0), ("whole.mp4", 20))
    )
    assert np.abs(first - there).mean() < 3


def test_a_replay_in_a_gif_is_exact(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    watch(LOG, seen)
    record_replay(LOG, tmp_path / "a.gif", scale=1)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 40
        for index in (0, 1, 20, 39):
            gif.seek(index)
            assert np.array_equal(np.asarray(gif.convert("RGB")), seen[2 * index])


def test_the_log_that_is_replayed_is_left_alone(tmp_path: Path) -> None:
    text = '{"format":1,"stage":"1-1","frame_skip":4,"buttons":[130,131],"note":"my best"}'
    (tmp_path / "a.json").write_text(text)
    record_replay(ActionLog.load(tmp_path / "a.json"), tmp_path / "a.mp4", overlay=True)
    assert (tmp_path / "a.json").read_text() == text


ONE, OTHER = ActionLog("1-1", 4, (130,) * 8), ActionLog("1-2", 4, (130,) * 8)


def test_a_better_video_replaces_the_older_one_and_its_log(tmp_path: Path) -> None:
    record_replay(OTHER, tmp_path / "a.mp4", scale=1)
    record_replay(ONE, tmp_path / "a.mp4", scale=1)
    assert ActionLog.load(tmp_path / "a.json") == ONE
    assert files(tmp_path) == ["a.json", "a.mp4"]


def by_hand(folder: Path) -> None:
    OTHER.save(folder / "a.json", played_by="hand")
    record_replay(OTHER, folder / "a.mp4", scale=1)


OTHERS_LOGS = {
    "alone": lambda folder: OTHER.save(folder / "a.json"),
    "of a video of another kind": lambda folder: record_replay(OTHER, folder / "a.gif", scale=1),
    "of both": lambda folder: [record_replay(OTHER, folder / name, scale=1) for name in ("a.gif", "a.mp4")],
    "of a game played by hand": by_hand,
}


@pytest.mark.parametrize("whose", OTHERS_LOGS)
def test_a_log_of_another_play_is_not_replaced(tmp_path: Path, whose: str) -> None:
    OTHERS_LOGS[whose](tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="another play; choose another name"):
        record_replay(ONE, tmp_path / "a.mp4", scale=1)
    with pytest.raises(RecordingError, match="another play; choose another name"):  # what is played shows at the end
        record_episodes([Clip(play_log(ONE), ONE.stage, ONE.frame_skip)], tmp_path / "a.mp4", scale=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_killed_between_its_names_a_video_has_no_log_rather_than_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_replay(OTHER, tmp_path / "a.mp4", scale=1)
    replace = os.replace

    def die(source: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(recorder.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        record_replay(ONE, tmp_path / "a.mp4", scale=1)
    assert files(tmp_path) == ["a.mp4"]


def test_of_two_that_record_to_one_name_the_second_is_told(tmp_path: Path) -> None:
    first, second = VideoWriter(tmp_path / "a.mp4", scale=1), VideoWriter(tmp_path / "a.mp4", scale=1)
    for video in (first, second):
        video._partial = video._partial.with_stem(f"{video._partial.stem}-{video is first}")  # as in two processes
        video.add(picture(0))
    first.close()
    content = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(RecordingError, match="another program made it meanwhile"):
        second.close()
    assert (tmp_path / "a.mp4").read_bytes() == content


def test_the_free_space_is_asked_only_about_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=10)

    monkeypatch.setattr(recorder.shutil, "disk_usage", usage)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    with pytest.raises(RecordingError, match="the disk is full"):
        write(tmp_path / "a.mp4", 20)
    assert asked
    assert set(asked) == {tmp_path}


def test_a_json_file_that_is_no_action_log_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"settings": 1}')
    with pytest.raises(InputError, match="something else"):
        record_replay(ActionLog("1-1", 4, (130, 130)), tmp_path / "x.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def jumping(stage: str, steps: int) -> ActionLog:
    return ActionLog(stage, 4, ((131,) * 5 + (130,) * 3) * (steps // 8))


@pytest.mark.parametrize(("stage", "fps", "scale"), [("1-1", 60, 2), ("4-2", 30, 1), ("8-4", 60, 3)])
def test_what_other_programs_find_in_a_video_is_what_the_emulator_showed(
    tmp_path: Path, stage: str, fps: int, scale: int
) -> None:
    seen: list[np.ndarray] = []
    result = watch(log := jumping(stage, 48), seen)
    recording = record_replay(log, tmp_path / "a.mp4", fps=fps, scale=scale)
    stream = probe(recording.path)
    assert (stream["codec_name"], stream["pix_fmt"], stream["r_frame_rate"]) == ("h264", "yuv420p", f"{fps}/1")
    assert (stream["width"], stream["height"]) == (256 * scale, 240 * scale)
    assert recording.frames == result.frames == len(seen)
    shown = seen[:: 60 // fps]
    assert int(stream["nb_read_frames"]) == len(shown)
    decoded = imageio.mimread(recording.path, memtest=False)
    assert len(decoded) == len(shown)
    for index in (0, len(shown) // 2, len(shown) - 1):
        # Between NES pixels of an odd scale, and at scale 1, colours are shared by four pixels.
        limit = 3 if scale % 2 == 0 else 8
        assert np.abs(decoded[index].astype(int) - enlarged(shown[index], scale)).mean() < limit
    assert np.abs(decoded[0].astype(int) - enlarged(shown[-1], scale)).mean() > 10, "frames of other moments differ"


@pytest.mark.parametrize("stage", ["1-1", "4-2", "8-4"])
def test_a_gif_of_a_stage_is_what_the_emulator_showed(tmp_path: Path, stage: str) -> None:
    seen: list[np.ndarray] = []
    watch(log := jumping(stage, 24), seen)
    record_replay(log, tmp_path / "a.gif", scale=1)
    shown = seen[::2]
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (len(shown), 0)
        durations = []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
            assert np.array_equal(np.asarray(gif.convert("RGB")), shown[index])
    assert sum(durations) == pytest.approx(len(seen) / 60 * 1000, abs=10)


def test_several_stages_follow_one_another_in_one_video(tmp_path: Path) -> None:
    logs = [jumping("1-1", 24), jumping("8-4", 16)]
    seen: list[np.ndarray] = []
    results = [watch(log, seen) for log in logs]
    told: list[tuple[int, int | None]] = []
    recording = record_replay(logs, tmp_path / "a.mp4", progress=lambda *now: told.append(now))
    assert recording.frames == len(seen) == 24 * 4 + 16 * 4
    assert told[-1] == (160, 160)
    assert [episode.result for episode in recording.episodes] == results
    assert recording.max_x == max(result.max_x for result in results)
    decoded = imageio.mimread(recording.path, memtest=False)
    for index in (0, 95, 96, 159):
        assert_looks_like(decoded[index], seen[index])
    assert json.loads(json.dumps(recording.as_json()))["episodes"][1]["stage"] == "8-4"
    in_file = load_logs(recording.action_log)
    assert in_file == tuple(logs)
    for log, result in zip(in_file, results, strict=True):
        assert (log.ram_crc32, log.screen_crc32) == (result.ram_crc32, result.screen_crc32)
    again = recording.action_log.read_bytes()
    record_replay(in_file, tmp_path / "a.gif")
    assert recording.action_log.read_bytes() == again, "it is the log of both videos"


def test_the_overlay_names_the_stage_that_is_played(tmp_path: Path) -> None:
    logs = [jumping("1-1", 8), jumping("8-4", 8)]
    record_replay(logs, tmp_path / "a.gif", scale=1, overlay=True)
    panels = []
    for stage, log in zip(("1-1", "8-4"), logs, strict=True):
        record_replay(log, tmp_path / f"{stage}.gif", scale=1, overlay=True)
        with Image.open(tmp_path / f"{stage}.gif") as gif:
            gif.seek(8)
            panels.append(np.asarray(gif.convert("RGB"))[240:])
    assert not np.array_equal(*panels)
    with Image.open(tmp_path / "a.gif") as gif:
        for index, panel in ((8, panels[0]), (16 + 8, panels[1])):
            gif.seek(index)
            assert np.array_equal(np.asarray(gif.convert("RGB"))[240:], panel)


def test_an_interruption_while_the_encoder_starts_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def interrupted(*arguments: Any, **settings: Any) -> subprocess.Popen[bytes]:
        start(*arguments, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(recorder.subprocess, "Popen", interrupted)
    video = VideoWriter(tmp_path / "a.mp4")
    with pytest.raises(KeyboardInterrupt):
        video.add(picture(0))
    assert encoders() == []
    assert files(tmp_path) == []

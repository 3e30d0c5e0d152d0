"""Recordings of episodes: every frame that was played, and the action log beside the video."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from mario_tui.errors import InputError, RecordingError
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import ReplayResult, play_log, replay, summary
from mario_tui.game.step import EpisodeStep
from mario_tui.play.ghost_trail import GhostTrail, follow
from mario_tui.video.ghosts_beside import ghosts_beside
from mario_tui.video.record import Clip, Recording, RecordingCancelledError, record_episodes, record_replay
from videos import assert_looks_like, enlarged, files, opened_gif, picture, probe

LOG = ActionLog("1-1", 4, (130, 131, 131, 131, 130) * 4)


def watch(log: ActionLog, seen: list[np.ndarray]) -> ReplayResult:
    """Plays a log, and adds every frame that the emulator shows."""
    steps = list(play_log(log))
    seen += [frame for step in steps for frame in step.frames]
    return summary(steps)


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
            progress=0.0,
            end=EndReason.CLEAR if step == count else None,
            **about,  # type: ignore[arg-type]
        )


def record(path: Path, count: int = 10, **options: object) -> Recording:
    names = ("right", "right+A")
    return record_episodes([Clip(steps(count), "1-1", 4, names)], path, **options)  # type: ignore[arg-type]


def test_an_episode_becomes_a_video_and_an_action_log(tmp_path: Path) -> None:
    progress: list[int] = []
    recording = record(tmp_path / "a.mp4", progress=lambda frames, total: progress.append(frames))
    assert files(tmp_path) == ["a.json", "a.mp4"]
    assert recording == Recording(
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
    with opened_gif(recording.path) as gif:
        assert gif.n_frames == 10


def test_the_overlay_lies_under_the_game(tmp_path: Path) -> None:
    record(tmp_path / "a.gif", overlay=True)
    with opened_gif(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 20
        assert gif.height > 480
        assert np.array_equal(np.asarray(gif.convert("RGB"))[:480], enlarged(picture(0), 2))


def test_a_cancelled_recording_leaves_nothing(tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(RecordingCancelledError):
        record(tmp_path / "a.mp4", progress=lambda frames, total: done.append(frames), cancelled=lambda: len(done) == 3)
    assert done == [4, 8, 12]
    assert files(tmp_path) == []


def test_a_video_that_fails_gets_no_action_log_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageio_ffmpeg.count_frames_and_secs", lambda path: (0, 0.0))
    (tmp_path / "a.json").write_text(older := ActionLog("8-4", 4, (1,)).to_json())
    with pytest.raises(RecordingError):
        record(tmp_path / "a.mp4")
    assert files(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == older


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
    with opened_gif(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 40
        for index in (0, 1, 20, 39):
            gif.seek(index)
            assert np.array_equal(np.asarray(gif.convert("RGB")), seen[2 * index])


def ghost(log: ActionLog, name: str) -> GhostTrail:
    trail = GhostTrail(name)
    follow(trail, play_log(log))
    return trail


def pictures_of(gif_path: Path) -> list[np.ndarray]:
    with opened_gif(gif_path) as gif:
        frames = []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")))
        return frames


def test_ghosts_are_in_a_recording_and_in_one_that_is_made_of_its_log(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    watch(LOG, seen)
    walker = ghost(ActionLog("1-1", 4, (128,) * 20), "walker")
    recording = record_replay(LOG, tmp_path / "a.gif", scale=1, ghosts=[walker])
    frames = pictures_of(recording.path)
    drawn = [bool((frame != plain).any()) for frame, plain in zip(frames, seen[::2], strict=True)]
    assert sum(drawn) > 20, "in every other frame, which a GIF has"
    assert ActionLog.load(recording.action_log) == replace(
        LOG, **{name: getattr(replay(LOG), name) for name in ("ram_crc32", "screen_crc32")}
    )
    (again,) = ghosts_beside(recording.action_log)
    assert (again.name, again.pressed) == ("walker", walker.pressed)
    assert [again.x_at(frame) for frame in range(80)] == [walker.x_at(frame) for frame in range(80)]
    record_replay(LOG, tmp_path / "b.gif", scale=1, ghosts=[again])
    assert all(map(np.array_equal, pictures_of(tmp_path / "b.gif"), frames))
    record_replay(LOG, tmp_path / "c.gif", scale=1, ghosts=[walker], first_frame=40)
    assert all(map(np.array_equal, pictures_of(tmp_path / "c.gif"), frames[20:])), "at their time of the episode"


def test_a_ghost_that_stood_still_stands_there_in_a_video_made_again(tmp_path: Path) -> None:
    """No action log says that an episode ended as the agent got no farther."""
    stander = ghost(ActionLog("1-1", 4, (0,) * 5), "stander")
    stander.end = EndReason.STALL
    made = record_replay(LOG, tmp_path / "a.gif", scale=1, ghosts=[stander])
    (again,) = ghosts_beside(made.action_log)
    assert again.end is EndReason.STALL
    assert again.at(60) is not None
    assert again.x_at(60) == stander.x_at(60) == 40
    record_replay(LOG, tmp_path / "b.gif", scale=1, ghosts=[again])
    assert all(map(np.array_equal, pictures_of(tmp_path / "b.gif"), pictures_of(made.path)))
    assert ghosts_beside(made.action_log, lambda: True) == [], "stopped"


GHOST = {"name": "a", "end": "death", **ActionLog("1-1", 4, (130,)).as_json()}


@pytest.mark.parametrize(
    "video",
    [
        7,
        {},
        {"ghosts": 7},
        {"ghosts": [{"name": "a"}]},
        {"ghosts": [[]]},
        {"ghosts": [{**GHOST, "end": "no such end"}]},
        {"ghosts": [{**GHOST, "stage": "1-2"}]},
        {"ghosts": [{**GHOST, "goes_on": 3}]},
        {"ghosts": [GHOST, {**GHOST, "buttons": [256]}]},
        {"race": {}},
        {"race": [0, {"step": 1}]},
        {"race": 5},
    ],
)
def test_damaged_ghosts_are_none(video: object, tmp_path: Path) -> None:
    LOG.save(tmp_path / "a.json", video=video)
    assert ghosts_beside(tmp_path / "a.json") == []


def test_ghosts_are_none_without_a_log_and_as_many_as_there_are_in_one(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("[")
    assert ghosts_beside(tmp_path / "b.json") == ghosts_beside(tmp_path / "none.json") == []
    LOG.save(tmp_path / "a.json", video={"ghosts": [GHOST, {**GHOST, "name": "b"}]})
    assert [(one.name, one.tint) for one in ghosts_beside(tmp_path / "a.json")] == [("a", 0), ("b", 1)]


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

    monkeypatch.setattr("os.replace", die)
    with pytest.raises(KeyboardInterrupt):
        record_replay(ONE, tmp_path / "a.mp4", scale=1)
    assert files(tmp_path) == ["a.mp4"]


def test_a_json_file_that_is_no_action_log_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"settings": 1}')
    with pytest.raises(InputError, match="something else"):
        record_replay(ActionLog("1-1", 4, (130, 130)), tmp_path / "x.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def jumping(stage: str, steps: int) -> ActionLog:
    return ActionLog(stage, 4, ((131,) * 5 + (130,) * 3) * (steps // 8))


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["1-1", "4-2", "8-4"])
def test_a_gif_of_a_stage_is_what_the_emulator_showed(tmp_path: Path, stage: str) -> None:
    seen: list[np.ndarray] = []
    watch(log := jumping(stage, 24), seen)
    record_replay(log, tmp_path / "a.gif", scale=1)
    shown = seen[::2]
    with opened_gif(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (len(shown), 0)
        durations = []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
            assert np.array_equal(np.asarray(gif.convert("RGB")), shown[index])
    assert sum(durations) == pytest.approx(len(seen) / 60 * 1000, abs=10)


@pytest.mark.slow
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
    assert not np.array_equal(panels[0], panels[1])
    with Image.open(tmp_path / "a.gif") as gif:
        for index, panel in ((8, panels[0]), (16 + 8, panels[1])):
            gif.seek(index)
            assert np.array_equal(np.asarray(gif.convert("RGB"))[240:], panel)

"""The recordings folder, as it is found."""

import json
from pathlib import Path

import numpy as np
import pytest

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.play.log_player import LogPlayer, all_log_steps, log_steps
from mario_tui.video.library import list_recordings, take_back, trash
from mario_tui.video.record import record_replay
from mario_tui.video.still import BEFORE_END_SECONDS, still

LOG = ActionLog("1-1", 4, (130,) * 10)


def test_a_recording_is_listed_with_what_came_of_it(home: Path) -> None:
    folder = paths.recordings_dir()
    recording = record_replay(LOG, folder / "run.mp4", scale=1, first_frame=12)
    (info,) = list_recordings()
    assert (info.path, info.log, info.stage) == (folder / "run.mp4", folder / "run.json", "1-1")
    assert (info.seconds, info.first_frame, info.problem) == (28 / 60, 12, "")
    assert (info.max_x, info.cleared) == (recording.max_x, False)
    assert info.size_bytes == recording.path.stat().st_size
    assert json.loads(json.dumps(info.as_json()))["action_log"] == str(folder / "run.json")


def test_what_others_put_there_is_listed_as_far_as_it_is_known(home: Path) -> None:
    assert list_recordings() == []
    folder = paths.recordings_dir()
    folder.mkdir()
    for name in ("alone.mp4", "bad.gif", "old.mp4", ".hidden.part.mp4", "text.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "bad.json").write_text("{")
    (folder / "old.json").write_text(json.dumps({**json.loads(LOG.to_json()), "video": {"max_x": "far", "frames": -1}}))
    (folder / "nested.mp4").mkdir()
    infos = {info.path.name: info for info in list_recordings()}
    assert set(infos) == {"alone.mp4", "bad.gif", "old.mp4"}
    assert infos["alone.mp4"].problem == "its action log is missing"
    assert "not JSON" in infos["bad.gif"].problem
    assert (infos["old.mp4"].max_x, infos["old.mp4"].cleared) == (None, None)


def test_the_trash_takes_the_log_with_the_last_video_of_it(home: Path) -> None:
    folder = paths.recordings_dir()
    folder.mkdir()
    for name in ("run.mp4", "run.gif"):
        (folder / name).write_bytes(name.encode())
    LOG.save(folder / "run.json")
    first = trash(folder / "run.mp4")
    assert first.read_bytes() == b"run.mp4"
    assert (folder / "run.json").exists()
    second = trash(folder / "run.gif")
    assert second.read_bytes() == b"run.gif"
    assert ActionLog.load(second.with_suffix(".json")) == LOG
    assert [path.name for path in folder.iterdir()] == [".trash"]


def test_what_the_trash_took_comes_back_with_its_log(home: Path) -> None:
    folder = paths.recordings_dir()
    folder.mkdir()
    (folder / "run.mp4").write_bytes(b"video")
    LOG.save(folder / "run.json")
    moved = trash(folder / "run.mp4")
    take_back(moved, folder / "run.mp4")
    assert (folder / "run.mp4").read_bytes() == b"video"
    assert ActionLog.load(folder / "run.json") == LOG
    assert list((folder / ".trash").iterdir()) == []
    moved = trash(folder / "run.mp4")
    (folder / "run.mp4").write_bytes(b"another")
    with pytest.raises(InputError, match="another one of that name"):
        take_back(moved, folder / "run.mp4")
    assert moved.exists()


def test_the_moments_of_a_log_are_its_episode() -> None:
    moments = list(log_steps(LOG))
    assert [moment.step for moment in moments] == list(range(11))
    assert all(len(moment.frames) == 4 for moment in moments[1:])
    assert [moment.frame_buttons for moment in moments[1:]] == [(130,) * 4] * 10
    later = list(log_steps(LOG, first_frame=20))
    assert [moment.step for moment in later] == list(range(5, 11))
    assert (later[-1].frame == moments[-1].frame).all()
    by_frame = list(log_steps(ActionLog("1-1", 1, (130,) * 40)))
    assert (by_frame[-1].frame == moments[-1].frame).all()
    assert len(by_frame) == 11, "shown in steps of four frames"


def test_a_log_is_played_from_its_first_frame_to_its_end() -> None:
    player = LogPlayer(lambda: ([LOG], 20))
    player._open()
    player.speed = 8.0
    assert player.stage == "1-1"
    player.start()
    while not player.finished:
        player._thread.join(0.01)
        assert not player.problem
    assert player.latest.step == player.newest_step == 10
    player.seek(0)
    while player.latest.step != 5:
        player._thread.join(0.01)
    assert not player.finished
    player.toggle_pause()
    while not player.finished:
        player._thread.join(0.01)
    player.close()


CHAIN = [LOG, ActionLog("8-4", 4, (130,) * 5)]


def test_a_recording_of_several_stages_is_listed_with_all_of_them(home: Path) -> None:
    recording = record_replay(CHAIN, paths.recordings_dir() / "tour.mp4", scale=1)
    (info,) = list_recordings()
    assert (info.stage, info.seconds, info.problem) == ("1-1,8-4", 1.0, "")
    assert info.log == recording.action_log


def test_the_moments_of_several_logs_count_on() -> None:
    moments = list(all_log_steps(CHAIN))
    assert [moment.step for _, moment in moments] == list(range(16))
    assert [stage for stage, _ in moments] == ["1-1"] * 11 + ["8-4"] * 5
    alone = list(log_steps(CHAIN[1]))
    assert (moments[-1][1].frame == alone[-1].frame).all()
    later = list(all_log_steps(CHAIN, first_frame=20))
    assert [moment.step for _, moment in later] == list(range(5, 16))


def test_several_logs_are_played_to_the_end_of_the_last() -> None:
    player = LogPlayer(lambda: (CHAIN, 0))
    player._open()
    player.speed = 8.0
    stages = set()
    player.start()
    while not player.finished:
        stages.add(player.stage)
        player._thread.join(0.01)
        assert not player.problem
    assert player.latest.step == player.newest_step == 15
    assert (player.stage, stages) == ("8-4", {"1-1", "8-4"})
    player.close()


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_still_is_a_picture_near_the_end(home: Path, suffix: str) -> None:
    recording = record_replay(ActionLog("1-1", 4, (130,) * 20), home / f"run{suffix}", scale=1)
    shown = still(recording.path)
    assert shown is not None
    assert shown.shape == (240, 256, 3)
    with open_emulator("1-1") as emulator:
        for _ in range(80 - round(60 * BEFORE_END_SECONDS)):
            emulator.frame(130)
        there = emulator.screen.astype(int)
    with open_emulator("1-1") as emulator:
        start = emulator.screen.astype(int)
    assert np.abs(shown - there).mean() < 12 < np.abs(shown - start).mean()
    assert still(recording.path) is shown, "it is read once"


def test_of_what_is_no_video_there_is_no_still(home: Path) -> None:
    (home / "bad.mp4").write_bytes(b"no video")
    assert still(home / "bad.mp4") is None
    assert still(home / "none.mp4") is None

"""A race: several agents in one picture, the best followed, the others as ghosts."""

import io
import itertools
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from mario_tui.agent.spec import TUTORIAL
from mario_tui.cli import main
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log, replay
from mario_tui.play.ghost_picture import TINTS, tint_of
from mario_tui.play.ghost_trail import GhostTrail, follow, short_step
from mario_tui.play.rollout import rollout
from mario_tui.video import race
from mario_tui.video.ghosts_beside import ghosts_beside
from mario_tui.video.race import HOLD_FRAMES, STANDS_FRAMES, RaceRecording, record_race
from mario_tui.video.record import RecordingCancelledError
from mario_tui.video.record_agent import record_agent

LABEL = 14


def agent(acts: Callable[[int], bool], step: int) -> Any:
    """Walks to the right, and jumps as well where `acts` says so of its step in the episode."""
    steps = itertools.count()

    def q_values(stack: Any) -> tuple[float, ...]:
        return (0.0, 1.0) if acts(next(steps)) else (1.0, 0.0)

    return SimpleNamespace(source=f"run, step {step}", step=step, stage="1-1", spec=TUTORIAL, q_values=q_values)


def walker(step: int = 1000) -> Any:
    return agent(lambda number: False, step)


def jumper(step: int = 2000) -> Any:
    return agent(lambda number: number % 11 > 2, step)


def stander(step: int = 3000) -> Any:
    """Jumps over the first goomba, and walks against the pipe behind it."""
    return agent(lambda number: number < 46 and number % 11 > 2, step)


def made(home: Path, *agents: Any, **more: Any) -> tuple[RaceRecording, list[np.ndarray]]:
    """A race, and the pictures of its video, at twice the size since half of the colours are lost."""
    recording = record_race(list(agents), home / "race.mp4", scale=2, **more)
    reader = imageio.get_reader(recording.path)
    pictures = [np.asarray(picture)[::2, ::2] for picture in reader]
    reader.close()
    return recording, pictures


@pytest.mark.slow
def test_the_best_is_followed_and_the_others_are_ghosts_in_its_picture(home: Path) -> None:
    counts: list[tuple[int, int | None]] = []
    recording, pictures = made(home, jumper(), walker(), progress=lambda frames, total: counts.append((frames, total)))
    assert [result.step for result in recording.ranking] == [2000, 1000]
    best, other = recording.ranking
    assert (best.end, other.end) == (EndReason.DEATH, EndReason.DEATH)
    assert best.progress > other.progress > 0
    log = ActionLog.load(recording.action_log)
    assert replay(log).max_x == recording.max_x == best.max_x > other.max_x
    content = json.loads(recording.action_log.read_text())["video"]["race"]
    assert [(one["step"], one["end"]) for one in content] == [(2000, "death"), (1000, "death")]
    assert ActionLog(content[1]["stage"], content[1]["frame_skip"], tuple(content[1]["buttons"])).frames > 60

    (ghost,) = ghosts_beside(recording.action_log)
    assert (ghost.name, ghost.max_x, ghost.frames) == ("1k", other.max_x, recording.episodes[1].log.frames)
    assert tint_of(ghost, 0) == TINTS[1], "its colour in the race"

    game = [frame for step in play_log(log) for frame in step.frames]
    assert recording.frames == len(pictures) == len(game) + HOLD_FRAMES
    assert counts == sorted(counts)
    assert counts[-1] == (recording.frames // 4 * 4, recording.frames)
    assert pictures[0].shape == (240 + LABEL, 256, 3)
    alone = [np.abs(picture[LABEL:].astype(int) - game[min(number, len(game) - 1)]).max(axis=2)
             for number, picture in enumerate(pictures)]  # fmt: skip
    ghost_frames = sum((difference > 60).sum() > 60 for difference in alone[: other.frames])
    assert ghost_frames > other.frames / 3, "the walker is seen beside the jumper"
    assert np.median([difference.mean() for difference in alone]) < 6, "and all else is the jumper's game"
    assert (alone[-1] > 60).sum() < 60, "at last the ghost is gone"


@pytest.mark.slow
def test_an_agent_is_recorded_with_ghosts_and_again_by_command(home: Path) -> None:
    ghost = GhostTrail("jumper")
    follow(ghost, rollout(jumper(), all_frames=True))
    alone = record_agent(walker(), home / "alone.gif", scale=1)
    recording = record_agent(walker(), home / "a.gif", scale=1, ghosts=[ghost])
    assert main(["replay", str(recording.action_log), "-o", str(home / "again.gif"), "--scale", "1"]) == 0
    frames, again, plain = (imageio.mimread(path, memtest=False) for path in
                            (recording.path, home / "again.gif", alone.path))  # fmt: skip
    assert len(frames) == len(again) == len(plain) > 20
    assert all(map(np.array_equal, frames, again))
    assert not all(map(np.array_equal, frames, plain))
    alone_again = ["replay", str(recording.action_log), "-o", str(home / "no.gif"), "--scale", "1", "--no-ghosts"]
    assert main(alone_again) == 0
    assert all(map(np.array_equal, imageio.mimread(home / "no.gif", memtest=False), plain))


@pytest.mark.slow
def test_the_picture_goes_on_with_those_that_still_play_and_waits_for_none_that_stands(home: Path) -> None:
    recording, pictures = made(home, jumper(), stander())
    by_step = {result.step: (result, episode) for result, episode in
               zip(recording.ranking, recording.episodes, strict=True)}  # fmt: skip
    stands, stood = by_step[3000]
    assert stands.end is EndReason.STALL
    assert stood.result.frames > stands.frames + STANDS_FRAMES
    lasts = max(
        min(stands.frames + STANDS_FRAMES, stood.result.frames),
        by_step[2000][1].result.frames,
    )
    assert recording.frames == len(pictures) == lasts + HOLD_FRAMES


@pytest.mark.slow
def test_one_that_plays_longer_than_the_best_is_followed_at_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "STANDS_FRAMES", 10_000)
    recording, pictures = made(home, jumper(), stander())
    best, last = recording.episodes
    assert last.result.frames > best.result.frames + HOLD_FRAMES
    assert recording.frames == last.result.frames + HOLD_FRAMES
    game = [frame for step in play_log(last.log) for frame in step.frames]
    number = best.result.frames + HOLD_FRAMES + 20
    assert np.abs(pictures[number][LABEL:].astype(int) - game[number]).mean() < 4
    headers = {pictures[frame][:LABEL].tobytes() for frame in (number - 25, number)}
    assert len(headers) == 2, "the line above says whom it follows"


def test_a_cancelled_race_leaves_nothing(home: Path) -> None:
    with pytest.raises(RecordingCancelledError):
        record_race([walker(), jumper()], home / "race.mp4", cancelled=lambda: True)
    assert not list(home.glob("race*"))


@pytest.mark.parametrize("count", [1, 17])
def test_one_agent_or_too_many_are_no_race(home: Path, count: int) -> None:
    with pytest.raises(InputError, match="take 2 to 16"):
        record_race([walker()] * count, home / "race.mp4")


def test_steps_in_a_few_letters() -> None:
    steps = (5, 999, 1000, 5_002, 22_030, 120_000, 999_499, 999_500, 1_250_000)
    assert list(map(short_step, steps)) == ["5", "999", "1k", "5k", "22k", "120k", "999k", "1M", "1.25M"]


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of three checkpoints, of which the middle one gets farthest."""
    run = home / "checkpoints" / "run"
    for step in (1000, 2000, 3000):
        (run / f"step-{step:09d}").mkdir(parents=True)
    (run / "config.toml").write_text("")
    agents = {"step-000001000": walker, "step-000002000": jumper, "step-000003000": walker}
    monkeypatch.setattr(
        "mario_tui.agent.policy.load_policy", lambda path: agents[path.name](int(path.name.rpartition("-")[2]))
    )
    monkeypatch.setattr("mario_tui.commands.record.looks_whole", lambda folder: True)
    return run


@pytest.mark.slow
def test_the_command_prints_the_ranking(run: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["record", "--race", "run", "-o", str(home / "x.mp4"), "--scale", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"path", "frames", "seconds", "max_x", "cleared", "action_log", "ranking"}
    assert [result["step"] for result in told["ranking"]] == [2000, 1000, 3000]
    assert set(told["ranking"][0]) == {"agent", "step", "cleared", "max_x", "progress", "frames", "end"}
    assert main(["replay", told["action_log"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_x"] == told["ranking"][0]["max_x"] == told["max_x"]

    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["record", "run", "--race", "--racers", "2", "-o", str(home / "y.gif"), "--scale", "1"]) == 0
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["agent", "how", "far", "in", "frames", "end"]
    assert [line[:3] for line in lines[1:3]] == [["1", "step", "1,000"], ["2", "step", "3,000"]]
    assert re.fullmatch(r"\d+%", lines[1][3])
    assert lines[1][5] == "death"
    assert lines[3][0] == "Wrote"
    assert (home / "y.gif").is_file()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("run", "--racers", "2"), "--racers is for --race"),
        (("run", "--race", "--racers", "1"), "too few"),
        (("run", "--race", "--grid", "2"), "take one of them"),
        (("run", "--race", "--overlay"), "--overlay"),
        (("run", "--race", "--stage", "1-1,1-2"), "one stage"),
        (("run", "--race", "--sticky", "0.25"), "play greedily"),
        (("run", "--race", "--seed", "3"), "play greedily"),
        (("--game", "--race"), "leave out"),
        (("--game", "--racers", "0"), "leave out"),
        (("run/step-000001000", "run/step-000002000", "--race", "--racers", "2"), "--racers takes"),
    ],
)
def test_what_does_not_go_with_a_race(run: Path, flags: tuple[str, ...], why: str, capsys: Any) -> None:
    assert main(["record", *flags]) == 2
    assert why in capsys.readouterr().err

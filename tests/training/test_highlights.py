"""What a training records by itself, when, and how it ends."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fake_collector import FakeVectorEnv, fake_factories
from mario_tui import paths
from mario_tui.errors import InputError, RecordingError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.replaying import replay
from mario_tui.play.evaluation import EpisodeResult, Evaluation
from mario_tui.store.history import EpisodeRecord
from mario_tui.training import highlights
from mario_tui.training.events import (
    EpisodeEnded,
    Evaluated,
    Event,
    Finished,
    FinishingRecordings,
    NotRecorded,
    Recorded,
    Started,
    Stepped,
)
from mario_tui.training.highlights import Highlights
from mario_tui.training.restore import Factories, open_trainer
from mario_tui.video.background import Outcome
from mario_tui.video.record import record_replay
from runs import run_to_end

GOT_FAR = Outcome(500, False)


def log(number: int) -> ActionLog:
    return ActionLog("1-1", 4, (number,))


def episode(number: int, max_x: int, *, length: int = 100, end: str = "death") -> EpisodeEnded:
    record = EpisodeRecord(number, 0, 1.0, "1-1", 0.0, length, 0.0, 0.0, max_x, end, 0.0)
    return EpisodeEnded(record, log(number))


class FakeRecording:
    """Goes on until the test ends it."""

    begun: list["FakeRecording"]

    def __init__(self, log: ActionLog, output: Path) -> None:
        if self.problem_at_start:
            raise RecordingError(self.problem_at_start)
        self.log, self.output, self.cancelled = log, output, False
        self.done: Outcome | None = None
        self.begun.append(self)

    problem_at_start = ""

    def outcome(self) -> Outcome | None:
        return self.done

    def wait(self, timeout_seconds: float) -> Outcome | None:
        self.done = self.done or Outcome(0, False)  # it was waited for
        return self.done

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FakeRecording]:
    monkeypatch.setattr(highlights, "BackgroundRecording", FakeRecording)
    monkeypatch.setattr(FakeRecording, "begun", [], raising=False)
    return FakeRecording.begun


class Training:
    """Shows events to the recordings as a trainer does.

    A number among them is the time by then, a function is called.
    """

    def __init__(self, events: list[Any], *, hurry: bool = False, **settings: Any) -> None:
        self.events, self.hurry, self.seconds = events, hurry, 0.0
        values: dict[str, Any] = {"frame_skip": 4, "seconds": lambda: self.seconds, **settings}
        self.highlights = Highlights(paths.run_dir("run"), **values)

    def run(self) -> Iterator[Event]:
        try:
            self.highlights.observe(Started(paths.run_dir("run"), 0))
            for event in self.events:
                if callable(event):
                    event()
                elif isinstance(event, int | float):
                    self.seconds = event
                elif isinstance(event, Stepped):
                    yield from self.highlights.poll()
                else:
                    self.highlights.observe(event)
            yield from self.highlights.finish(lambda: self.hurry)
        finally:
            self.highlights.close()


def train(events: list[Any], **settings: Any) -> list[Event]:
    return list(Training(events, **settings).run())


def end(begun: list[FakeRecording], outcome: Outcome = GOT_FAR) -> Any:
    def now() -> None:
        begun[-1].done = outcome

    return now


def test_the_newest_best_is_recorded_when_its_time_has_come(begun: list[FakeRecording]) -> None:
    events = [
        episode(0, 300), 10, episode(1, 500), 20, episode(2, 400), Stepped(1), 599, Stepped(2), 600, Stepped(3),
        episode(3, 600), episode(4, 700), end(begun), Stepped(4), 1199, Stepped(5), 1200, Stepped(6)
    ]  # fmt: skip
    told = [event for event in train(events) if not isinstance(event, Stepped | EpisodeEnded)]
    assert [recording.log for recording in begun] == [log(1), log(4)]
    assert {recording.output for recording in begun} == {paths.recordings_dir() / "run-best.mp4"}
    assert [type(event) for event in told] == [Recorded, FinishingRecordings, Recorded]
    assert isinstance(told[0], Recorded)
    assert (told[0].what, told[0].max_x) == ("best", 500)
    assert not any(recording.cancelled for recording in begun)


def test_hundreds_of_better_episodes_make_two_videos(begun: list[FakeRecording]) -> None:
    events = [event for number in range(500) for event in (number / 10, episode(number, number + 50), Stepped(1))]
    train([*events, 600, Stepped(2), *events[-3:]])
    assert [recording.log for recording in begun] == [log(499)]


def test_one_at_a_time_and_the_first_clear_first(begun: list[FakeRecording]) -> None:
    clear = episode(2, 3161, length=400, end="clear")
    events = [
        episode(0, 300), 600, Stepped(1), episode(1, 800), 9000, Stepped(2), clear, Stepped(3),
        lambda: steps.append(len(begun)), end(begun), Stepped(4), lambda: steps.append(len(begun)),
        episode(3, 3161, length=390, end="clear"), end(begun, Outcome(3161, True)), Stepped(5)
    ]  # fmt: skip
    steps: list[int] = []
    told = [event for event in train(events) if isinstance(event, Recorded)]
    assert steps == [1, 2], "one at a time"
    assert [(recording.output.name, recording.log) for recording in begun] == [
        ("run-best.mp4", log(0)), ("run-first-clear-1-1.mp4", log(2)), ("run-best.mp4", log(3)),
    ]  # fmt: skip
    assert [event.what for event in told] == ["best", "first-clear", "best"]
    assert str(told[1]) == "recorded the first clear (clears 1-1): recordings/run-first-clear-1-1.mp4"
    assert told[1].as_json()["event"] == "recorded"


def test_of_clears_the_quickest_is_the_best(begun: list[FakeRecording]) -> None:
    clears = [episode(n, 3161, length=length, end="clear") for n, length in enumerate((400, 500, 300, 350))]
    train([*clears, episode(9, 9999), 600])
    assert [recording.log for recording in begun] == [log(0), log(2)]


def test_a_greedy_clear_counts_too(begun: list[FakeRecording]) -> None:
    result = EpisodeResult(0, 0.0, 300, 3161, "clear", True, log(7))
    train([Evaluated(1, Evaluation((result,))), Stepped(1), 600])
    assert [recording.log for recording in begun] == [log(7), log(7)]


def test_a_short_sitting_records_a_clear_and_nothing_else(begun: list[FakeRecording]) -> None:
    train([episode(0, 300), 59, Stepped(1)])
    assert begun == []
    train([episode(0, 300, end="clear"), 59, Stepped(1)])
    assert [recording.output.name for recording in begun] == ["run-first-clear-1-1.mp4"]


def test_a_resumed_run_knows_what_it_had(begun: list[FakeRecording]) -> None:
    earlier = [EpisodeRecord(0, 1, 1.0, "1-1", 0.0, 400, 0.0, 0.0, 3161, "clear", 1.0)]
    events = [episode(1, 3161, length=410, end="clear"), 600, Stepped(1)]
    assert train(events, cleared=True, earlier=earlier, is_new=False) == []
    assert begun == []


def test_the_video_of_the_best_gives_way_to_a_better_one_only(begun: list[FakeRecording], home: Path) -> None:
    made = record_replay(ActionLog("1-1", 4, (130,) * 30), paths.recordings_dir() / "run-best.mp4", scale=1)
    train([episode(0, made.max_x), 600, Stepped(1)], is_new=False)
    assert begun == [], "the run was taken up from before that episode"
    train([episode(0, made.max_x + 1), 600, Stepped(1)], is_new=False)
    assert [recording.output for recording in begun] == [made.path]
    assert names(made.path.parent) == ["run-best.json", "run-best.mp4"]


def test_the_best_of_an_earlier_run_of_the_same_name_stays(begun: list[FakeRecording], home: Path) -> None:
    made = record_replay(ActionLog("1-1", 4, (130,) * 30), paths.recordings_dir() / "run-best.mp4", scale=1)
    train([episode(0, made.max_x - 1), 600, Stepped(1)])
    assert [recording.output for recording in begun] == [made.path]
    assert names(made.path.parent) == ["run-best_2.json", "run-best_2.mp4"]


def test_the_best_that_somebody_made_a_gif_of_stays(begun: list[FakeRecording], home: Path) -> None:
    made = record_replay(ActionLog("1-1", 4, (130,) * 30), paths.recordings_dir() / "run-best.mp4", scale=1)
    record_replay(ActionLog("1-1", 4, (130,) * 30), made.path.with_suffix(".gif"), scale=1)
    train([episode(0, made.max_x + 1), 600, Stepped(1)], is_new=False)
    assert [recording.output for recording in begun] == [made.path]
    assert names(made.path.parent) == ["run-best_2.gif", "run-best_2.json", "run-best_2.mp4"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_first_clear_of_a_part_that_was_given_up_is_kept(begun: list[FakeRecording]) -> None:
    folder = paths.recordings_dir()
    folder.mkdir(parents=True)
    (folder / "run-first-clear-1-1.mp4").write_text("older")
    train([episode(0, 300, end="clear"), Stepped(1)])
    assert begun[0].output.name == "run-first-clear-1-1_2.mp4"


def test_a_failure_is_told_and_training_goes_on(begun: list[FakeRecording], monkeypatch: pytest.MonkeyPatch) -> None:
    events = [episode(0, 300, end="clear"), Stepped(1), end(begun, Outcome(0, False, "the disk is full")), Stepped(2)]
    told = train([*events])
    (failed,) = [event for event in told if isinstance(event, NotRecorded)]
    assert str(failed) == "the first clear was not recorded: the disk is full"
    monkeypatch.setattr(FakeRecording, "problem_at_start", "no process")
    told = train([episode(0, 300, end="clear"), Stepped(1)])
    (failed,) = [event for event in told if isinstance(event, NotRecorded)]
    assert "no process" in str(failed)


def test_in_a_hurry_nothing_is_waited_for(begun: list[FakeRecording]) -> None:
    train([episode(0, 300, end="clear"), Stepped(1)], hurry=True)
    assert begun[0].cancelled


def test_asked_again_at_the_end_it_leaves(begun: list[FakeRecording]) -> None:
    training = Training([episode(0, 300, end="clear"), Stepped(1)])
    for event in training.run():
        if isinstance(event, FinishingRecordings):
            assert not begun[0].cancelled
            training.hurry = True
    assert begun[0].cancelled


def test_a_training_that_fails_leaves_no_recording(begun: list[FakeRecording]) -> None:
    def fail() -> None:
        raise RuntimeError("the game is gone")

    with pytest.raises(RuntimeError):
        train([episode(0, 300, end="clear"), Stepped(1), fail])
    assert begun[0].cancelled


class ReplayableGames(FakeVectorEnv):
    def action_log(self, env: int) -> Any:
        return log(env)


SOON = partial(Highlights, best_every_seconds=0, shortest_seconds=0)


def test_recordings_are_finished_when_the_run_is_free_and_come_before_the_end(
    small, begun: list[FakeRecording]
) -> None:
    factories = replace(fake_factories(ReplayableGames), highlights=SOON)
    trainer = open_trainer(small(steps=200, record=True), run="run", factories=factories)
    kinds = []
    for event in trainer.run():
        kinds.append(type(event))
        if isinstance(event, FinishingRecordings):
            with pytest.raises(InputError, match="exists"):  # and is not said to be in use
                open_trainer(small(), run="run")
            assert not trainer.control.in_a_hurry
            trainer.control.stop()
            assert trainer.control.in_a_hurry
    assert kinds[-2:] == [FinishingRecordings, Finished]
    assert begun[-1].cancelled


def test_without_record_nothing_is(small, begun: list[FakeRecording]) -> None:
    factories = replace(fake_factories(ReplayableGames), highlights=SOON)
    run_to_end(open_trainer(small(steps=200), run="run", factories=factories))
    assert begun == []


def test_a_real_training_records_its_best_episode(small) -> None:
    config = small(episodes=3, sticky=0.25, noops=20, envs=2, record=True)
    told = run_to_end(open_trainer(config, run="real", factories=Factories(highlights=SOON)))
    records = [event.record for event in told if isinstance(event, EpisodeEnded)]
    assert isinstance(told[-1], Finished)
    last = [event for event in told if isinstance(event, Recorded)][-1]
    assert last.max_x == max(record.max_x for record in records)
    assert sorted(path.name for path in paths.recordings_dir().iterdir()) == ["real-best.json", "real-best.mp4"]
    in_file = ActionLog.load(last.path.with_suffix(".json"))
    result = replay(in_file)
    assert result.max_x == last.max_x
    assert not result.differs_from(in_file)
    assert json.loads(json.dumps(last.as_json()))["path"] == str(last.path)


def test_every_episode_of_a_fleet_can_be_replayed(small) -> None:
    trainer = open_trainer(small(episodes=4, sticky=0.25, noops=30, envs=2), run="games")
    steps_before = []
    for event in trainer.run():
        if isinstance(event, EpisodeEnded):
            assert event.log is not None
            result = replay(event.log)
            assert (result.max_x, result.end) == (event.record.max_x, event.record.end)
            steps_before.append(event.log.frames // 4 - event.record.length)
    assert min(steps_before) == 0, "each game's first episode has no steps without a button before it"
    assert max(steps_before) > 0

"""A disk that fills up: training goes on and says so, nothing half-written stays, and the checkpoint before loads."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui import paths
from mario_tui.agent.policy import load_policy
from mario_tui.errors import NotSavedError, TrainingError
from mario_tui.store import catalog, checkpoint, lookup
from mario_tui.store.history import read_metrics
from mario_tui.store.line_file import LineFile
from mario_tui.store.run import find_resumable
from mario_tui.training.advice import file_warnings
from mario_tui.training.control import TrainingControl
from mario_tui.training.events import Finished, Paused, Saved, Stepped, Warned
from runs import differences, full_state, run_to_end, until_saved

SMALL_NETWORK = {"network": "small", "envs": 2, "replay_size": 200, "log_every": 1}


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """Runs are on a disk of their own, of 48 MB; a save of these tests takes some 11 MB."""
    folder = home / "checkpoints"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()}): what a full one does is not tried")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class ShortGames(FakeVectorEnv):
    """Whose lines soon take more than the room that is left in a file's last block."""

    end_chance = 1 / 5


def fill(disk: Path, leave: int = 0) -> Path:
    """Writes a file that leaves so many bytes of the disk free."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            assert shutil.disk_usage(disk).free < 65536
        file.truncate(max(file.tell() - leave, 0))
    return path


def test_training_goes_on_where_the_disk_is_full(small, small_disk: Path) -> None:
    trainer = fake_trainer(small(steps=1200, **SMALL_NETWORK), run="full", games=ShortGames)
    run = paths.run_dir("full")
    seen: list[object] = []
    asked: set[int] = set()

    def ask_once(step: int) -> bool:
        due = trainer.step >= step and step not in asked
        asked.update({step} if due else ())
        return due

    for event in trainer.run():
        seen.append(event)
        if not isinstance(event, Stepped):
            continue
        if ask_once(100):
            trainer.control.save()
        elif ask_once(200):
            until_saved(trainer)
        elif ask_once(300):
            first = trainer.last_checkpoint
            failing = trainer.step
            filler = fill(small_disk, leave=3 << 20)
            trainer.control.save()
        elif ask_once(400):
            until_saved(trainer)
            filler = fill(small_disk)  # not even a line of the log has room now
        elif ask_once(1000):
            assert trainer.checkpointer.problems()
            assert [info.path for info in catalog.scan().checkpoints if info.whole] == [first]
            assert find_resumable(run)[0] == first
            assert 100 <= load_policy(first).step < 110
            assert list(run.glob(".*.part")) == []
            behind = len(read_metrics(run / "metrics.csv"))
            assert behind < trainer.logger.episode, "episodes wait for room"
            filler.unlink()
    finished = seen[-1]
    assert isinstance(finished, Finished)
    told = [event.text for event in seen if isinstance(event, Warned)]
    assert any(f"step {failing} could not be saved: No space left on device" in text for text in told), told
    assert any("metrics.csv cannot be written: No space left on device" in text for text in told), told
    assert [event.path for event in seen if isinstance(event, Saved)] == [first]
    assert trainer.checkpointer.problems() == ()
    assert finished.steps == trainer.step >= 1200
    checkpoint.verify(finished.checkpoint)
    episodes = [record.episode for record in read_metrics(run / "metrics.csv")]
    assert episodes == list(range(trainer.logger.episode)), "nothing of what happened meanwhile is missing"
    lines = (run / "log").read_text().splitlines()
    assert all(len(line) == len(lines[0]) for line in lines), "no line was cut off"

    plain = fake_trainer(small(steps=1200, **SMALL_NETWORK), run="plain", games=ShortGames)  # with room
    run_to_end(plain)
    assert differences(full_state(plain), full_state(trainer)) == []


def test_the_last_save_does_without_the_replay_where_that_has_no_room(small, small_disk: Path) -> None:
    class NoisyGames(FakeVectorEnv):
        """Frames of noise: the replay takes more than all the rest."""

        def receive(self):
            observed = super().receive()
            self.observations[:] = self._rng.integers(0, 256, self.observations.shape, dtype="uint8")
            return observed

    trainer = fake_trainer(small(steps=1500, **{**SMALL_NETWORK, "replay_size": 2000}), run="full", games=NoisyGames)
    seen = []
    for event in trainer.run():
        seen.append(event)
        if isinstance(event, Stepped) and event.step >= 1490 and not (small_disk / "filler").exists():
            fill(small_disk, leave=13 << 20)
    finished = seen[-1]
    assert isinstance(finished, Finished)
    told = [event.text for event in seen if isinstance(event, Warned)]
    assert any("could not be saved" in text for text in told)
    assert told[-1].startswith("saved without its replay")
    assert "replay.frames" not in checkpoint.verify(finished.checkpoint).parts
    (small_disk / "filler").unlink()
    assert load_policy(finished.checkpoint).step >= 1500


def test_where_not_even_that_has_room_it_says_so(small, small_disk: Path) -> None:
    trainer = fake_trainer(small(steps=60, **SMALL_NETWORK), run="full")
    with pytest.raises(TrainingError, match=r"No space left on device.*make room") as caught:
        run_to_end(trainer, {40: lambda control: fill(small_disk)})
    assert "\n" not in str(caught.value)
    assert list(paths.run_dir("full").glob(".*.part")) == []
    assert lookup.step_folders(paths.run_dir("full")) == []


@pytest.mark.parametrize("asked", ["stop", "limit"])
def test_where_somebody_can_make_room_it_waits_for_them(small, small_disk: Path, asked: str) -> None:
    control = TrainingControl(attended=True)
    trainer = fake_trainer(small(steps=60, **SMALL_NETWORK), run="full", control=control)
    filler = small_disk / "filler"
    reasons: list[str] = []
    for event in trainer.run():
        if isinstance(event, Stepped) and event.step >= 40 and not reasons and not filler.exists():
            fill(small_disk)
            if asked == "stop":
                control.stop()
        elif isinstance(event, Paused):
            reasons.append(event.reason)
            assert control.awaiting_user
            assert not control.stopping
            if len(reasons) == 2:
                filler.unlink()
            control.stop()  # as a person does, who wants to leave
    first, second = reasons
    assert "No space left on device" in first
    assert first.endswith("make room on the disk")
    assert second == first
    assert isinstance(event, Finished)
    assert checkpoint.verify(event.checkpoint).step == trainer.step
    assert "replay.frames" in checkpoint.verify(event.checkpoint).parts
    assert trainer.step == (40 if asked == "stop" else 60)


def test_in_a_hurry_it_does_not_wait(small, small_disk: Path) -> None:
    control = TrainingControl(attended=True)
    trainer = fake_trainer(small(steps=60, **SMALL_NETWORK), run="full", control=control)

    def full_and_stopped(control: TrainingControl) -> None:
        fill(small_disk)
        control.stop(in_a_hurry=True)

    with pytest.raises(NotSavedError):
        run_to_end(trainer, {40: full_and_stopped})


def test_a_disk_about_to_be_full_is_told_before(small, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = fake_trainer(small(steps=400, **SMALL_NETWORK), run="short")
    free = 10**12
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free))
    told, asked = [], False
    for event in trainer.run():
        if isinstance(event, Stepped):
            until_saved(trainer)
            if not asked and event.step >= 100:
                asked = True
                trainer.control.save()
        elif isinstance(event, Saved):
            size = sum(part.stat().st_size for part in event.path.iterdir())
            free = int(1.4 * size)
        elif isinstance(event, Warned):
            told.append(event.text)
    (text,) = told
    assert text.startswith("the disk is almost full: ")
    assert f"the next checkpoint takes {round(size / 1e6):,} MB" in text


class Usage:
    """What shutil.disk_usage tells."""

    def __init__(self, free: int) -> None:
        self.free = free


@pytest.mark.parametrize(
    ("free", "needed", "warns"),
    [(None, 100, False), (151, 100, False), (149, 100, True), (0, 100, True)],
)
def test_the_disk_is_short_when_two_checkpoints_have_no_room(free: int, needed: int, warns: bool) -> None:
    assert bool(list(file_warnings([""], free_bytes=free, needed_bytes=needed))) == warns


def test_problems_are_told_one_by_one() -> None:
    assert list(file_warnings(["", "one", "", "two"], free_bytes=None, needed_bytes=1)) == ["one", "two"]


def test_a_line_that_was_cut_off_is_taken_away(home: Path) -> None:
    path = home / "lines"
    path.write_text("heading\none\ntw")
    file = LineFile(path, "heading\n")
    assert file.content() == "heading\none\n"
    file.add("three\n")
    assert path.read_text() == "heading\none\nthree\n"
    for torn, after in (("hea", "heading\nx\n"), ("heading\n" + "y" * 9000, "heading\nx\n"), ("", "heading\nx\n")):
        path.write_text(torn)
        LineFile(path, "heading\n").add("x\n")
        assert path.read_text() == after

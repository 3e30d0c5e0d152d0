"""Training with demonstrations on the real game: what is learned from, that a run stays whole, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_tui import paths
from mario_tui.agent.preprocess import preprocess
from mario_tui.agent.replay_draw import DEMONSTRATED
from mario_tui.buttons import ACTION_SETS, LEFT, RIGHT, A, B
from mario_tui.config import TrainingConfig
from mario_tui.errors import CheckpointError, InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.store import checkpoint, lookup, named
from mario_tui.store.history import PRACTICE
from mario_tui.training.events import EpisodeEnded, Started
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from mario_tui.training.session import TrainingSession
from runs import differences, full_state, run_to_end

CLEAR = Path(__file__).parents[1] / "game" / "logs" / "1-1-clear.json"


def by_hand(frames: int, every: int = 34) -> ActionLog:
    """A game that runs, jumps, and once goes back a little, with buttons that change at any frame."""
    jump = [A if frame % every > every // 3 else 0 for frame in range(frames)]
    way = [LEFT if 50 <= frame < 61 else RIGHT | B for frame in range(frames)]
    return ActionLog.of_frames("1-1", 1, [a | b for a, b in zip(jump, way, strict=True)])


@pytest.fixture
def small(small: Callable[..., TrainingConfig]) -> Callable[..., TrainingConfig]:
    """As in the other tests, with the network that is quicker."""
    return lambda **changes: small(**{"network": "small", **changes})


@pytest.fixture
def plays(home: Path) -> Path:
    """Two games of 1-1, one of another stage, and a file that was not finished."""
    folder = home / "plays"
    folder.mkdir()
    by_hand(300).save(folder / "a.json", played_by="hand")
    by_hand(201, every=50).save(folder / "b.json")
    ActionLog("1-2", 1, (RIGHT,) * 100).save(folder / "other.json")
    (folder / ".c.part.json").write_text("{")
    return folder


def test_a_demonstration_gives_the_transitions_of_the_game_that_was_played(small, home: Path) -> None:
    shutil.copy(CLEAR, home / "clear.json")
    config = small(
        demonstrations="clear.json", action_set="run", clear_bonus=50.0, show_buttons=True, n_steps=3, steps=30
    )
    trainer = open_trainer(config, run="shown")
    log = ActionLog.load(CLEAR)
    with open_emulator("1-1") as emulator:
        episode = Episode(emulator, frame_skip=4)
        screens, held, rewards, ends = [emulator.screen], [0], [], []
        buttons = [byte for byte in log.buttons for _ in range(log.frame_skip)]
        while episode.end is None:
            step = buttons[4 * episode.steps : 4 * episode.steps + 4]
            result = episode.step(step)
            screens.append(emulator.screen)
            held.append(step[-1])
            rewards.append(result.reward)
            ends.append(result.terminated)
    assert episode.end is EndReason.CLEAR
    rewards[-1] += 50
    shown = trainer.agent.demonstrations
    assert shown is not None
    count = trainer.demonstrations
    assert count is not None
    assert (count.games, count.transitions + count.left_out, count.other_stages) == (1, len(rewards), 0)
    assert len(shown) == shown.transitions == count.transitions > 100

    index = shown.sampleable()
    batch = shown.transitions_at(index)
    frames = torch.cat(
        [preprocess(screen[None], "cpu", np.array([byte])) for screen, byte in zip(screens, held, strict=True)]
    )
    assert torch.equal(batch.s_tm1[:, -1], frames[index])
    gamma = np.float32(config.gamma)
    for row, reward, done in zip(index.tolist(), batch.r_t.tolist(), (batch.discount_t == 0).tolist(), strict=True):
        ahead = rewards[row : row + 3]
        assert reward == pytest.approx(sum(gamma**k * value for k, value in enumerate(ahead)), rel=1e-6)
        assert done == any(ends[row : row + 3])
    last = np.minimum(index + 3, len(rewards))
    assert torch.equal(batch.s_t[:, -1], frames[last])
    actions = [ACTION_SETS["run"][action] for action in batch.a_tm1.tolist()]
    exact = [row for row, byte in zip(index, actions, strict=True) if set(buttons[4 * row : 4 * row + 4]) == {byte}]
    assert len(exact) == count.transitions - count.approximate
    trainer.close()


def test_what_is_used_and_what_not_is_counted_and_told(small, plays: Path) -> None:
    trainer = open_trainer(small(demonstrations=str(plays), steps=30), run="counted")
    started = run_to_end(trainer)[0]
    assert isinstance(started, Started)
    count = started.demonstrations
    assert count is not None
    assert (count.games, count.other_stages) == (2, 1)
    assert count.transitions + count.left_out == 300 // 4 + 201 // 4
    assert 2 * 2 <= count.left_out <= 2 * 3, "the steps in which they went left"
    assert count.approximate == count.transitions, "they ran, and the set 'tutorial' walks"
    line = next(line for line in (trainer.run_dir / "log").read_text().splitlines() if line.startswith("#"))
    assert f"2 games, {count.transitions} steps to learn from" in line
    assert f"{count.left_out} left out" in line
    assert "1 of other stages passed over" in line
    state = json.loads((named.find_checkpoint("counted") / "trainer.json").read_text())
    assert state["demonstrations"] == count.as_json()


def test_the_share_of_demonstrations_in_what_is_learned_from(
    small, plays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = open_trainer(small(demonstrations="plays", demonstration_share=0.3, steps=160), run="share")
    recall, sources = trainer.agent.recall, []

    def watched(batches: int):
        draw = recall(batches)
        sources.extend((draw.source == DEMONSTRATED).sum(axis=1).tolist())
        return draw

    monkeypatch.setattr(trainer.agent, "recall", watched)
    run_to_end(trainer)
    assert len(sources) == trainer.agent.updates > 30
    assert set(sources) == {2, 3}, "of 8"
    assert np.mean(sources) == pytest.approx(2.4, abs=0.3)


def test_with_a_share_of_none_a_run_is_the_one_without_demonstrations(small, plays: Path) -> None:
    states: list[dict[str, Any]] = []
    for settings in ({}, {"demonstrations": "plays", "demonstration_share": 0.0}):
        trainer = open_trainer(small(steps=110, envs=2, **settings), run=f"run-{len(states)}")
        run_to_end(trainer)
        assert trainer.agent.updates > 20
        states.append({k: v for k, v in full_state(trainer).items() if not k.startswith("demonstrations")})
    assert differences(*states) == []


EVERYTHING = {"n_steps": 3, "priority_exponent": 0.5, "show_buttons": True, "average_updates": 20}


@pytest.mark.parametrize("settings", [{}, EVERYTHING], ids=["uniform", "everything"])
def test_a_resumed_run_equals_the_one_that_went_on_also_without_the_files(small, plays: Path, settings: dict) -> None:
    config = small(
        steps=180, envs=2, stall_steps=25, replay_size=150, demonstrations="plays", demonstration_share=0.3, **settings
    )
    whole = open_trainer(config, run="whole")
    run_to_end(whole)
    part = open_trainer(config.replace(steps=90), run="part")
    run_to_end(part)
    shutil.rmtree(plays)
    saved = lookup.step_folders(paths.run_dir("part"))[-1]
    resumed = open_trainer(resume_config(saved, {"steps": 180}), resume=saved)
    assert resumed.config == whole.config
    run_to_end(resumed)
    assert resumed.agent.updates > 30
    assert differences(full_state(whole), full_state(resumed)) == []
    parts = [checkpoint.verify(folder).parts for folder in lookup.step_folders(paths.run_dir("part"))]
    assert ["demonstrations.json" in names for names in parts] == [True, True]
    assert ["demonstrations.safetensors" in names for names in parts] == [False, True], "as the replay"


def test_more_demonstrations_can_be_added_when_a_run_goes_on(small, plays: Path) -> None:
    run_to_end(open_trainer(small(steps=60), run="alone"))
    alone = named.find_checkpoint("alone")
    with_two = open_trainer(resume_config(alone, {"steps": 100, "demonstrations": "plays"}), resume=alone)
    assert with_two.demonstrations is not None
    assert with_two.demonstrations.games == 2
    run_to_end(with_two)
    by_hand(120, every=20).save(plays / "late.json")
    newest = named.find_checkpoint("alone")
    unchanged = open_trainer(resume_config(newest), resume=newest)
    assert unchanged.demonstrations is not None
    assert unchanged.demonstrations.games == 2, "what is new in the folder is not taken without being named"
    assert unchanged.config.demonstrations == "plays"
    unchanged.close()
    with_three = open_trainer(resume_config(newest, {"demonstrations": "plays", "steps": 140}), resume=newest)
    assert with_three.demonstrations is not None
    assert with_three.demonstrations.games == 3, "the two it has, once each, and the new one"
    run_to_end(with_three)
    assert open_trainer(resume_config(alone), resume=alone).demonstrations is None, "an earlier checkpoint has none"


def test_flipped_bits_in_the_kept_games_are_found(small, plays: Path) -> None:
    run_to_end(open_trainer(small(steps=30, demonstrations="plays"), run="flipped"))
    folder = named.find_checkpoint("flipped")
    path = folder / "demonstrations.json"
    path.write_text(path.read_text().replace("130", "128", 1))
    with pytest.raises(CheckpointError, match=r"demonstrations\.json"):
        open_trainer(resume_config(folder), resume=folder)


def test_what_cannot_be_used_is_one_line_and_leaves_no_run(small, plays: Path, home: Path) -> None:
    (home / "empty").mkdir()
    (home / "damaged").mkdir()
    (home / "damaged" / "x.json").write_text('{"format": 1, "stage": "1-1"')
    (home / "left").mkdir()
    ActionLog("1-1", 1, (LEFT,) * 60).save(home / "left" / "x.json")
    ActionLog("1-1", 1, (RIGHT,) * 3).save(home / "short.json")
    for settings, words in (
        ({"demonstrations": "plays/other.json"}, "is a game of 1-2 and the run is on 1-1"),
        ({"demonstrations": "plays", "stage": "3-1"}, "no game of 3-1 .* of 1-1, 1-2"),
        ({"demonstrations": "empty"}, "no action log in .*empty"),
        ({"demonstrations": "damaged"}, r"x\.json is no action log .*: it is not JSON; take it out"),
        ({"demonstrations": "damaged/x.json"}, r"x\.json is no action log .*: it is not JSON"),
        ({"demonstrations": "left"}, "none of the 15 steps .* choose another --action-set"),
        ({"demonstrations": "short.json"}, "none of the 0 steps"),
        ({"demonstrations": "nowhere"}, "no demonstrations at 'nowhere'"),
        ({"demonstrations": "no\0where"}, "no demonstrations at"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            open_trainer(small(**settings), run="refused")
        assert "\n" not in str(caught.value)
        assert not paths.run_dir("refused").exists()
    (plays / "damaged.json").write_text("[]")
    with pytest.raises(InputError, match="it is not a JSON object"):
        open_trainer(small(demonstrations="plays"), run="refused")


def test_a_session_tells_of_them(small, plays: Path) -> None:
    session = TrainingSession(small(steps=30, demonstrations="plays"), run="session")
    session.start()
    assert session.join(120)
    first = session.notices()[0]
    assert first.kind == "demonstrations"
    assert first.text.startswith(f"demonstrations: 2 games, {session.snapshot.demonstrations} steps")
    assert session.snapshot.demonstrations > 100


@pytest.mark.parametrize("source", ["clears", "deaths"])
def test_games_practise_on_the_way_of_a_demonstration(small, home: Path, source: str) -> None:
    """From the second episode on, one begins where a log was that clears the stage."""
    folder = home / "plays"
    folder.mkdir()
    shutil.copy(CLEAR, folder / "clear.json")
    by_hand(300).save(folder / "a.json")
    config = small(
        stage="1-1", demonstrations="plays", action_set="run", envs=2, practice_games=1, practice_from=source,
        practice_share=1.0, practice_length=5, stall_steps=30, steps=600,
    )  # fmt: skip
    ended = [event for event in run_to_end(open_trainer(config)) if isinstance(event, EpisodeEnded)]
    log = ActionLog.load(CLEAR)
    way = bytes(np.repeat(np.array(log.buttons, dtype=np.uint8), log.frame_skip))
    shared = []
    for event in ended:
        assert event.log is not None
        if event.record.kind == PRACTICE:
            pressed = bytes(np.repeat(np.array(event.log.buttons, dtype=np.uint8), event.log.frame_skip))
            before = len(pressed) - 4 * event.record.length
            shared.append(pressed[:before] == way[:before])
    assert shared
    assert set(shared) == {source == "clears"}

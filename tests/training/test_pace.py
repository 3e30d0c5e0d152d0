"""What is known of this machine's speed before a training begins, and what is said of presets with it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mario_tui import paths
from mario_tui.presets import PRESETS, learning_settings, preset
from mario_tui.store.history import EpisodeRecord
from mario_tui.training import pace, preset_curves
from mario_tui.training.events import EpisodeEnded, Saved
from mario_tui.training.forecaster import PaceWatch
from mario_tui.training.pace import in_words
from mario_tui.training.preset_curves import PresetCurves, Reached
from mario_tui.training.preset_lines import preset_line

FAST = preset("fast")


def ended(step: int, seconds: float) -> EpisodeEnded:
    return EpisodeEnded(EpisodeRecord(step // 10, step, 0.1, "1-1", 5.0, 10, 0.1, 0.2, 300, "death", seconds))


def test_a_training_leaves_its_speed_for_the_next() -> None:
    watch = PaceWatch(FAST, learns_from=2_000)
    for step, seconds in ((500, 1.0), (1_900, 2.0), (2_100, 10.0), (5_100, 30.0), (8_100, 70.0)):
        watch.observe(ended(step, seconds))
    assert watch.steps_per_second == 100.0, "from where it learns"
    assert pace.recall(FAST) is None
    watch.observe(Saved(Path("step-8100"), 8_100))
    assert pace.recall(FAST.replace(seed=4, stage="4-2", steps=5)) == 100.0
    assert pace.recall(FAST.replace(network="nature")) is None


@pytest.mark.parametrize("last", [(3_900, 100.0), (9_000, 39.0)])
def test_a_short_training_says_too_little(last: tuple[int, float]) -> None:
    watch = PaceWatch(FAST, learns_from=2_000)
    assert watch.steps_per_second == 0.0
    watch.observe(ended(2_000, 10.0))
    assert watch.steps_per_second == 0.0
    watch.observe(ended(*last))
    watch.observe(Saved(Path("step"), last[0]))
    assert pace.recall(FAST) is None


def test_games_elsewhere_say_nothing_of_this_machine() -> None:
    watch = PaceWatch(FAST.replace(actors="ray"), learns_from=0)
    for event in (ended(10, 1.0), ended(9_010, 91.0), Saved(Path("step"), 9_010)):
        watch.observe(event)
    assert not paths.machine_file().exists()


def test_a_measurement_of_seconds_takes_no_trainings_place() -> None:
    pace.remember(FAST, 50.0, "measurement")
    assert pace.recall(FAST) == 50.0
    pace.remember(FAST, 60.0, "training")
    pace.remember(FAST, 70.0, "measurement")
    assert pace.recall(FAST) == 60.0
    pace.remember(FAST, 65.0, "training")
    assert pace.recall(FAST) == 65.0


@pytest.mark.parametrize("content", ["", "[]", "\x00", '{"x": 1}', None])
def test_what_cannot_be_read_is_not_known(content: str | None) -> None:
    pace.remember(FAST, 50.0, "training")
    if content is None:
        text = paths.machine_file().read_text().replace("50.0", '"many"')
        content = text
    paths.machine_file().write_text(content)
    assert pace.recall(FAST) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "10 s"), (44, "40 s"), (89, "90 s"), (100, "2 min"), (5_000, "83 min"), (9_000, "2.5 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


CURVES = PresetCurves(
    preset="fast",
    stage="1-1",
    settings=learning_settings(FAST),
    hardware="an abacus",
    runs=2,
    first_clears=(Reached(31_000, 600.0), Reached(62_000, 1_200.0)),
    target=0.0,
    targets=(),
    greedy=(),
    robust=(),
)


def test_a_presets_line_has_what_was_measured_here_or_else_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preset_curves, "_all", lambda: (CURVES,))
    assert preset_line("fast") == (
        "a first clear; 1-1 near step 46,000, 10 to 20 min on an abacus; until_clear ends it"
    )
    pace.remember(FAST, 100.0, "measurement")
    assert preset_line("fast") == "a first clear; 1-1 near step 46,000, 8 min here; until_clear ends it"
    monkeypatch.setattr(preset_curves, "_all", lambda: (replace(CURVES, runs=3),))
    assert "near step 46,000 in 2 of 3 runs, 8 min here" in preset_line("fast")


def test_without_runs_of_a_preset_its_line_names_no_figure_but_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preset_curves, "_all", lambda: ())
    assert preset_line("tutorial") == f"{PRESETS['tutorial']}; ends when you stop it"
    assert preset_line("fast") == f"{PRESETS['fast']}; until_clear ends it"
    assert preset_line("robust") == f"{PRESETS['robust']}; at most 2,000,000 steps"
    pace.remember(preset("robust"), 200.0, "training")
    assert preset_line("robust") == f"{PRESETS['robust']}; at most 2,000,000 steps, 2.8 h here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_to_loses_only_the_speed(home: Path) -> None:
    home.chmod(0o500)
    pace.remember(FAST, 50.0, "training")
    assert pace.recall(FAST) is None

"""The ways through the stages that come with the program, and progress, which is measured by them."""

import importlib.util
import itertools
import json
from pathlib import Path

import pytest

from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.game.emulator import open_emulator
from mario_tui.game.episode import EndReason, Episode
from mario_tui.game.replaying import replay, replay_all
from mario_tui.game.stages import STAGES
from mario_tui.stage_progress import MOST, progress_at_x, routes, stage_progress
from mario_tui.store.shipped import WAYS

DOCS = Path(__file__).parents[2] / "docs"
SHIPPED = [stage for stage in STAGES if (WAYS / f"{stage}.json").exists()]


def test_there_is_one_for_every_stage_and_it_is_small() -> None:
    assert list(STAGES) == SHIPPED
    assert sum(file.stat().st_size for file in WAYS.iterdir()) < 200_000
    assert list(routes()) == list(STAGES)


@pytest.mark.parametrize("stage", SHIPPED)
def test_each_clears_its_stage_with_the_checksums_of_the_search(stage: str) -> None:
    log = ActionLog.load(WAYS / f"{stage}.json")
    assert log.stage == stage
    result = replay(log)
    assert result.cleared
    assert (result.ram_crc32, result.screen_crc32) == (log.ram_crc32, log.screen_crc32)
    assert json.loads((WAYS / f"{stage}.json").read_bytes())["searched"]["transitions"] > 0


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("1-1", "ground"),
        ("1-2", "a pipe at the end"),
        ("2-2", "water, then a pipe"),
        ("1-4", "castle"),
        ("4-4", "maze"),
        ("7-4", "maze of three parts"),
    ],
)  # fmt: skip
def test_progress_grows_from_0_to_1_along_the_way(stage: str, kind: str) -> None:
    log = ActionLog.load(WAYS / f"{stage}.json")
    with open_emulator(stage) as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip, ends_off_course=True, reward="frontier")
        seen = [episode.progress]
        for buttons in log.buttons:
            episode.step(buttons)
            seen.append(episode.progress)
            if episode.end is not None:
                break
        assert episode.end is EndReason.CLEAR, kind
    assert seen[0] == 0
    assert seen[-1] == 1
    assert seen == sorted(seen)
    assert max(after - before for before, after in itertools.pairwise(seen)) < 0.05, "no leaps"
    assert MOST - 0.05 < seen[-2] <= MOST


def test_other_areas_count_for_nothing_and_the_end_is_a_clear() -> None:
    ((area, begin, end),) = routes()["1-1"]
    middle = (begin + end) // 2
    assert stage_progress("1-1", {area: middle}) == pytest.approx(0.5, abs=0.001)
    assert stage_progress("1-1", {area: middle, (7, 3, 1): 9_999}) == pytest.approx(0.5, abs=0.001)
    assert stage_progress("1-1", {area: 9_999}) == MOST
    assert stage_progress("1-1", {area: begin}, cleared=True) == 1
    assert stage_progress("1-1", {}) == 0


def test_without_an_area_it_goes_by_the_longest_stretch() -> None:
    assert progress_at_x("1-1", 1_598) == pytest.approx(0.5, abs=0.001)
    assert progress_at_x("1-2", 40) == 0
    assert progress_at_x("1-2", 3_161, cleared=True) == 1
    assert progress_at_x("9-9", 500) == 0


def test_a_stage_of_two_areas_goes_on_where_the_first_one_ended() -> None:
    (first, _, _), (second, begin, end) = routes()["1-2"]
    assert first != second
    before = stage_progress("1-2", {first: 9_999})
    assert before == stage_progress("1-2", {first: 9_999, second: begin})
    assert stage_progress("1-2", {first: 9_999, second: end}) > before


def test_the_table_in_the_docs_is_what_the_game_does() -> None:
    spec = importlib.util.spec_from_file_location("make_stage_table", DOCS / "make_stage_table.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    assert "".join(map(table.row, STAGES)) in (DOCS / "stages.md").read_text()


@pytest.mark.parametrize("stage", ["1-2", "3-3"])
def test_the_whole_game_is_there_and_its_agents_clear_their_stages(stage: str) -> None:
    logs = load_logs(DOCS / "whole-game.json")
    assert [log.stage for log in logs] == list(STAGES)
    place = STAGES.index(stage)
    assert logs[place].buttons != ActionLog.load(WAYS / f"{stage}.json").buttons, "an agent's, not the search's"
    start = max(number for number, log in enumerate(logs[: place + 1]) if log.goes_on is None)
    results = replay_all(logs[start : place + 1])
    assert all(result.cleared for result in results)
    assert not any(result.differs_from(log) for result, log in zip(results, logs[start:], strict=False))

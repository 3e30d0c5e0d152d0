"""The map of a stage, and the episodes of a run on it."""

from pathlib import Path

import numpy as np
import pytest

from mario_tui import stage_map
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import NO_AREA, open_emulator, place
from mario_tui.game.episode import Episode
from mario_tui.game.kept_episodes import FILE, EpisodeFile, KeptEpisode
from mario_tui.game.stages import STAGES
from mario_tui.play.run_map import (
    END_COLOURS,
    MapEpisode,
    RunMap,
    draw_map,
    fitted,
    in_lines,
    read_map,
    run_picture,
    up_to,
    with_mario,
)
from mario_tui.store.history import EpisodeRecord, csv_heading, csv_line
from mario_tui.store.shipped import WAYS


def record(number: int, end: str = "death", stage: str = "1-1") -> EpisodeRecord:
    return EpisodeRecord(number, 100 * (number + 1), 0.1, stage, 10.0, 20, 0.0, 0.0, 300, end, 1.0, "training", 0.1)


def episode(number: int, end: str = "death", *, x: int = 40, y: int = 176, area: int = 37) -> MapEpisode:
    """Mario walks 200 pixels to the right."""
    trail = np.array([[x + 10 * step, y, area] for step in range(21)], np.int16)
    return MapEpisode(record(number, end), trail)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_map_and_its_way_lies_on_it(stage: str) -> None:
    picture = stage_map.stage_map(stage)
    assert picture.shape[0] == stage_map.HEIGHT
    assert picture.shape[1] == max(piece.left + piece.width for piece in stage_map.pieces()[stage])
    log = ActionLog.load(WAYS / f"{stage}.json")
    with open_emulator(stage) as emulator:
        episode = Episode(emulator, frame_skip=log.frame_skip)
        places = [place(emulator)]
        for byte in log.buttons:
            episode.step(byte)
            places.append(place(emulator))
            if episode.end is not None:
                break
    trail = np.array(places)
    on_map = stage_map.on_map(stage, trail)
    known = trail[:, 2] != NO_AREA
    assert (on_map[known, 0] >= 0).mean() > 0.97
    assert (on_map[~known] == -1).all()
    assert np.max(on_map[:, 0]) < picture.shape[1]


@pytest.mark.parametrize("stage", ["1-1", "1-2", "1-4", "2-2"])
def test_the_map_is_what_the_game_shows(stage: str) -> None:
    """Most of a screen after three seconds is the same, but for Mario, enemies and what is rounded to 48 colours."""
    log = ActionLog.load(WAYS / f"{stage}.json")
    with open_emulator(stage) as emulator:
        for byte in log.buttons[:45]:
            for _ in range(log.frame_skip):
                emulator.frame(byte)
        scroll = int(emulator.ram[0x71A]) * 256 + int(emulator.ram[0x71C])
        screen = emulator.screen[stage_map.TOP :].astype(int)
    there = stage_map.stage_map(stage)[:, scroll : scroll + 256].astype(int)
    assert scroll > 0
    alike = np.abs(there - screen).max(axis=2) < 24
    assert alike.mean() > 0.9
    elsewhere = stage_map.stage_map(stage)[:, scroll + 700 : scroll + 956].astype(int)
    assert (np.abs(elsewhere - screen).max(axis=2) < 24).mean() < alike.mean() - 0.02


def test_a_place_that_the_map_does_not_have_is_nowhere() -> None:
    places = np.array([[40, 176, 37], [40, 176, 66], [40, 176, NO_AREA], [30_000, 176, 37], [-2, 176, 37]])
    found = stage_map.on_map("1-1", places)
    assert found[0].tolist() == [48, 168]
    assert (found[1:4] == -1).all()
    assert found[4].tolist() == [6, 168]
    assert stage_map.on_map("1-1", np.empty((0, 3), np.int16)).shape == (0, 2)


def test_the_second_area_of_a_stage_lies_after_the_first() -> None:
    (_, second) = stage_map.pieces()["1-2"]
    (there,) = stage_map.on_map("1-2", np.array([[2_900, 100, second.area]]))
    assert there[0] == 2_900 - second.x + stage_map.MIDDLE[0] + second.left


def test_dots_and_ways_are_drawn_where_they_are() -> None:
    ground = draw_map("1-1", [])
    assert ground.shape == stage_map.stage_map("1-1").shape
    drawn = draw_map("1-1", [episode(1), episode(2, "clear", x=1_000, y=60)])
    red = END_COLOURS["death"][0]
    assert ground[168, 248, 0] < drawn[168, 248, 0] < red, "it is the older one"
    assert tuple(draw_map("1-1", [episode(1)])[168, 248]) == END_COLOURS["death"]
    assert tuple(drawn[52, 1_208]) == END_COLOURS["clear"]
    assert not np.array_equal(drawn[168, 150], ground[168, 150])
    assert np.array_equal(drawn[:, 400:900], ground[:, 400:900]), "nothing is drawn where nobody was"
    old, new = draw_map("1-1", [episode(1), episode(2, x=1_000)])[168, [150, 1_100]].astype(int)
    sky = ground[168, 150].astype(int)
    assert np.abs(new - sky).sum() > 2 * np.abs(old - sky).sum() > 0, "trails fade"
    chosen = draw_map("1-1", [episode(1)], chosen=episode(1))
    assert tuple(chosen[168, 150]) == (255, 255, 0)


def test_a_pipe_breaks_the_way_and_who_falls_is_at_the_edge() -> None:
    one = episode(1)
    one.trail[10:, 0] += 1_500
    one.trail[-1] = (1_750, 300, 37)
    drawn, ground = draw_map("1-1", [one]), draw_map("1-1", [])
    assert np.array_equal(drawn[:, 400:1_500], ground[:, 400:1_500])
    assert (drawn[-6:, 1_750:1_766] == END_COLOURS["death"]).all(axis=2).any()


@pytest.mark.parametrize(("lines", "scale"), [(1, 0.05), (3, 0.11), (4, 1.0)])
def test_mario_is_marked_where_he_is_also_in_lines(lines: int, scale: float) -> None:
    picture = in_lines(draw_map("1-1", [], scale=scale), lines)
    before = picture.copy()
    marked = with_mario(picture, "1-1", (2_000, 60, 37), lines=lines, scale=scale)
    rows, columns = np.nonzero((marked == 255).all(axis=2))
    height, width = (len(picture) - lines + 1) // lines, picture.shape[1]
    line, row = divmod(rows.mean(), height + 1)
    assert line * width + columns.mean() == pytest.approx(2_008 * scale, abs=2)
    assert row == pytest.approx(52 * scale, abs=2)
    assert np.array_equal(picture, before)
    fell = with_mario(picture, "1-1", (2_000, 400, 37), lines=lines, scale=scale)
    assert (fell == 255).all(axis=2).any(), "at the edge"
    for nowhere in (None, (2_000, 60, -1)):
        assert with_mario(picture, "1-1", nowhere, lines=lines, scale=scale) is picture


def test_the_last_episodes_up_to_a_step() -> None:
    known = [episode(number) for number in range(10)]  # that end at the steps 100 to 1,000

    def numbers(step: int | None, most: int) -> list[int]:
        return [one.record.episode for one in up_to(known, step, most)]

    assert numbers(None, 3) == [7, 8, 9]
    assert numbers(500, 3) == [2, 3, 4]
    assert numbers(499, 3) == [1, 2, 3]
    assert numbers(200, 3) == [0, 1]
    assert numbers(99, 3) == []
    assert numbers(10**9, 100) == list(range(10))


@pytest.mark.parametrize(("width", "height", "lines"), [(80, 8, 1), (120, 72, 3), (1_000, 1_000, 4)])
def test_a_map_is_cut_into_as_many_lines_as_make_it_large(width: int, height: int, lines: int) -> None:
    found, scale = fitted("1-1", width, height)
    assert found == lines
    stacked = in_lines(draw_map("1-1", [], scale=scale), lines)
    assert stacked.shape[0] <= height + lines
    assert stacked.shape[1] <= width + 1


def test_a_run_is_read_as_it_grows_and_anew_where_it_was_given_up(tmp_path: Path) -> None:
    metrics, kept = tmp_path / "metrics.csv", EpisodeFile(tmp_path, 100)
    run = RunMap(tmp_path)
    assert not run.read()
    metrics.write_text(csv_heading(EpisodeRecord), newline="")

    def add(number: int, end: str = "death") -> None:
        with metrics.open("a", newline="") as file:
            file.write(csv_line(record(number, end)))
        trail = episode(number).trail
        kept.add(KeptEpisode(number, ActionLog("1-1", 4, (128,) * 20), trail))

    add(0)
    add(1)
    assert run.read()
    assert not run.read()
    with metrics.open("a", newline="") as file:
        file.write(csv_line(record(2))[:20])
    assert not run.read(), "the line is not whole"
    with metrics.open("a", newline="") as file:
        file.write(csv_line(record(2))[20:])
    kept.add(KeptEpisode(2, ActionLog("1-1", 4, (128,)), episode(2).trail))
    assert run.read()
    assert [one.record.episode for one in run.episodes] == [0, 1, 2]

    metrics.unlink()
    (tmp_path / FILE).unlink()
    metrics.write_text(csv_heading(EpisodeRecord), newline="")
    kept = EpisodeFile(tmp_path, 100)
    add(0, "stall")
    assert run.read()
    assert [one.record.end for one in run.episodes] == ["stall"]
    assert [one.record.end for one in read_map(tmp_path).episodes] == ["stall"]


def test_only_the_newest_are_read_where_no_more_are_wanted(tmp_path: Path) -> None:
    kept = EpisodeFile(tmp_path, 100)
    run = RunMap(tmp_path, most=3)

    def add(numbers: range) -> None:
        with (tmp_path / "metrics.csv").open("a", newline="") as file:
            file.writelines(csv_line(record(number)) for number in numbers)
        for number in numbers:
            kept.add(KeptEpisode(number, ActionLog("1-1", 4, (128,) * 20), episode(number).trail))

    (tmp_path / "metrics.csv").write_text(csv_heading(EpisodeRecord), newline="")
    add(range(8))
    assert run.read()
    assert [one.record.episode for one in run.episodes] == [5, 6, 7]
    add(range(8, 10))
    assert run.read()
    assert [one.record.episode for one in run.episodes] == [7, 8, 9]


def test_a_run_without_kept_episodes_is_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(csv_heading(EpisodeRecord) + csv_line(record(0)), newline="")
    with pytest.raises(InputError, match="no episode that is kept"):
        read_map(tmp_path)


def kept_run(folder: Path, ends: list[int]) -> Path:
    """A run whose episodes ended at these x positions."""
    file = EpisodeFile(folder, 1000)
    lines = [csv_heading(EpisodeRecord)]
    for number, x in enumerate(ends):
        one = episode(number, x=x - 200)
        file.add(KeptEpisode(number, ActionLog("1-1", 4, (128,) * 21), one.trail))
        lines.append(csv_line(one.record))
    (folder / "metrics.csv").write_text("".join(lines), newline="")
    return folder


def test_the_newest_episodes_are_those_of_the_whole_map(tmp_path: Path) -> None:
    run = kept_run(tmp_path, [300 + number for number in range(30)])
    newest = RunMap(run, 10)
    assert newest.read()
    found = newest.episodes
    assert [one.record for one in found] == [one.record for one in read_map(run).episodes[-10:]]
    assert all((a.trail == b.trail).all() for a, b in zip(found, read_map(run).episodes[-10:], strict=True))
    assert not RunMap(tmp_path / "none", 10).read()


def test_a_small_picture_shows_the_part_where_most_episodes_end(tmp_path: Path) -> None:
    run = kept_run(tmp_path, [400, 2000, 2010, 2020, 2900])
    picture = run_picture(run, "1-1", 40, 24)
    assert picture is not None
    assert picture.shape == (24, 40, 3)
    red = np.argwhere((picture[:, :, 0] > 150) & (picture[:, :, 1] < 100))  # older ones are dimmer
    assert len(red)
    assert set(red[:, 1].tolist()) <= set(range(15, 26)), "the three that end at one place, in its middle"


def test_a_large_picture_is_the_whole_map_in_lines(tmp_path: Path) -> None:
    picture = run_picture(kept_run(tmp_path, [400, 2000]), "1-1", 700, 420)
    lines, scale = fitted("1-1", 700, 420)
    assert lines > 1
    assert picture is not None
    assert (picture == in_lines(draw_map("1-1", read_map(tmp_path).episodes, scale=scale), lines)).all()


def test_a_run_without_kept_episodes_has_the_start_of_its_stage(tmp_path: Path) -> None:
    picture = run_picture(tmp_path, "1-1", 40, 24)
    assert picture is not None
    assert (picture == draw_map("1-1", [], scale=24 / stage_map.HEIGHT)[:, :40]).all()
    assert run_picture(tmp_path, "?", 40, 24) is None
    assert run_picture(tmp_path, "1-1", 0, 24) is None


def test_a_picture_is_new_once_there_are_new_episodes(tmp_path: Path) -> None:
    before = run_picture(kept_run(tmp_path, [400]), "1-1", 40, 24)
    assert before is run_picture(tmp_path, "1-1", 40, 24)
    (tmp_path / FILE).unlink()
    after = run_picture(kept_run(tmp_path, [400, 2900, 2900]), "1-1", 40, 24)
    assert before is not None
    assert after is not None
    assert (before != after).any()

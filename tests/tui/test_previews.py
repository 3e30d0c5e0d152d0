"""What stands beside a list of the selected row, where there is room."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from mario_tui.tui.jobs import Job
from mario_tui.tui.screens.checkpoints import CheckpointsScreen
from mario_tui.tui.screens.recordings import RecordingsScreen
from mario_tui.tui.widgets.game_view import GameView
from mario_tui.tui.widgets.metric_chart import MetricChart
from mario_tui.tui.widgets.preview import Preview
from mario_tui.tui.widgets.row_list import RowList
from tui.fakes import RUN, World, checkpoint, picture, recording, typical_checkpoints, until


def facts(pilot: Pilot[Any]) -> str:
    return str(pilot.app.screen.query_one("#preview-facts", Static).content)


async def open_checkpoints(pilot: Pilot[Any]) -> CheckpointsScreen:
    await pilot.press("c")
    screen = pilot.app.screen
    assert isinstance(screen, CheckpointsScreen)
    await until(pilot, lambda: screen.selected is not None)
    return screen


async def test_a_run_is_shown_with_picture_figures_and_curve() -> None:
    world = World(typical_checkpoints())
    world.checkpoints[0] = replace(world.checkpoints[0], robust_clear_rate=0.62, robust_episodes=100)
    async with world.app().run_test(size=(160, 50)) as pilot:
        screen = await open_checkpoints(pilot)
        await until(pilot, lambda: "overnight" in facts(pilot))
        assert "clears the stage" in facts(pilot)
        assert "62 of 100 cleared: 62 %, 95 % interval 52-71" in facts(pilot)
        assert "fast, but n_steps 5" in facts(pilot)
        assert "62 % 52-71" in str(screen.query_one("#table").get_row_at(0)[4])  # type: ignore[attr-defined]
        sight = screen.query_one(Preview).sight
        assert sight is not None
        assert sight.curve is not None
        assert len(sight.curve) == 40
        shown = screen.query_one("#preview-picture", GameView).frame
        assert shown is not None
        assert (shown == picture(len("overnight"))).all()
        await until(pilot, lambda: screen.query_one("#preview-curve", MetricChart).region.height >= 7)
        below = str(screen.query_one("#selected", Static).content)
        assert "robust" not in below, "what the preview says stands there only"


async def test_what_cannot_be_read_is_told_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(World, "run_curve", broken)
    monkeypatch.setattr(World, "run_progress", broken)
    async with World(typical_checkpoints()).app().run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen.query_one("#runs", RowList).rows))
        await open_checkpoints(pilot)
        await until(pilot, lambda: "Input/output error" in facts(pilot))


async def test_a_checkpoint_has_the_curve_up_to_its_step() -> None:
    infos = [checkpoint(step, run="long") for step in (30_000, 12_000)]
    async with World(infos).app().run_test(size=(160, 50)) as pilot:
        screen = await open_checkpoints(pilot)
        await pilot.press("right", "end")
        await until(pilot, lambda: "step 12,000" in facts(pilot))
        sight = screen.query_one(Preview).sight
        assert sight is not None
        assert sight.curve is not None
        assert [step for step, _ in sight.curve] == [1000.0 * n for n in range(13)]


async def test_the_picture_is_made_anew_where_its_place_changes() -> None:
    async with World(typical_checkpoints()).app().run_test(size=(160, 50)) as pilot:
        screen = await open_checkpoints(pilot)
        preview = screen.query_one(Preview)
        await until(pilot, lambda: screen.preview_is_ready and preview.pixels[1] > 0)
        before = preview.pixels
        pilot.app.jobs.running += [Job(f"evaluating {number}", "run/step-1", "") for number in range(3)]  # type: ignore[attr-defined]
        await until(pilot, lambda: preview.pixels[1] < before[1])
        await until(pilot, lambda: screen.preview_is_ready)
        pilot.app.jobs.running.clear()  # type: ignore[attr-defined]
        await until(pilot, lambda: preview.pixels == before)
        await until(pilot, lambda: screen.preview_is_ready)
        screen.add_class("-flat")
        await until(pilot, lambda: preview.pixels == (0, 0))
        await until(pilot, lambda: screen.preview_is_ready)
        screen.remove_class("-flat")
        await until(pilot, lambda: preview.pixels == before)
        await until(pilot, lambda: screen.preview_is_ready)


async def test_who_passes_over_rows_does_not_wait_for_them() -> None:
    """Only the row on which the cursor rests is looked at."""
    world = World([checkpoint(1000, run=f"run-{number}") for number in range(30)])
    async with world.app().run_test(size=(160, 50)) as pilot:
        await open_checkpoints(pilot)
        await until(pilot, lambda: "run-0" in facts(pilot))
        world.looked_at.clear()
        for _ in range(20):
            pilot.app.post_message(events.Key("down", None))
        await until(pilot, lambda: "run-20" in facts(pilot))
        assert world.looked_at[-1] == Path("/checkpoints/run-20")
        assert len(set(world.looked_at)) < 20


@pytest.mark.parametrize("size", [(80, 24), (119, 50)])
async def test_a_narrow_screen_has_the_list_alone(size: tuple[int, int]) -> None:
    world = World(typical_checkpoints())
    world.checkpoints[0] = replace(world.checkpoints[0], robust_clear_rate=0.62, robust_episodes=100)
    async with world.app().run_test(size=size) as pilot:
        screen = await open_checkpoints(pilot)
        await until(pilot, lambda: bool(world.verified) or screen.has_focus is not None)
        assert not screen.query_one(Preview).region
        assert screen.query_one("#table").region.width == size[0]
        assert world.looked_at == []
        below = str(screen.query_one("#selected", Static).content)
        assert "robust: 62 % (52-71) of 100 episodes" in below


async def test_the_preview_comes_and_goes_with_the_width() -> None:
    world = World(typical_checkpoints())
    async with world.app().run_test(size=(80, 24)) as pilot:
        screen = await open_checkpoints(pilot)
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: "overnight" in facts(pilot))
        table = screen.query_one("#table")
        assert table.region.width + screen.query_one(Preview).region.width == 160
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: table.region.width == 80)


async def test_a_run_that_can_not_be_used_has_no_figures() -> None:
    world = World([checkpoint(40_000, whole=False, problem="it is damaged")])
    async with world.app().run_test(size=(160, 50)) as pilot:
        await open_checkpoints(pilot)
        await until(pilot, lambda: RUN in facts(pilot))
        assert "greedy" not in facts(pilot)


async def test_a_recording_is_shown_with_a_picture_and_its_data() -> None:
    world = World()
    world.recordings = [
        recording("one.mp4"),
        recording("two.mp4", cleared=False, max_x=722, stage="1-1,1-2", first_frame=120),
        recording("found.gif", log=None, stage="?", seconds=None, cleared=None, max_x=None, problem="no log"),
    ]
    async with world.app().run_test(size=(120, 40)) as pilot:
        await pilot.press("v")
        screen = pilot.app.screen
        assert isinstance(screen, RecordingsScreen)
        await until(pilot, lambda: "clears the stage, farthest x 3,161" in facts(pilot))
        shown = screen.query_one("#preview-picture", GameView)
        assert shown.frame is not None
        assert (shown.frame == picture(len("one.mp4"))).all()
        await until(pilot, lambda: not screen.query_one("#preview-curve").region)
        await pilot.press("down")
        await until(pilot, lambda: "stage 1-1, 1-2  ends before the flag, farthest x 722" in facts(pilot))
        assert "21.4 s, begins 2.0 s into the play, 640 kB" in facts(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "outcome not known" in facts(pilot))
        assert shown.frame is None

"""Ghosts: the trail of an episode, and how it is drawn into the pictures of another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mario_tui.game.action_log import ActionLog
from mario_tui.game.episode import EndReason
from mario_tui.game.replaying import play_log
from mario_tui.game.step import EpisodeStep
from mario_tui.game.view import View
from mario_tui.play.ghost_picture import GhostsInPicture, ShownGhost, draw_ghosts, ghosts_at
from mario_tui.play.ghost_trail import STAYS_FRAMES, GhostTrail, follow
from mario_tui.play.sprites import Sight

LOGS = Path(__file__).parents[1] / "game" / "logs"


@pytest.fixture(scope="module")
def episode() -> list[EpisodeStep]:
    return list(play_log(ActionLog.load(LOGS / "1-1-clear.json")))


@pytest.fixture(scope="module")
def trail(episode: list[EpisodeStep]) -> GhostTrail:
    trail = GhostTrail("120k")
    assert follow(trail, episode)
    return trail


def seen(episode: list[EpisodeStep], frame: int) -> tuple[np.ndarray, View]:
    """The picture and the view after so many frames."""
    number = 0
    for step in episode:
        for picture, view in zip(step.frames, step.views, strict=True):
            number += 1
            if number == frame:
                assert view is not None
                return picture, view
    raise AssertionError("the episode is shorter")


def at(trail: GhostTrail, frame: int) -> Sight:
    sight = trail.at(frame)
    assert sight is not None
    return sight


def changed(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.asarray((picture != drawn).any(axis=2))


def test_the_trail_of_an_episode_says_how_it_went(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    last = episode[-1]
    assert (trail.frames, trail.max_x, trail.progress, trail.end) == (
        last.frame_count,
        last.max_x,
        1.0,
        EndReason.CLEAR,
    )
    assert trail.best_frame == last.frame_count
    for step in (episode[0], episode[40], last):
        assert trail.x_at(step.frame_count) == step.x
    assert trail.x_at(10**6) == last.x
    assert GhostTrail("new").x_at(0) is None
    assert GhostTrail("new").at(1) is None


@pytest.mark.parametrize("frame", [1, 200, 381, 700, 1300])
def test_the_ghost_of_the_same_episode_covers_mario_and_nothing_else(
    episode: list[EpisodeStep], trail: GhostTrail, frame: int
) -> None:
    picture, view = seen(episode, frame)
    sight = at(trail, frame)
    before = picture.copy()
    drawn = draw_ghosts(picture, view, [ShownGhost(sight)])
    assert np.array_equal(picture, before), "the game's own picture stays as it is"
    mask = np.zeros((240, 256), bool)
    left = sight.x - view.left
    mask[sight.y : sight.y + len(sight.sprite.mask), left : left + sight.sprite.mask.shape[1]] = sight.sprite.mask
    assert np.array_equal(changed(picture, drawn), mask)


def test_mario_himself_lies_on_top(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    picture, view = seen(episode, 200)
    own = at(trail, 200)
    assert not changed(picture, draw_ghosts(picture, view, [ShownGhost(own)], own)).any()
    beside = replace(own, x=own.x + 5)
    drawn = changed(picture, draw_ghosts(picture, view, [ShownGhost(beside)], own))
    assert drawn.any()
    left = own.x - view.left
    part = drawn[own.y : own.y + len(own.sprite.mask), left : left + own.sprite.mask.shape[1]]
    assert not part[own.sprite.mask].any()


def test_a_ghost_is_half_transparent(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    picture, view = seen(episode, 200)
    sight = replace(at(trail, 200), x=at(trail, 200).x + 40)
    light = draw_ghosts(np.full_like(picture, 255), view, [ShownGhost(sight)])
    dark = draw_ghosts(np.zeros_like(picture), view, [ShownGhost(sight)])
    where = changed(light, np.full_like(picture, 255))
    assert 80 < where.sum() < 256
    assert ((light.astype(int) - dark)[where] > 60).all(), "what lies behind shines through"
    assert (dark[where].max(axis=1) > 20).all(), "and the ghost is there too"


def test_a_ghost_outside_the_picture_draws_nothing(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    picture, view = seen(episode, 700)
    sight = at(trail, 700)
    outside = [
        replace(sight, x=view.left + 256),
        replace(sight, x=view.left - 16),
        replace(sight, y=240),
        replace(sight, y=-16),
        replace(sight, area=(0, 0, 66)),
    ]
    for ghost in outside:
        assert not changed(picture, draw_ghosts(picture, view, [ShownGhost(ghost, name="120k")])).any()
    for x, columns in ((view.left - 8, slice(0, 8)), (view.left + 248, slice(248, 256))):
        drawn = changed(picture, draw_ghosts(picture, view, [ShownGhost(replace(sight, x=x))]))
        assert drawn[:, columns].any()
        drawn[:, columns] = False
        assert not drawn.any(), "a part of him at the edge"


def test_names_stand_over_the_ghosts_and_not_over_each_other(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    picture, view = seen(episode, 700)
    sight = replace(at(trail, 700), y=150)
    one = draw_ghosts(picture, view, [ShownGhost(sight, (1, 2, 250), "120k")])
    two = draw_ghosts(picture, view, [ShownGhost(sight, (1, 2, 250), "120k"), ShownGhost(sight, (250, 2, 1), "60k")])

    def letters(drawn: np.ndarray, tint: tuple[int, int, int]) -> np.ndarray:
        return np.asarray((drawn == tint).all(axis=2))

    rows = np.flatnonzero(letters(one, (1, 2, 250)).any(axis=1))
    assert len(rows) > 4
    assert np.max(rows) < sight.y
    assert np.array_equal(letters(two, (1, 2, 250)), letters(one, (1, 2, 250)))
    assert np.max(np.flatnonzero(letters(two, (250, 2, 1)).any(axis=1))) < np.min(rows)


def test_a_ghost_stays_for_a_moment_where_its_episode_ended() -> None:
    trail = GhostTrail("0")
    follow(trail, play_log(ActionLog("1-1", 4, (128,) * 2000)))
    assert trail.end is EndReason.DEATH
    last = next(sight for frame in range(trail.frames, 0, -1) if (sight := trail.at(frame)) is not None)
    assert trail.at(trail.frames + 1) == trail.at(trail.frames + STAYS_FRAMES) == last
    assert trail.at(trail.frames + STAYS_FRAMES + 1) is None


def test_better_ghosts_cleared_came_farther_or_were_quicker() -> None:
    def ghost(end: EndReason, progress: float, frames: int) -> GhostTrail:
        trail = GhostTrail("")
        trail.end, trail.progress, trail.best_frame = end, progress, frames
        return trail

    order = [
        ghost(EndReason.CLEAR, 1.0, 1200),
        ghost(EndReason.CLEAR, 1.0, 1500),
        ghost(EndReason.STALL, 0.9, 1000),
        ghost(EndReason.DEATH, 0.5, 300),
        ghost(EndReason.DEATH, 0.5, 400),
    ]
    assert sorted([*order[3:], *order[:3]], key=lambda trail: trail.merit, reverse=True) == order


def test_ghosts_are_drawn_at_the_same_frame_of_their_episode(episode: list[EpisodeStep], trail: GhostTrail) -> None:
    picture, view = seen(episode, 300)
    ghosts = ghosts_at([trail], 290)
    assert [ghost.sight for ghost in ghosts] == [trail.at(290)]
    assert ghosts[0].name == "120k"
    expected = draw_ghosts(picture, view, ghosts, at(trail, 300))
    assert np.array_equal(GhostsInPicture([trail]).draw(picture, view, 290), expected)
    without = GhostsInPicture([trail], names=False).draw(picture, view, 290)
    assert 0 < changed(picture, without).sum() < changed(picture, expected).sum()
    assert GhostsInPicture([trail]).draw(picture, None, 290) is picture

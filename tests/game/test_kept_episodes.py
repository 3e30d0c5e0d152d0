"""The file of the episodes of a training that can be watched again."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from kept import read_kept

from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog
from mario_tui.game.kept_episodes import FILE, EpisodeFile, EpisodeName, KeptEpisode, find_kept, find_near
from mario_tui.store.history import EpisodeRecord, csv_heading, csv_line


def kept(number: int, *, steps: int = 40, frame_skip: int = 4) -> KeptEpisode:
    rng = random.Random(number)
    trail = np.cumsum([[rng.randint(-3, 12), rng.randint(-8, 8), 0] for _ in range(steps)], axis=0)
    trail[:, 2] = rng.choice((37, -1))
    log = ActionLog("1-1", frame_skip, tuple(rng.choice((128, 129)) for _ in range(steps)))
    return KeptEpisode(number, log, trail.astype(np.int16))


def same(one: KeptEpisode, other: KeptEpisode) -> bool:
    return (one.episode, one.log) == (other.episode, other.log) and np.array_equal(one.trail, other.trail)


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, 100)
    added = [kept(number, steps=1 + 30 * number, frame_skip=1 + number % 4) for number in range(9)]
    for one in added:
        file.add(one)
    assert all(map(same, read_kept(tmp_path), added))
    assert len(list(read_kept(tmp_path))) == 9
    assert same(EpisodeName(tmp_path, 5).load(), added[5])
    empty = KeptEpisode(9, ActionLog("8-4", 4, ()), np.empty((0, 3), np.int16))
    file.add(empty)
    assert same(find_kept(tmp_path, 9), empty)


def test_an_episode_takes_little_room() -> None:
    assert len(kept(3, steps=300).line()) < 900


def test_only_the_newest_are_kept_and_a_file_that_was_there_counts(tmp_path: Path) -> None:
    for first in (0, 30):  # as if the program began twice
        file = EpisodeFile(tmp_path, 20)
        for number in range(first, first + 30):
            file.add(kept(number))
        numbers = [one.episode for one in read_kept(tmp_path)]
        assert numbers == list(range(numbers[0], first + 30))
        assert 20 <= len(numbers) <= 25


def test_none_are_kept_if_none_are_wanted(tmp_path: Path) -> None:
    EpisodeFile(tmp_path, 0).add(kept(1))
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "damage",
    ["9,1-1,4,xx,yy", "9,9-9,4,,", "9,1-1,0,,", "nine", "", "9,1-1,4", "9,1-1,4,{},{}", "\x00\xff", "9,1-1,4,é,é"],
)
def test_damaged_lines_are_left_out_and_told_of(damage: str, tmp_path: Path) -> None:
    lines = [kept(number).line() for number in (8, 10)]
    buttons, trail = kept(9).line().rstrip().split(",")[3:]
    damage = damage.format(buttons[:-9], trail)
    heading = "episode,stage,frame_skip,buttons,trail\r\n"
    (tmp_path / FILE).write_bytes((heading + lines[0] + damage + "\r\n" + lines[1]).encode("latin-1"))
    assert [one.episode for one in read_kept(tmp_path)] == [8, 10]
    assert find_kept(tmp_path, 10).episode == 10
    with pytest.raises(InputError, match=re.escape("episode 9 of")):
        find_kept(tmp_path, 9)


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keeps no episodes"):
        find_kept(tmp_path, 3)
    file = EpisodeFile(tmp_path, 10)
    for number in (1_200, 1_201):
        file.add(kept(number))
    with pytest.raises(InputError, match=r"episode 3 of .* is not kept: there are 1,200 to 1,201"):
        find_kept(tmp_path, 3)


def test_the_nearest_training_episode_is_found_where_it_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training episodes"):
        find_near(tmp_path, 3)
    kinds = ["training", "greedy", "greedy", "training", "practice", "training"]
    records = [
        EpisodeRecord(n, 10 * n, 1.0, "1-1", 1.0, 5, 0.0, 0.0, 100, "death", 1.0, kind) for n, kind in enumerate(kinds)
    ]
    (tmp_path / "metrics.csv").write_text(csv_heading(EpisodeRecord) + "".join(map(csv_line, records)), newline="")
    file = EpisodeFile(tmp_path, 10)
    for number in range(2, 6):
        file.add(kept(number))
    found = {episode: find_near(tmp_path, episode) for episode in (2, 3.4, 4.5, 99)}
    assert {episode: name.episode for episode, name in found.items()} == {2: 3, 3.4: 3, 4.5: 5, 99: 5}
    assert same(found[2].load(), kept(3))
    with pytest.raises(InputError, match=r"episode 0 of .* is not kept: there are 2 to 5"):
        find_near(tmp_path, 1)


def test_a_line_that_was_cut_off_is_no_episode(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, 10)
    for number in (1, 2):
        file.add(kept(number))
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:-30])
    assert [one.episode for one in read_kept(tmp_path)] == [1]
    EpisodeFile(tmp_path, 10).add(kept(3))
    assert [one.episode for one in read_kept(tmp_path)] == [1, 3]

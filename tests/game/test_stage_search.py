"""The search for a way through a stage, in the real game."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mario_tui.game import stage_search
from mario_tui.game.action_log import ActionLog
from mario_tui.game.emulator import Emulator, open_emulator
from mario_tui.game.nes_py_emulator import NesPyEmulator
from mario_tui.game.replaying import replay
from mario_tui.game.stage_search import StageSearch

CLEAR = ActionLog.load(Path(__file__).parent / "logs" / "1-1-clear.json")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with open_emulator("1-1") as emulator:
        if not emulator.has_snapshots():
            pytest.skip("this emulator cannot go back to places in an episode: a search takes hours")
        yield emulator


def found(search: StageSearch) -> list[tuple]:
    return [(key, cell.way, cell.visits, cell.progress) for key, cell in search.cells.items()]


def test_it_depends_on_its_seed_alone_and_goes_on_where_it_was_saved(emulator: Emulator) -> None:
    whole = StageSearch(emulator, "run5", 3)
    for _ in range(6):
        whole.explore()
    half = StageSearch(emulator, "run5", 3)
    for _ in range(3):
        half.explore()
    again = StageSearch(emulator, "run5", 99)
    again.load_state_dict(json.loads(json.dumps(half.state_dict())))
    assert (found(again), again.transitions, again.farthest) == (found(half), half.transitions, half.farthest)
    for _ in range(3):
        again.explore()
    assert (found(again), again.transitions) == (found(whole), whole.transitions)
    assert 0 < whole.transitions <= 6 * stage_search.EXPLORE_STEPS
    other = StageSearch(emulator, "run5", 4)
    for _ in range(6):
        other.explore()
    assert found(other) != found(whole)


def test_every_place_is_where_its_buttons_lead(emulator: Emulator) -> None:
    search = StageSearch(emulator, "run5", 0)
    for _ in range(8):
        search.explore()
    assert len(search.cells) > 20
    for key, cell in list(search.cells.items())[::9]:
        emulator.reset()
        for byte in cell.way:
            assert not search._play(byte)
        assert search._key(emulator.ram) == key
    areas, x = search.farthest
    assert areas == 1
    assert x == max(key[3] for key in search.cells) * stage_search.CELL_X


def test_of_two_ways_to_a_place_the_shorter_one_is_kept(emulator: Emulator) -> None:
    search = StageSearch(emulator, "run5", 0)
    key = search._key(emulator.ram)
    search._keep(key, b"\x82" * 5, 0)
    assert search.cells[key].way == b""
    other = (*key[:3], 9, *key[4:])
    search._keep(other, b"\x82" * 5, 1)
    search.cells[other].visits = 7
    search._keep(other, b"\x82" * 4, 1)
    search._keep(other, b"\x82" * 6, 1)
    assert (search.cells[other].way, search.cells[other].visits) == (b"\x82" * 4, 7)


@pytest.mark.parametrize("snapshots", [True, False])
def test_it_finds_the_flag_and_the_log_leads_there(
    emulator: Emulator, snapshots: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some steps before it, so that it takes seconds."""
    if not snapshots:
        monkeypatch.setattr(NesPyEmulator, "has_snapshots", lambda self: False)
    search = StageSearch(emulator, "complex", 0)
    emulator.reset()
    way = CLEAR.buttons[:-12]
    for byte in way:
        assert not search._play(byte)
    search.cells.clear()
    search._states.clear()
    search._keep(search._key(emulator.ram), bytes(way), 0)
    for _ in range(40):
        if search.way is None:
            search.explore()
    assert search.way is not None
    assert search.way.startswith(bytes(way))
    result = replay(search.log())
    assert result.cleared
    assert result.frames <= len(search.way) * stage_search.FRAME_SKIP


def test_only_so_many_states_are_kept_in_memory(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = StageSearch(emulator, "run5", 1)
    for _ in range(5):
        plain.explore()
    monkeypatch.setattr(stage_search, "MOST_STATES", 4)
    search = StageSearch(emulator, "run5", 1)
    for _ in range(5):
        search.explore()
        assert len(search._states) <= 4
    assert found(search) == found(plain), "the others are reached by their buttons"


def test_what_leads_into_another_stage_is_no_way(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    search = StageSearch(emulator, "run5", 0)
    monkeypatch.setattr(search, "_where", lambda: (4, 0))
    before = len(search.cells)
    search.explore()
    assert (search.transitions, len(search.cells)) == (1, before)


def test_a_place_that_its_buttons_do_not_lead_to_is_forgotten(emulator: Emulator) -> None:
    search = StageSearch(emulator, "run5", 0)
    (key,) = search.cells
    state = search.state_dict()
    state["cells"] = [[*key[:3], 40, *key[4:], 0, 40, "8282"]]
    search.load_state_dict(state)
    search.explore()
    assert search.transitions == 0
    assert search.cells.keys() == {key}, "it begins at the start"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(cells=[]),
        lambda state: state.update(transitions=-1),
        lambda state: state["cells"][0].__setitem__(-3, -1),
        lambda state: state["cells"][0].__setitem__(3, "4"),
        lambda state: state["cells"][0].__setitem__(-1, "zz"),
        lambda state: state["cells"][0].__setitem__(-1, "08"),
        lambda state: state["cells"][0].__setitem__(-2, -1),
        lambda state: state.pop("rng"),
        lambda state: state.update(rng={"bit_generator": "MT19937"}),
    ],
)
def test_a_state_that_is_none_is_refused(emulator: Emulator, spoil) -> None:
    search = StageSearch(emulator, "run5", 0)
    state = json.loads(json.dumps(search.state_dict()))
    spoil(state)
    with pytest.raises((KeyError, TypeError, ValueError)):
        search.load_state_dict(state)

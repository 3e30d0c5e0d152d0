"""The settings file: theme and keys, and what is wrong in it."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from textual.widgets import Static

from mario_tui import paths
from mario_tui.errors import InputError
from mario_tui.tui import keymap, preferences
from mario_tui.tui.keymap import all_bindings
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.screens.dialogs import HelpScreen
from mario_tui.tui.screens.train import TrainScreen
from tui.fakes import World, typical_checkpoints, until


def test_without_a_file_there_are_none(home: Path) -> None:
    assert preferences.load() == Preferences()
    assert paths.settings_file() == home / "settings.toml"


def test_without_a_home_of_its_own_it_is_where_the_system_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARIO_TUI_HOME", raising=False)
    assert paths.settings_file().parts[-2:] == ("mario-tui", "settings.toml")


def test_theme_and_keys_are_read(home: Path) -> None:
    paths.settings_file().write_text('theme = "nord"\n[keys]\n"train.pause" = "p"\n')
    assert preferences.load() == Preferences(theme="nord", keys={"train.pause": "p"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("theme = ", "settings.toml"),
        ("theme = 5", "theme should be"),
        ("colour = 1", "no setting 'colour'"),
        ("keys = 5", "[keys] should"),
        ('[keys]\n"train.pause" = 5', "the key of 'train.pause'"),
        ('[keys]\n"train.pause" = " "', "the key of 'train.pause'"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(home: Path, content: str, says: str) -> None:
    paths.settings_file().write_text(content)
    found = preferences.load()
    assert (found.theme, dict(found.keys)) == ("", {})
    (problem,) = found.problems
    assert says in problem
    assert "\n" not in problem


def test_the_theme_is_kept_and_all_else_left(home: Path) -> None:
    preferences.save_theme("nord")
    assert preferences.load().theme == "nord"
    paths.settings_file().write_text('# mine\ntheme = "nord" # dark\n\n[keys]\n"app.help" = "f1" # as everywhere\n')
    preferences.save_theme("mario")
    content = paths.settings_file().read_text()
    assert content == '# mine\ntheme = "mario"\n\n[keys]\n"app.help" = "f1" # as everywhere\n'


IDS = {
    "app": ("home train board checkpoints recordings help quit suspend cancel"),
    "home": ("open next-list list-before train watch-best play checkpoints board recordings quit"),
    "train": (
        "pause save stop view watch record evaluate window games map note more less knob new chart-reward "
        "chart-steps chart-loss chart-q chart-epsilon chart-ends home back "
        "cursor left right far-left far-right first last close-cursor zoom-in zoom-out see-all log mean play-again"
    ),
    "watch": (
        "pause step rewind step-on second-back second-on first newest faster slower again take-over next "
        "record video window input epsilon sticky timeline reward ghosts back home checkpoints"
    ),
    "play": (
        "left right down up jump run hop pause step faster slower again next stage-before keep load record "
        "video window back home checkpoints"
    ),
    "checkpoints": (
        "watch open close record gif grid race evaluate continue change begin order filter mark compare map note "
        "rename export delete take-back back"
    ),
    "board": ("watch train search play mark campaign back"),
    "compare": (
        "view seeds chart-how-far chart-reward chart-clear-rate chart-loss chart-q back "
        "cursor left right far-left far-right first last close-cursor zoom-in zoom-out see-all log mean"
    ),
    "map": (
        "watch record before beyond earlier later older newer ten-older ten-newer first newest only back "
        "home checkpoints"
    ),
    "recordings": ("play gif mp4 large folder delete take-back back"),
}
"""What settings files may name: an id stays, whatever becomes of its key and its label."""


def test_every_key_has_the_id_that_settings_files_name() -> None:
    ids = [str(binding.id) for binding in all_bindings()]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert set(ids) == {f"{place}.{name}" for place, names in IDS.items() for name in names.split()}


def test_ids_are_explicit_and_no_other_label_changes_them() -> None:
    folder = Path(keymap.__file__).parent
    bindings = [
        call
        for path in (folder / "keymap.py", *(folder / "screens").glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Binding"
    ]
    explained = [call for call in bindings if any(keyword.arg == "tooltip" for keyword in call.keywords)]
    assert len(explained) > 70
    for call in explained:
        ids = [keyword.value for keyword in call.keywords if keyword.arg == "id"]
        assert len(ids) == 1, ast.unparse(call)
        label = ast.unparse(call.args[2])
        assert isinstance(ids[0], (ast.Constant, ast.Name, ast.Subscript)), f"{label} has a computed id"


async def test_a_key_can_be_another_one_also_in_help_and_footer() -> None:
    world = World()
    world.user_preferences = Preferences(keys={"train.pause": "p,f9", "train.more": "f8", "app.help": "f1"})
    app = world.app()
    async with app.run_test() as pilot:
        app.session = world.session
        world.session.start()
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.has_class("-live"))
        await pilot.press("space", "p", "f9", "f8")
        assert world.session.calls[:3] == ["start", "pause", "resume"]
        assert world.session.calls[3].startswith("adjust learning_rate")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = "\n".join(str(line.content) for line in app.screen.query(Static))
        assert "f8  Raise what k chose" in text
        world.session.end()


async def test_a_theme_is_used_and_a_new_one_kept() -> None:
    world = World()
    world.user_preferences = Preferences(theme="mario-light")
    app = world.app()
    async with app.run_test() as pilot:
        assert app.theme == "mario-light"
        app.theme = "nord"
        await until(pilot, lambda: world.themes == ["nord"])


async def test_what_is_wrong_in_the_settings_is_told() -> None:
    world = World(typical_checkpoints())
    world.user_preferences = Preferences(theme="pink", keys={"train.dance": "d"}, problems=("settings.toml: bad",))
    app = world.app()
    async with app.run_test() as pilot:
        await pilot.pause()
        said = " ".join(str(note.message) for note in app._notifications)
        assert app.theme == "mario"
        for words in ("no theme 'pink'", "'train.dance'", "settings.toml: bad"):
            assert words in said


@pytest.mark.parametrize("line", ["  theme = 'nord'", '"theme" = "nord"', "'theme'='nord' # mine"])
def test_a_theme_is_replaced_however_its_line_is_written(tmp_path: Path, line: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f'graphics = "blocks"\n{line}\n[keys]\n"train.pause" = "p"\n')
    preferences.save_theme("mario-light", path)
    assert preferences.load(path) == Preferences(theme="mario-light", keys={"train.pause": "p"}, graphics="blocks")


@pytest.mark.parametrize("content", [b"theme = \xff", b"theme = ", b'[theme]\nname = "x"\n'])
def test_a_file_that_cannot_be_read_keeps_what_it_says(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        preferences.save_theme("mario-light", path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content

"""Settings are declared once, and every mistake is one line that names the setting."""

from pathlib import Path

import pytest

from mario_tui.config import TrainingConfig, field_help, field_range, load_toml, make_config
from mario_tui.errors import InputError
from mario_tui.game_roles import game_roles
from mario_tui.presets import PRESETS, nearest_preset, preset, preset_in_words
from mario_tui.stage_settings import stage_settings


@pytest.mark.parametrize("name", TrainingConfig.model_fields)
def test_every_setting_says_what_it_is_and_what_it_takes(name: str) -> None:
    group, _, description = field_help(name)
    assert group in {"Game", "Practice", "Network", "Values", "Updates", "Replay", "Corrections", "Exploration", "Run"}
    assert len(description) > 10
    assert field_range(name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stage": "9-9"}, "1-1 to 8-4"),
        ({"stage": "1-1-1"}, "1-1 to 8-4"),
        ({"stage": ""}, "1-1 to 8-4"),
        ({"episodes": -1}, "0 to 1,000,000,000"),
        ({"gamma": 1.0}, "0 to less than 1"),
        ({"learning_rate": 0}, "more than 0 to 1"),
        ({"learning_rate": float("nan")}, "more than 0 to 1"),
        ({"action_set": "all"}, "tutorial, run, run3, run5, right_only, simple, complex"),
        ({"envs": "many"}, "a whole number, 0 to 256"),
        ({"envs": 1.5}, "0 to 256"),
        ({"device": "gpu"}, "auto, cpu, mps, cuda or cuda:N"),
        ({"device": "cuda:"}, "cuda:N"),
        ({"device": "cuda:1\n"}, "cuda:N"),
        ({"device": "mps:0"}, "cuda:N"),
        ({"actors": "spark"}, "local, ray .* or ray:HOST:PORT"),
        ({"actors": "ray:head"}, "ray:HOST:PORT"),
        ({"actors": "ray:head:6379\n"}, "ray:HOST:PORT"),
        ({"learning_rate_schedule": "fast"}, "step:value, the steps rising, values more than 0, such as"),
        ({"learning_rate_schedule": "0:2"}, "values must be such as learning_rate takes, and 2 is not"),
        ({"learning_rate_schedule": "0:0.1 10:0"}, "values more than 0"),
        ({"exploration_schedule": "0:1.5"}, "such as exploration_rate takes, and 1.5 is not"),
        ({"n_steps_schedule": "0:5 10:4.5", "n_steps": 5}, "such as n_steps takes, and 4.5 is not"),
        ({"priority_correction_schedule": "0:-1"}, "such as priority_correction takes, and -1 is not"),
        ({"n_steps_schedule": "0:10", "n_steps": 5}, "must not be more than n_steps, which is 5: raise that"),
        ({"average_updates_schedule": "0:10"}, "there is no average without average_updates"),
        ({"n_steps_schedule": "0:1 " * 500}, "points step:value with spaces between, each value 1 to"),
        ({"leerning_rate": 1e-4}, "unknown setting 'leerning_rate'"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_takes(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_config(**values)
    assert next(iter(values)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_with_a_schedule_has_a_value_for_each_step() -> None:
    config = TrainingConfig(n_steps=10, n_steps_schedule="100:10 200:3", exploration_schedule="0:1 100:0.01")
    assert [config.at("n_steps", step) for step in (0, 150, 200)] == [10, 5, 3]
    assert config.at("exploration_rate", 50) == pytest.approx(0.1)
    assert (config.at("learning_rate", 50), config.schedule("learning_rate")) == (0.00025, None)


def test_settings_survive_toml(tmp_path: Path) -> None:
    for name in PRESETS:
        config = preset(name).replace(stage="4-2", until_clear=True)
        (tmp_path / "config.toml").write_text(config.to_toml())
        assert make_config(**load_toml(tmp_path / "config.toml")) == config


def test_files_that_are_no_settings_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("stage = = 1")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bad.toml", tmp_path / "binary.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError) as caught:
            load_toml(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["envs = true", 'steps = "150"', 'until_clear = "yes"', "stage = 5", "gamma = 2"])
def test_a_file_with_values_of_the_wrong_type_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "odd.toml").write_text(line)
    with pytest.raises(InputError, match=f"{line.split(maxsplit=1)[0]} = .* cannot be used: .*[0-9yes]"):
        load_toml(tmp_path / "odd.toml")


@pytest.mark.parametrize("actors", ["local", "ray", "ray:head:6379", "ray:10.0.0.1:6379", "ray:[::1]:6379"])
def test_where_games_run(actors: str) -> None:
    assert TrainingConfig(actors=actors).actors == actors


def test_presets() -> None:
    assert preset("tutorial") == TrainingConfig(envs=3, precision="auto")
    assert preset("fast").envs > 1
    robust = preset("robust")
    assert 0 < robust.until_robust < 1
    assert robust.steps
    game_roles(robust)  # raises InputError where the target has no game that measures it
    with pytest.raises(InputError, match="fast, robust, tutorial"):
        preset("slow")


def test_greedy_evaluations_are_on_where_a_clear_is_waited_for() -> None:
    assert TrainingConfig().eval_every_steps == 0
    assert TrainingConfig(until_clear=True).eval_every_steps == 20_000
    assert TrainingConfig(until_clear=True, eval_every=5_000).eval_every_steps == 5_000


def test_a_settings_file_may_come_from_another_system(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b'\xef\xbb\xbfsteps = 5\r\nstage = "4-2"\r\n')
    assert load_toml(tmp_path / "config.toml") == {"steps": 5, "stage": "4-2"}
    (tmp_path / "config.toml").write_bytes("steps = 5\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"config.toml cannot be read as a settings file: save it as UTF-8$"):
        load_toml(tmp_path / "config.toml")


def test_settings_of_older_versions_are_passed_over_where_they_changed_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        "munchausen = 0.0\nmunchausen_temperature = 0.03\nexploration_hold = 0\naction_gap = 0.0\n"
        "batch_size_schedule = ''\ngamma = 0.5\n"
    )
    assert make_config(**load_toml(file)) == TrainingConfig(gamma=0.5)
    for line in ("munchausen = 0.9", "exploration_hold = 8", "action_gap = 0.5", "batch_size_schedule = '0:8 9:16'"):
        file.write_text(line)
        with pytest.raises(InputError, match="unknown setting"):
            load_toml(file)


def test_the_settings_of_a_run_are_told_by_the_preset_that_it_is_most_like() -> None:
    assert nearest_preset(preset("fast")) == ("fast", {})
    changed = preset("robust").replace(gamma=0.9, shift=0, seed=7, steps=123)
    assert nearest_preset(changed) == ("robust", {"gamma": 0.9, "shift": 0})
    assert preset_in_words(changed) == "robust, but gamma 0.9, shift 0"
    there = preset("fast").replace(stage="1-4", **stage_settings("1-4"))
    assert preset_in_words(there) == "fast"
    assert preset_in_words(there.replace(layer_norm=False)) == "fast, but layer_norm off"

"""The settings of a training: one value for each field of settings.py, checked, and their files and words."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ConfigDict, ValidationError, model_validator

from mario_tui.errors import InputError
from mario_tui.run_settings import RunSettings
from mario_tui.schedules import Between, Schedule
from mario_tui.settings import SCHEDULES, AgentSettings, GameSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


RETIRED: dict[str, Callable[[Any], bool]] = {
    "munchausen": lambda value: value == 0,
    "munchausen_temperature": lambda _: True,
    "exploration_hold": lambda value: value in (0, 1),
    "action_gap": lambda value: value == 0,
    "batch_size_schedule": lambda value: value == "",
}
"""Settings of older versions: name -> whether a value is one with which they changed nothing. Others are refused."""


class TrainingConfig(RunSettings, AgentSettings, GameSettings):
    """The settings of one training run, in the order of the groups; the defaults are the tutorial's."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: Any) -> Any:
        """Runs of older versions have settings that are no more, most of them where they change nothing."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if not (name in RETIRED and RETIRED[name](value))}

    @property
    def eval_every_steps(self) -> int:
        """Steps between greedy evaluations; 0 without evaluations."""
        return self.eval_every or (20_000 if self.until_clear else 0)

    def replace(self, **changes: Any) -> TrainingConfig:
        """A checked copy with other values; raises InputError if one is out of range."""
        return make_config(**{**self.model_dump(), **changes})

    def schedule(self, setting: str) -> Schedule | None:
        """How a setting such as `learning_rate` changes over training; None if it is constant."""
        between, name = _SCHEDULED[setting]
        text = getattr(self, name)
        return _parsed(text, between) if text else None

    def at(self, setting: str, step: int) -> Any:
        """The value of a setting such as `learning_rate` at a step of the training."""
        constant, schedule = getattr(self, setting), self.schedule(setting)
        if schedule is None:
            return constant
        value = schedule.at(step)
        return round(value) if isinstance(constant, int) else value

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump())


_SCHEDULED = {settings[0]: (between, name) for name, (between, settings) in SCHEDULES.items()}
_parsed: Callable[[str, Between], Schedule] = lru_cache(Schedule.parse)  # at every update


def make_config(**values: Any) -> TrainingConfig:
    """A checked configuration; raises InputError with one line that names the setting and its range."""
    try:
        return TrainingConfig(**values)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def check_settings(values: dict[str, Any]) -> None:
    """Raises InputError for settings, read from a file, of the wrong type or out of range; "150" is no number here."""
    try:
        TrainingConfig.model_validate(values, strict=True)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


_SHOWN = 80  # characters of what cannot be used


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    shown = repr(first["input"])
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name[:_SHOWN]!r}: 'mario-tui train --help' lists them all"
    return f"{name} = {shown} cannot be used: {problems(error)[name]}"


def problems(error: ValidationError) -> dict[str, str]:
    """Name of a setting -> why its value cannot be used, for people."""
    known = [one for one in error.errors() if one["loc"] and one["loc"][0] in TrainingConfig.model_fields]
    return {str(one["loc"][0]): _reason(str(one["loc"][0]), one["type"], one["msg"]) for one in known}


def _reason(name: str, kind: str, message: str) -> str:
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    annotation = TrainingConfig.model_fields[name].annotation
    number = "a whole number, " if annotation is int else "a number, " if annotation is float else ""
    return f"it takes {number}{field_range(name)}"


def load_toml(path: Path) -> dict[str, Any]:
    """The training settings in a TOML file; raises InputError if it cannot be read or holds something else."""
    content = read_toml(path)
    try:
        check_settings(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; raises InputError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no settings file at {path}: check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} cannot be read as a settings file: save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as a settings file: {error.strerror}") from None
    return parse_toml(text, path)


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The content of a TOML file's text; raises InputError, naming the file, if it is not TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # which some editors put before UTF-8
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits, or too deep a nesting
        raise InputError(f"{path} is no TOML: {str(error)[:200]}") from None


def field_help(name: str) -> tuple[str, str, str]:
    """Group, unit and description of a setting, as forms and flags show them."""
    field = TrainingConfig.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return str(extra.get("group", "")), str(extra.get("unit", "")), field.description or ""


def fixed_settings() -> tuple[str, ...]:
    """The settings that cannot change when a run is resumed."""
    fields = TrainingConfig.model_fields.items()
    return tuple(name for name, field in fields if (field.json_schema_extra or {}).get("fixed"))  # type: ignore[union-attr]


_TAKES = {
    "demonstrations": "a file or a folder",
    "init_from": "a run or a path",
    "device": "auto, cpu, mps, cuda or cuda:N, one GPU of several",
    "actors": "local, ray (the cluster that this machine is part of), or ray:HOST:PORT",
}


def as_flag(name: str, value: Any) -> str:
    """A setting as one writes it on the command line, e.g. `--batch-size 32` or `--no-dueling`."""
    flag = name.replace("_", "-")
    return f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {shlex.quote(str(value))}"


def field_range(name: str) -> str:
    """The values that a setting takes, in words, e.g. `1 to 16`."""
    from typing import get_args

    field = TrainingConfig.model_fields[name]
    if name == "stage":
        return "1-1 to 8-4"
    if name in _TAKES:
        return _TAKES[name]
    if name in SCHEDULES:
        return f"points step:value with spaces between, each value {field_range(SCHEDULES[name][1][0])}"
    if get_args(field.annotation):
        return ", ".join(map(str, get_args(field.annotation)))
    low = high = None
    for constraint in field.metadata:
        low = getattr(constraint, "ge", None) if hasattr(constraint, "ge") else low
        low = f"more than {constraint.gt:g}" if hasattr(constraint, "gt") else low
        high = getattr(constraint, "le", None) if hasattr(constraint, "le") else high
        high = f"less than {constraint.lt:g}" if hasattr(constraint, "lt") else high
    if low is None and high is None:
        return "yes or no" if field.annotation is bool else ""
    show = [f"{v:,}" if isinstance(v, int) else v if isinstance(v, str) else f"{v:g}" for v in (low, high)]
    return f"{show[0]} to {show[1]}"

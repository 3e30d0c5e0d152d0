"""What a checkpoint says of itself, in its `manifest.json`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mario_tui.errors import CheckpointError, DamagedError
from mario_tui.rewards import REWARD_VERSIONS
from mario_tui.store.untrusted import read_json, sanitize

FORMAT = 2
MANIFEST = "manifest.json"
_PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds characters that cannot be shown")
    return text


def _safe_name(name: str) -> str:
    if not _PART_NAME.fullmatch(name):
        outside = "/" in name or name in ("", ".", "..")
        raise ValueError("it names a file outside its folder" if outside else "no part has such a name")
    return name


Line = Annotated[str, Field(max_length=100), AfterValidator(_printable)]
PartName = Annotated[str, AfterValidator(_safe_name)]
Count = Annotated[int, Field(ge=0, lt=10**18)]
Value = Annotated[float, Field(gt=-1e18, lt=1e18, allow_inf_nan=False)]


class Part(BaseModel):
    """One file of a checkpoint, as it was written: its size and the SHA-256 of its content, in hexadecimal."""

    model_config = ConfigDict(frozen=True, strict=True)

    bytes: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What a checkpoint says of itself: which training, agent and game it is of, and which files belong to it.

    Keys that this version does not know are kept, so that a manifest that is written anew (see `checkpoint.drop_parts`)
    loses nothing that a later version of the same format has added.

    Attributes:
        program, python: versions that saved it.
        created: when it was saved, ISO 8601 in UTC. Information only: `sequence` gives the order.
        sequence: the number of this save among those of its run, which grows from save to save.
        step: training steps so far.
        stage: the stage that is trained on.
        agent: what fixes the network and its input.
        reward: version of the reward that the agent learned from.
        episodes: training episodes that had ended.
        mean_reward: of the last 100 training episodes; None before the first.
        greedy_clear: whether a greedy evaluation has cleared the stage in this run.
        robust_trial: the clear rate that the best trial for the setting `until_robust` shows, the lower end of its 95 %
            interval; None without a trial.
        full: saved with the replay.
        evaluated: saved for an evaluation, as the best so far or for a robust trial, with the weights of that.
        rotates: a later checkpoint replaces it, see `run.rotate`.
        config: the settings of the run.
        versions: of the packages that figures depend on.
        parts: file name -> size and hash.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    program: Line = ""
    python: Line = ""
    created: Line
    sequence: Count
    step: Count
    stage: Line
    agent: dict[str, Any]
    reward: Line
    episodes: Count | None = None
    mean_reward: Value | None = None
    greedy_clear: bool | None = None
    robust_trial: Value | None = None
    full: bool = False
    evaluated: bool = False
    rotates: bool = False
    config: dict[str, Any]
    versions: dict[str, Annotated[str, AfterValidator(sanitize)]] = {}
    parts: dict[PartName, Part]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint; its parts are not looked at.

    Raises CheckpointError, one line that names the file, if it is missing, damaged, or of a newer format.
    """
    path = folder / MANIFEST
    content = read_json(path)
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int:
        raise DamagedError(f"{path} is damaged: it is no manifest")
    if number > FORMAT:
        raise CheckpointError(
            f"{folder} has format {str(number)[:20]}, made by a newer mario-tui: update this one (it reads {FORMAT})"
        )
    if number < FORMAT:
        raise CheckpointError(
            f"{folder} has format {str(number)[:20]}, made by an older mario-tui: use that one (this reads {FORMAT})"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(key) for key in first["loc"] if key != "[key]")
        raise DamagedError(
            f"{path} is damaged: {sanitize(where)!r} cannot be read ({sanitize(first['msg'])})"
        ) from None


def check_made_for(folder: Path, manifest: Manifest) -> None:
    """Raises CheckpointError if a checkpoint learned from another reward than the one that is here."""
    reward = REWARD_VERSIONS.get(str(manifest.config.get("reward", "tutorial")))
    if manifest.reward != reward:
        raise CheckpointError(
            f"{folder} was made with the reward {manifest.reward!r}, and this mario-tui has {reward!r}: "
            f"use the version that made it ({manifest.program or 'not known'!r})"
        )

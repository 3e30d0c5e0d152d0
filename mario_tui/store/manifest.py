"""What a checkpoint says of itself, in its `manifest.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mario_tui.errors import CheckpointError
from mario_tui.store.untrusted import finite_number, read_json

FORMAT = 1
MANIFEST = "manifest.json"
_PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, whose parts are not looked at; raises CheckpointError."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it is no manifest")
    if manifest["format"] > FORMAT:
        raise CheckpointError(
            f"{folder} has format {manifest['format']}, made by a newer mario-tui: update this one (it reads {FORMAT})"
        )
    parts = manifest.get("parts")
    if not isinstance(parts, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)
        for entry in parts.values()
    ):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: its list of parts cannot be read")
    if any(Path(name).name != name or name in (".", "..") for name in parts):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it names a file outside its folder")
    if not all(_PART_NAME.fullmatch(name) for name in parts):
        raise CheckpointError(f"{folder / MANIFEST} is damaged: it names a file as none is named")
    types = {"step": int, "stage": str, "created": str}
    for key, kind in types.items():
        if not isinstance(manifest.get(key), kind):
            raise CheckpointError(f"{folder / MANIFEST} is damaged: {key!r} is missing or of the wrong kind")
        if kind is str and not (manifest[key].isprintable() and len(manifest[key]) < 100):
            raise CheckpointError(f"{folder / MANIFEST} is damaged: {key!r} cannot be read")
    if finite_number(manifest["step"]) is None:
        raise CheckpointError(f"{folder / MANIFEST} is damaged: no training has that many steps")
    return manifest


def check_made_for(folder: Path, manifest: Mapping[str, Any], **here: str) -> None:
    """Raises CheckpointError where a checkpoint was made for something else than what is here, e.g. another reward.

    What the manifest of an older version does not say is taken to be as it is here.
    """
    for name, value in here.items():
        theirs = manifest.get(name, value)
        if theirs != value:
            raise CheckpointError(
                f"{folder} was made with the {name} {str(theirs)[:80]!r}, and this mario-tui has {value!r}: "
                f"use the version that made it ({str(manifest.get('program', 'not known'))[:80]!r})"
            )

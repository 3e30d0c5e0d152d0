"""A checkpoint as a small run of its own, to share: it plays, and cannot be trained on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mario_tui import paths
from mario_tui.agent.policy import load_policy, save_tensors
from mario_tui.config import TrainingConfig, make_config
from mario_tui.errors import InputError
from mario_tui.store import checkpoint, evaluations, lookup
from mario_tui.store.manifest import Manifest, read_manifest
from mario_tui.system import files


def export_policy(source: Path, name: str, *, half: bool = False) -> Path:
    """Copies what play needs of a checkpoint folder into a new run: its greedy network, manifest, log and curves.

    Such a checkpoint takes a few MB; it can be watched, evaluated and recorded, but not be trained on.

    Args:
        source: the checkpoint folder.
        name: of the new run.
        half: write the weights in 16 bits, which halves the size. Play may change where two actions have nearly the
            same Q, so what was measured of the checkpoint is not taken along.

    Returns:
        The new checkpoint folder.

    Raises:
        InputError: the name cannot be used, or a run has it already, or the weights are too large for 16 bits.
        CheckpointError: the checkpoint cannot be used.
    """
    policy, manifest = load_policy(source), read_manifest(source)
    final = paths.run_dir(name)
    if final.exists():
        raise InputError(f"a run named {name!r} exists: choose another name")
    run = files.hidden_name(final)
    net = policy.net.average or policy.net.online
    weights = {f"online.{key}": value.contiguous() for key, value in net.state_dict().items()}
    if half:
        weights = {key: value.half() for key, value in weights.items()}
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise InputError(f"the weights of {source} are too large for 16 bits: leave out --half")
    dropped = {"format", "program", "python", "created", "sequence", "step", "parts", "rotates"}
    header = manifest.model_dump(exclude=dropped)
    header |= {"agent": policy.spec.model_copy(update={"averaged": False}).model_dump(), "full": False}
    files.sweep(final.parent)  # exports that were killed
    try:
        parts = {"agent.safetensors": lambda path: save_tensors(weights, path)}
        folder = checkpoint.write(run, policy.step, parts, header)
        for pattern in ("config.toml", "metrics.csv", "evaluations.csv", "log", "*_plot.png"):
            for file in source.parent.glob(pattern) if lookup.is_run(source.parent) else ():
                if file.is_file() and not file.is_symlink():  # a link may lead to what is private
                    shutil.copyfile(file, run / file.name)  # without modes, which not every file system has
                    files.fsync(run / file.name)
        if not (run / "config.toml").exists():  # which makes it a run
            files.write_atomically(run / "config.toml", _config_of(manifest).to_toml())
        if not half and (measured := evaluations.read(source.parent).get(source.name)):
            evaluations.record(folder, **measured)
        files.fsync(run)
        os.rename(run, final)
    except BaseException:
        shutil.rmtree(run, ignore_errors=True)
        raise
    files.fsync(final.parent)
    return final / folder.name


def _config_of(manifest: Manifest) -> TrainingConfig:
    """The settings in a manifest, as far as they can be read."""
    try:
        return make_config(**manifest.config)
    except InputError:
        return make_config(stage=manifest.stage)

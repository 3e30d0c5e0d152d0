"""kill -9 at every stage of everything that is written: an earlier state is there, whole, and leftovers are swept."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SETTING = """
import json, os, shutil, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {training!r}]
from killer import hidden, kill_at_every_stage
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.run import find_resumable, rotate, sweep_run
from mario_tui import cli, paths
from mario_tui.system import files
home = Path(os.environ["MARIO_TUI_HOME"])
run = paths.run_dir("run")
"""

CHECKPOINT = """
import torch
torch.set_num_threads(1)
from mario_tui.agent.mario import Mario
from mario_tui.agent.policy import load_policy
from mario_tui.config import TrainingConfig
from mario_tui.training import checkpointing, state_files
import numpy as np

config = TrainingConfig(replay_size=100, network="small", priority_exponent=0.5, envs=2)
mario = Mario(config)
for tick in range(40):
    frame = torch.full((2, 84, 84), tick, dtype=torch.uint8)
    nobody = np.zeros(2, dtype=bool)
    mario.cache(frame, np.zeros(2, dtype=int), np.ones(2), nobody, nobody, nobody)
header = {"stage": "1-1", "agent": mario.spec.model_dump(), "reward": "7.4.0", "config": {}}
saved = 1

def save():
    parts = state_files.writers(mario, {"mario": mario.state_dict()}, torch.zeros(1), "", replay=True)
    folder = checkpointing.write_full(run, checkpointing.Snapshot(saved, parts, header))
    evaluations.record(folder, greedy_clear=True, greedy_x=saved)
    return folder

newest = save()
(run / "config.toml").write_text(config.to_toml())

def check(done):
    global newest, saved
    folders = lookup.step_folders(run)
    whole = find_resumable(run)[0]
    assert whole == folders[-1], "nothing is there that is not whole"
    assert newest in folders
    assert whole == newest or whole.name == paths.checkpoint_name(saved)
    if whole != newest:
        other = Mario(config)
        state_files.read(whole, other, checkpoint.verify(whole), envs=config.envs)
        load_policy(whole)
        assert len(other.memory) == len(mario.memory) > 0
    assert [info.whole for info in catalog.scan().checkpoints] == [True] * len(folders)
    assert (run / "best").resolve() in folders
    sweep_run(run)
    assert not hidden(home)
    newest, saved = whole, saved + 1
    for folder in folders[:-2]:  # which would make the next save longer than this one
        if folder != (run / "best").resolve():
            shutil.rmtree(folder)

kills = kill_at_every_stage(save, check)
full = [folder for folder in lookup.step_folders(run) if (folder / "replay.frames").exists()]
assert full == [newest], "what a killed save left of older replays is taken away by the next one"
print(kills)
"""

EXPORT = """
from mario_tui.agent.policy import load_policy
from mario_tui.training.export import export_policy

source = paths.checkpoints_dir() / "world-1-1"
shutil.copytree({shipped!r}, source, symlinks=True)
(folder,) = lookup.step_folders(source)

def check(done):
    exported = paths.run_dir("copy")
    if exported.exists():
        (copy,) = lookup.step_folders(exported)
        load_policy(copy)
        assert (exported / "metrics.csv").read_bytes() == (source / "metrics.csv").read_bytes()
        assert (exported / "best").resolve() == copy
        shutil.rmtree(exported)
    assert {run.name for run in lookup.runs()} == {"world-1-1"}
    files.sweep(paths.checkpoints_dir())
    assert not hidden(home)

print(kill_at_every_stage(lambda: export_policy(folder, "copy"), check))
"""

FILES = """
from mario_tui.config import load_toml
from mario_tui.presets import preset
from mario_tui.game.action_log import ActionLog
from mario_tui.store.history import EpisodeRecord, read_metrics
from mario_tui.training.metrics import MetricLogger
from mario_tui.tui import preferences

run.mkdir(parents=True)
one, other = preset("tutorial"), preset("fast")
logs = ActionLog("1-1", 4, (1, 2, 3)), ActionLog("8-4", 1, (4,) * 500)
files.write_atomically(run / "config.toml", one.to_toml())
logs[0].save(home / "play.json")
preferences.save_theme("nord")

def end_episode(number):
    logger = MetricLogger(run, "1-1", 1)
    logger.episode = number
    logger.log_episode(0, step=number, epsilon=0.5, max_x=40, progress=0.1, end="death", seconds=1.0)
    logger.note(1, "a note")

end_episode(0)

def write():
    files.write_atomically(run / "config.toml", other.to_toml())
    logs[1].save(home / "play.json")
    preferences.save_theme("mario")
    end_episode(1)

def check(done):
    assert load_toml(run / "config.toml") in (one.model_dump(), other.model_dump())
    assert ActionLog.load(home / "play.json") in logs
    assert preferences.load().theme in ("nord", "mario") and not preferences.load().problems
    lines = [record.episode for record in read_metrics(run / "metrics.csv")]
    assert lines in ([0], [0, 1])
    end_episode(2)
    lines = [record.episode for record in read_metrics(run / "metrics.csv")]
    assert lines in ([0, 2], [0, 1, 2]), "a line that was cut off does not spoil the next"
    widths = {len(line) for line in (run / "log").read_text().splitlines() if not line.startswith("#")}
    assert len(widths) == 1
    sweep_run(run)
    cli._sweep()
    assert not hidden(home)
    # as it was
    files.write_atomically(run / "config.toml", one.to_toml())
    logs[0].save(home / "play.json")
    preferences.save_theme("nord")
    path = run / "metrics.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))

print(kill_at_every_stage(write, check))
"""


ROTATION = """
def save(step, rotates):
    header = {"stage": "1-1", "agent": {}, "reward": "7.4.0", "config": {}, "rotates": rotates, "sequence": step}
    parts = {name: lambda path: path.write_text("some") for name in ("a", "b")}
    folder = checkpoint.write(run, step, parts, header)
    evaluations.record(folder, robust_clear_rate=step / 10)
    return folder

old = [save(1, True), save(2, True)]
stays = [save(3, False), save(4, True)]

def check(done):
    folders = lookup.step_folders(run)
    assert folders[-2:] == stays
    assert all(checkpoint.verify(folder) for folder in folders)
    assert (run / "best").resolve() == stays[-1]
    assert not done or folders == stays
    assert evaluations.read(run).keys() <= {folder.name for folder in folders}
    sweep_run(run)
    assert not hidden(home)
    for step in (1, 2):
        if old[step - 1] not in folders:
            assert save(step, True) == old[step - 1]

print(kill_at_every_stage(lambda: rotate(run, stays[-1]), check))
"""


@pytest.mark.parametrize(
    ("what", "stages"),
    [(CHECKPOINT, 40), (EXPORT, 20), (FILES, 14), (ROTATION, 12)],
    ids=["a full checkpoint", "an export", "settings, action log, metrics and log", "what later ones replace"],
)
def test_what_is_killed_while_it_writes_loses_nothing(home: Path, what: str, stages: int) -> None:
    here = Path(__file__).parent
    setting = SETTING.format(tests=str(here), training=str(here.parent / "training"))
    program = setting + what.replace("{shipped!r}", repr(str(here.parents[1] / "checkpoints" / "world-1-1")))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert int(result.stdout) >= stages, "it was killed at so many stages at least"

"""A long training in the real app, disturbed at random, while its memory, files, threads and processes are watched.

    nice python benchmarks/soak.py --minutes 60 --output benchmarks/results/soak

A training is begun without the app, and gone on with in the app in a pseudo-terminal. Then, by a seed: pauses, saves,
other screens, charts, watching. After a sixth of the time it is stopped, and at the end the same steps are trained
without the app and undisturbed: weights, optimizer, replay and random states must be the same, bit by bit. The rest of
the time emulator processes are killed and frozen besides. At the end nothing may have grown, no process may be left,
the terminal must be as it was and the newest checkpoint whole. Prints a table; writes it as Markdown, and all samples
as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

import psutil
from pseudo_terminal import Terminal

from mario_tui.store import lookup

SAMPLE_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
RUN = "soak"
SETTINGS = {
    "steps": 600, "replay_size": 3000, "burn_in": 300, "envs": 2, "workers": 2, "threads": 1, "save_every": 20_000,
    "eval_every": 5_000, "stall_steps": 100, "sticky": 0.1, "noops": 20,
}  # fmt: skip
MAY_GROW = {"rss_mb": 60.0, "descriptors": 12, "threads": 4, "processes": 1}
"""From the second quarter of the time, when all is loaded, to the last; memory by that and 5 %."""
SAME = ("agent.safetensors", "optimizer.safetensors", "replay.safetensors", "replay.frames", "actors.safetensors")


class Soak:
    def __init__(self, terminal: Terminal, seed: int) -> None:
        self.terminal = terminal
        self.random = random.Random(seed)
        self.process = psutil.Process(terminal.process.pid)
        self.samples: list[dict[str, float]] = []
        self.done: dict[str, int] = {}
        self._began = self._sampled = time.monotonic()

    def wait(self, *texts: str) -> None:
        self.terminal.wait(lambda screen: all(text in screen for text in texts), PATIENCE_SECONDS)

    def rest(self, seconds: float) -> None:
        """Lets it run, reads what it draws, and takes samples."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.terminal.skip(min(left, 1.0))
            if time.monotonic() - self._sampled >= SAMPLE_SECONDS:
                self._sampled = time.monotonic()
                self.samples.append({"seconds": round(self._sampled - self._began, 1), **self.measure()})

    def measure(self) -> dict[str, float]:
        """Sums over the app and all processes that it started."""
        found = {"rss_mb": 0.0, "descriptors": 0, "threads": 0, "processes": 0}
        for one in (self.process, *self.process.children(recursive=True)):
            try:
                with one.oneshot():
                    values = one.memory_info().rss / 1e6, one.num_fds(), one.num_threads(), 1
            except psutil.Error:  # it has just ended
                continue
            found = {name: total + value for (name, total), value in zip(found.items(), values, strict=True)}
        return found

    def disturb(self, seconds: float, *, kills: bool) -> None:
        """One thing after another, chosen at random, for that long."""
        until = time.monotonic() + seconds
        actions = [self.pause, self.save, self.look_around, self.charts, self.watch]
        if kills:
            actions += [self.kill, self.freeze]
        while time.monotonic() < until:
            action = self.random.choice(actions)
            action()
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
            self.rest(self.random.uniform(2, 12))

    def pause(self) -> None:
        self.terminal.press(" ")
        self.wait("paused: space goes on")
        self.rest(self.random.uniform(0, 5))
        self.terminal.press(" ")
        self.wait("running")

    def save(self) -> None:
        self.terminal.press("s")
        self.wait("saved")

    def look_around(self) -> None:
        for key, text in (("h", "Training now"), ("c", "whole"), ("v", "Recordings"), ("?", "esc closes")):
            self.terminal.press(key)
            self.wait(text)
            self.rest(self.random.uniform(0, 2))
        self.terminal.press("\x1b")
        self.rest(1)  # a lone escape is known by nothing coming after it
        self.terminal.press("t")
        self.wait("last 100:")

    def charts(self) -> None:
        for _ in range(self.random.randint(1, 6)):
            self.terminal.press("\t")
            self.rest(0.5)

    def watch(self) -> None:
        self.terminal.press("w")
        self.wait("progress")
        self.rest(self.random.uniform(1, 10))
        self.terminal.press("q")
        self.wait("last 100:")

    def _worker(self) -> psutil.Process:
        workers = [
            child for child in self.process.children(recursive=True) if "game.worker" in " ".join(child.cmdline())
        ]
        return self.random.choice(workers)

    def kill(self) -> None:
        self._worker().kill()

    def freeze(self) -> None:
        self._worker().send_signal(signal.SIGSTOP)
        self.rest(45)  # it is waited for half a minute


def growth(samples: list[dict[str, float]], name: str) -> tuple[float, float, float]:
    """Medians of the second and the last quarter, and the most there was."""
    quarter = len(samples) // 4
    values = [sample[name] for sample in samples]
    early, late = values[quarter : 2 * quarter] or values, values[-quarter:] or values
    return statistics.median(early), statistics.median(late), max(values)


def mario_tui(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mario_tui", *arguments],
        env={**os.environ, "MARIO_TUI_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"mario-tui {' '.join(arguments)} failed: {done.stderr}")
    return done.stdout


def newest(home: Path) -> Path:
    return lookup.step_folders(home / "checkpoints" / RUN)[-1]


def differences(one: Path, other: Path) -> list[str]:
    """The parts of two checkpoints that differ; of the trainer's state all but times."""
    parts = [json.loads((folder / "manifest.json").read_text())["parts"] for folder in (one, other)]
    found = [name for name in SAME if parts[0].get(name) != parts[1].get(name)]
    states = [json.loads((folder / "trainer.json").read_text()) for folder in (one, other)]
    keys = ("mario", "games", "learn_due")
    return found + [key for key in keys if states[0][key] != states[1][key]]


def go_on_in_app(soak: Soak) -> None:
    soak.terminal.press("c")
    soak.wait("whole", RUN)
    soak.terminal.press("c")
    soak.wait("running", "last 100:")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="without an ending: .md and .json are written")
    arguments = parser.parse_args()
    home, plain = (Path(tempfile.mkdtemp(prefix=f"mario-tui-soak-{name}-")) for name in ("app", "plain"))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    mario_tui(home, "train", "--name", RUN, "--seed", str(arguments.seed), "--json", *flags)
    shutil.copytree(home / "checkpoints", plain / "checkpoints", symlinks=True)

    seconds = arguments.minutes * 60
    with Terminal([], home, width=120, height=40) as terminal:
        before = termios.tcgetattr(terminal.master)
        soak = Soak(terminal, arguments.seed)
        soak.wait("Train", RUN)
        go_on_in_app(soak)
        soak.disturb(seconds / 6, kills=False)
        terminal.press("q")
        soak.wait("Stop training?")
        terminal.press("q")
        soak.wait("Training has ended")
        compared = newest(home)
        step = json.loads((compared / "manifest.json").read_text())["step"]
        kept = plain / "compared"
        shutil.copytree(compared, kept)  # the next save takes its replay away

        terminal.press("h")
        soak.wait("Last training")
        go_on_in_app(soak)
        soak.disturb(seconds * 5 / 6, kills=True)
        children = soak.process.children(recursive=True)
        terminal.press("\x11")  # ctrl+q
        terminal.drain()
        ended = terminal.process.returncode
        left = psutil.wait_procs(children, timeout=30)[1]
        restored = termios.tcgetattr(terminal.master) == before

    mario_tui(plain, "train", "--resume", RUN, "--steps", str(step), "--json")
    unequal = differences(kept, newest(plain))
    last = json.loads((newest(home) / "manifest.json").read_text())["step"]
    mario_tui(home, "verify", str(newest(home)))
    log = (home / "checkpoints" / RUN / "log").read_text()

    rows: list[tuple[str, Any, bool]] = []
    for name, allowed in MAY_GROW.items():
        early, late, most = growth(soak.samples, name)
        fine = late - early <= allowed + (0.05 * early if name == "rss_mb" else 0)
        rows.append((name, f"{early:,.0f} -> {late:,.0f} (most {most:,.0f})", fine))
    restarts = log.count("started again")
    kills = soak.done.get("kill", 0) + soak.done.get("freeze", 0)
    rows += [
        (
            "emulators started again",
            f"{restarts} after {kills} faults",
            restarts <= kills and (not kills or restarts > 0),
        ),
        (f"the same as undisturbed, at step {step:,}", ", ".join(unequal) or "bit by bit", not unequal),
        ("exit code", ended, ended == 0),
        ("processes left", len(left), not left),
        ("terminal as it was", restored, restored),
        ("newest checkpoint whole", f"step {last:,}", True),
    ]
    fine = all(ok for *_, ok in rows)
    done = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(soak.done.items()))
    table = "\n".join(
        [
            f"# Soak: {arguments.minutes:g} minutes, seed {arguments.seed}, {len(soak.samples)} samples",
            "",
            f"Done: {done}. Sums over the app and its processes; medians of the second and the last quarter.",
            "",
            "| what | result | |",
            "| --- | --- | --- |",
            *(f"| {name} | {value} | {'ok' if ok else 'NOT OK'} |" for name, value, ok in rows),
        ]
    )
    print(table)
    if arguments.output:
        arguments.output.with_suffix(".md").write_text(table + "\n")
        result = {"minutes": arguments.minutes, "seed": arguments.seed, "done": soak.done, "ok": fine}
        arguments.output.with_suffix(".json").write_text(json.dumps({**result, "samples": soak.samples}) + "\n")
    for folder in (home, plain):
        if fine:
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())

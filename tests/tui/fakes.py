"""A training session, a player and the rest of what the app asks of the floors below, without threads or a game."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from textual.pilot import Pilot

from mario_tui.agent.spec import TUTORIAL
from mario_tui.config import TrainingConfig
from mario_tui.errors import MarioTuiError
from mario_tui.game.episode import EndReason
from mario_tui.game.kept_episodes import EpisodeName
from mario_tui.game.stages import STAGES
from mario_tui.play.agent_player import AgentPlayer
from mario_tui.play.board import StageState, Way
from mario_tui.play.clocked_player import ClockedPlayer
from mario_tui.play.ghost import Ghost, GhostThread
from mario_tui.play.ghost_trail import GhostTrail
from mario_tui.play.human_player import HumanPlayer
from mario_tui.play.pad import Controls
from mario_tui.play.rollout import Chances
from mario_tui.play.run_map import MapEpisode
from mario_tui.play.searching import FoundWay, SearchProgress
from mario_tui.presets import PRESETS
from mario_tui.rewards import FrameChange, LearnedReward
from mario_tui.store import evaluations
from mario_tui.store.catalog import Catalog, CheckpointInfo, RunSummary
from mario_tui.store.comparison import Compared
from mario_tui.store.history import COMPARED, EpisodeRecord
from mario_tui.training.campaign import Campaign, StageRun
from mario_tui.training.curves import Ends
from mario_tui.training.session import TrainingSession
from mario_tui.training.snapshot import TrainingSnapshot
from mario_tui.training.watcher import Notice
from mario_tui.tui.app import MarioTuiApp
from mario_tui.tui.preferences import Preferences
from mario_tui.tui.services import Services, Verdict, short_name
from mario_tui.video.library import RecordingInfo

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=timezone.utc)
RUN = "1-1_2030-01-02T09-00-00"


def picture(shift: int = 0) -> np.ndarray:
    """(240, 256, 3) uint8: sky, a hill, bricks and a figure, coarse enough to make a small snapshot."""
    frame = np.empty((240, 256, 3), np.uint8)
    frame[:] = (104, 136, 252)
    frame[208:] = (200, 76, 12)
    frame[160:208, 64:128] = (0, 168, 0)
    frame[112:128, 144:208] = (228, 92, 16)
    frame[176:208, (24 + shift) % 240 : (40 + shift) % 240] = (248, 56, 0)
    return frame


def curve(height: float, *, count: int = 60, wave: float = 0.3) -> tuple[tuple[float, float], ...]:
    return tuple((float(n), height * (n / count) * (1 + wave * math.sin(n * 1.7))) for n in range(1, count + 1))


def curves() -> dict[str, tuple[tuple[float, float], ...]]:
    made = {"reward": curve(1500), "length": curve(300), "loss": curve(0.8), "q": curve(12)}
    means = {f"{name}_mean": curve(points[-1][1], wave=0.02) for name, points in made.items()}
    epsilon = tuple((float(n), 0.9**n) for n in range(1, 61))
    return {**made, **means, "epsilon": epsilon}


def ends() -> Ends:
    """321 episodes: at first most end at the first enemy, later at the pits, and some clear the stage."""
    deaths, clears = np.zeros((81, 128), np.int32), np.zeros(81, np.int32)
    for episode in range(321):
        if episode % 100 == 99:
            clears[episode // 4] += 1
        else:
            place = 4 + (episode * 7 % 11 * episode // 321 * 3) if episode % 3 else 11 + episode % 2
            deaths[episode // 4, place] += 1
    return Ends(4, deaths, clears)


def running(**changes: Any) -> TrainingSnapshot:
    """A training that has been going for a while."""
    values: dict[str, Any] = {
        "status": "running",
        "run": RUN,
        "config": TrainingConfig(steps=500_000),
        "device": "cpu",
        "step": 123_456,
        "episode": 321,
        "epsilon": 0.96959,
        "updates": 37_818,
        "clears": 3,
        "best_x": 3161,
        "best_progress": 1.0,
        "steps_per_second": 58.4,
        "seconds": 2112.0,
        "eta_seconds": 6447.0,
        "mean_reward": 1021.5,
        "mean_length": 214.2,
        "mean_loss": 0.0421,
        "mean_q": 12.34,
        "replay_transitions": 100_000,
        "replay_capacity": 100_000,
        "clear_rate": 0.03,
        "learning_rate": 0.00025,
        "floor_seconds": 36_000.0,
        "phases": {"emulate": 0.71, "act": 0.06, "cache": 0.02, "sample": 0.08, "update": 0.55, "wait": 0.25},
        "ends": ends(),
        "frame": picture(),
        "place": (1_210, 176, 37),
        "curves": curves(),
        "last_episode": SimpleNamespace(episode=321, stage="1-1", reward=640.0, length=83, progress=0.22, end="death"),
    }
    return TrainingSnapshot(**{**values, **changes})


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Lets the app work until something holds; fails where the app has come to rest, many times over, without it."""
    for _ in range(2000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("the app never got there")


class FakeSession(TrainingSession):
    """Stands for a TrainingSession: writes down its calls, and shows what the test gives it."""

    alive: bool = False
    awaiting_user: bool = False
    silent_seconds: float = 0.0

    def __init__(self, snapshot: TrainingSnapshot | None = None) -> None:
        self.snapshot = snapshot or running()
        self.calls: list[str] = []
        self.stops_when_asked = True
        self.shows_all_games = False
        self.problem = ""
        self.recordings_left = 0
        self._notices = deque()

    def start(self) -> None:
        self.calls.append("start")
        self.alive = True

    def pause(self) -> None:
        self.calls.append("pause")
        self.snapshot = replace(self.snapshot, status="paused")

    def resume(self) -> None:
        self.calls.append("resume")
        self.snapshot = replace(self.snapshot, status="running")

    def note(self, text: str) -> Any:
        self.calls.append(f"note {text}")
        return self._future()

    def adjust(self, name: str, rule: Callable[[float], float]) -> Any:
        shown = {"learning_rate": "learning_rate", "exploration_rate": "epsilon"}[name]
        now = getattr(self.snapshot, shown)
        changes: dict[str, Any] = {shown: rule(now)}
        self.calls.append(f"adjust {name} {now:.2g} {changes[shown]:.2g}")
        self.snapshot = replace(self.snapshot, **changes)
        return self._future((now, changes[shown]))

    def _future(self, result: Any = None) -> Any:
        future: Future[Any] = Future()
        if self.problem:
            future.set_exception(MarioTuiError(self.problem))
        else:
            future.set_result(result)
        return future

    def live_policy(self) -> Any:
        self.calls.append("live policy")
        return SimpleNamespace(source=f"{RUN}, step 123,456", step=123_456, stage="1-1")

    def keep_agent(self) -> Any:
        self.calls.append("keep agent")
        return self._future(Path(f"/checkpoints/{RUN}/step-000123456"))

    def save(self) -> None:
        self.calls.append("save")
        self.notice("saved", f"saved {RUN}/step-000123456")

    def stop(self, *, in_a_hurry: bool = False) -> None:
        self.calls.append("stop")
        self.snapshot = replace(self.snapshot, status="stopping")
        if self.stops_when_asked:
            self.end()

    def end(self, status: str = "finished", **changes: Any) -> None:
        self.alive = False
        checkpoint = Path(f"/checkpoints/{RUN}/step-000123456")
        values: dict[str, Any] = {"status": status, "last_checkpoint": checkpoint, **changes}
        self.snapshot = replace(self.snapshot, **values)

    def moved(self, run: Path, to: Path) -> None:
        self.calls.append(f"moved {run.name} to {to.name}")

    def join(self, timeout: float | None = None) -> bool:
        self.calls.append("join")
        return not self.alive

    def notice(self, kind: Any, text: str) -> None:
        self._notices.append(Notice(kind, text))

    def notices(self) -> list[Notice]:
        taken = list(self._notices)
        self._notices.clear()
        return taken


def moment(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "step": 42,
        "frame": picture(),
        "frames": (),
        "action": 1,
        "buttons": 129,
        "frame_buttons": (129, 129, 129, 129),
        "q_values": (11.25, 12.5),
        "reward": 9.0,
        "total_reward": 412.0,
        "x": 452,
        "max_x": 460,
        "progress": 0.13,
        "time": 388,
        "coins": 2,
        "score": 300,
        "life": 2,
        "status": "small",
        "end": None,
        "goes_on": None,
        "stack": np.zeros((4, 84, 84), np.uint8),
        "frame_changes": (FrameChange(3, 3, 0, False),) * 3,
    }
    return SimpleNamespace(**{**values, **changes})


def episode(last: Any, actions: int = 2) -> list[Any]:
    """The steps up to this one: what is expected rises and falls, and each third second brings a jump."""
    steps = []
    for number in range(last.step):
        high = 12.0 + 3 * math.sin(number / 9)
        buttons = 129 if number % 45 > 30 else 128
        steps.append(
            moment(
                step=number,
                frame=None,
                q_values=tuple(high - 0.8 * action for action in range(actions)) if number else (),
                action=0 if number else None,
                buttons=buttons,
                frame_buttons=(buttons,) * 4 if number else (),
                frame_changes=(FrameChange(2, 2, -(number % 6 == 0), False),) * 4 if number else (),
            )
        )
    return [*steps, last]


class FakeControls(Controls):
    """Writes down what is pressed."""

    def __init__(self, pressed: list[str]) -> None:
        super().__init__()
        self._pressed = pressed

    def press(self, button: int) -> None:
        self._pressed.append(f"press {button}")

    def release(self, button: int) -> None:
        self._pressed.append(f"release {button}")

    def release_all(self) -> None:
        self._pressed.append("release all")

    def tap(self, button: int) -> None:
        self._pressed.append(f"tap {button}")


class FakeClock(ClockedPlayer):
    """What the fakes of both players have in common; `pressed` has what the controls were given."""

    paused: bool = False
    speed: float = 1.0
    speed_reached: float | None = None
    latest: Any = None

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pressed: list[str] = []
        self.controls: Controls = FakeControls(self.pressed)
        self.problem = ""
        self.latest_frame: np.ndarray | None = None
        self.stage = ""
        self.shown_ghosts: tuple[Any, ...] = ()

    @property
    def finished(self) -> bool:
        return self.latest is not None and self.latest.end is not None

    def start(self) -> None:
        self.calls.append("start")

    def show_ghosts(self, trails: Sequence[Any], *, names: bool = True) -> None:
        self.shown_ghosts = tuple(trails)

    @property
    def ghosts(self) -> tuple[Any, ...]:
        return tuple(trail for trail in self.shown_ghosts if trail.end is not None)

    def toggle_pause(self) -> None:
        self.calls.append("pause")
        self.paused = not self.paused

    def step_once(self) -> None:
        self.calls.append("step")
        self.paused = True

    def faster(self) -> None:
        self.speed = min(8.0, self.speed * 2)

    def slower(self) -> None:
        self.speed = max(0.25, self.speed / 2)

    def restart(self, stage: str | None = None) -> None:
        self.calls.append(f"restart {stage}" if stage else "restart")

    def close(self) -> None:
        self.calls.append("close")


class FakePlayer(FakeClock, AgentPlayer):
    """Stands for an AgentPlayer."""

    newest_step: int = 42
    by_hand: bool = False
    policy: Any = None
    _played: Sequence[Any] = ()

    def __init__(self, *, action_set: str = "tutorial", loaded: bool = True) -> None:
        super().__init__()
        self.chances = Chances()
        self._action_set = action_set
        if loaded:
            self.load()

    def load(self) -> None:
        self.policy = SimpleNamespace(
            spec=TUTORIAL.model_copy(update={"action_set": self._action_set}),
            stage="1-1", source="my-run, step 120,000", step=120_000,
        )  # fmt: skip
        self.stage = "1-1"
        self.latest = moment()
        self.latest_frame = self.latest.frame

    def change_hands(self) -> None:
        self.by_hand = not self.by_hand

    def move(self, steps: int) -> None:
        self.calls.append(f"move {steps}")
        self.paused = True
        self.latest = moment(step=max(0, self.latest.step + steps))

    def seek(self, step: int) -> None:
        self.calls.append(f"seek {step}")
        self.paused = True
        self.latest = moment(step=step)

    @property
    def played(self) -> Any:
        if self.latest is not None and len(self._played) <= self.latest.step:
            actions = len(self.latest.q_values)
            self._played = episode(self.latest, actions) if self.latest.step < 1000 else [self.latest]
        return self._played

    @property
    def learned(self) -> LearnedReward:
        return LearnedReward()

    def frame_buttons(self, last_step: int) -> list[int]:
        return [129] * 4 * last_step


class FakeGame(FakeClock, HumanPlayer):
    """Stands for a HumanPlayer."""

    waits: bool = False
    kept_step: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stage = "1-1"
        self.latest = moment(action=None, q_values=(), step=1800, x=1210, max_x=1220, progress=0.38)
        self.latest_frame = self.latest.frame
        self.logs: list[Path] = []

    @property
    def has_kept(self) -> bool:
        return self.kept_step is not None

    def begin(self) -> None:
        self.waits = False

    def hop(self) -> None:
        self.pressed.append("hop")

    def keep(self) -> None:
        self.kept_step = self.latest.step

    def go_back(self) -> None:
        self.calls.append("go back")
        self.latest = moment(step=self.kept_step)

    def frame_buttons(self, last_step: int) -> list[int]:
        return [129] * last_step

    def pace(self) -> tuple[float, float] | None:
        return (16.7, 17.4)


class FakeGhosts(GhostThread):
    """Stands for the ghosts of two checkpoints, of which the first is being made."""

    def __init__(self, stage: str) -> None:
        super().__init__([], stage)
        self.count = 2
        self.trails = (GhostTrail("80k"),)
        self.calls: list[str] = []

    def finish(self) -> None:
        self.trails += (GhostTrail("40k"),)
        self.trails[0].end = EndReason.DEATH
        self.done = True

    def start(self) -> None:
        self.calls.append("start")

    def close(self) -> None:
        self.calls.append("close")


class FakeGhost(Ghost):
    """Stands for a Ghost that is a little ahead, and clears."""

    end: Any = None

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.problem = ""
        self.x: int | None = 1380
        self.trails = (GhostTrail("best"),)
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def x_at(self, frame: int) -> int | None:
        return self.x

    def end_at(self, frame: int) -> Any:
        return self.end

    def close(self) -> None:
        self.calls.append("close")


def checkpoint(step: int = 120_000, **changes: Any) -> CheckpointInfo:
    run = changes.get("run", RUN)
    values: dict[str, Any] = {
        "path": Path(f"/checkpoints/{run}/step-{step:09d}"),
        "run": run,
        "stage": "1-1",
        "step": step,
        "created": "2030-01-02T10:00:00+00:00",
        "size_bytes": 26_400_000,
        "whole": True,
        "best": False,
        "greedy_clear": None,
        "robust_clear_rate": None,
        "mean_reward": 1021.5,
        "problem": "",
        "verified": True,
    }
    values |= changes
    return CheckpointInfo(**{"rank": evaluations.rank(values), **values})


def typical_checkpoints() -> list[CheckpointInfo]:
    damaged = f"/checkpoints/{RUN}/step-000040000/agent.safetensors is missing"
    return [
        checkpoint(500_000, run="overnight", best=True, greedy_clear=True, robust_clear_rate=0.7, mean_reward=2480.4),
        checkpoint(
            90_000, run="4-2_2030-01-01T20-00-00", stage="4-2", best=True, greedy_clear=False, robust_clear_rate=0.0,
            mean_reward=None, created="2030-01-02T08:00:00+00:00",
        ),
        checkpoint(120_000),
        checkpoint(80_000, created="2030-01-02T09:30:00+00:00"),
        checkpoint(40_000, created="2030-01-02T09:10:00+00:00", whole=False, problem=damaged),
    ]  # fmt: skip


LONG_NAME = "4-2_wider-network-with-prioritised-replay-and-a-slow-schedule-b"
"""As long as a run's name can be."""


def full_checkpoints() -> list[CheckpointInfo]:
    """More runs than fit on a screen, the longest names, every column filled, and some that are damaged."""
    infos = []
    for number in range(60):
        run = LONG_NAME if number == 1 else f"1-{number % 4 + 1}_2030-01-01T{number // 3:02d}-{number:02d}-00"
        for older in range((12, 40, 1)[number % 3]):
            step = 12_345_678 - 150_000 * number - 20_000 * older
            damaged = number == 4 or (number, older) in ((1, 2), (3, 5), (3, 6), (5, 0))
            path = Path(f"/checkpoints/{run}/step-{step:09d}")
            infos.append(
                checkpoint(
                    step,
                    run=run,
                    stage=run[:3],
                    created=f"2030-01-{2 - older // 24:02d}T{max(0, 11 - older % 24):02d}:00:00+00:00",
                    size_bytes=1_360_000_000 if older == 0 else 13_700_000,
                    whole=not damaged,
                    best=older == 3,
                    greedy_clear=(True, False)[(number + older) % 2],
                    robust_clear_rate=1 - (number + older) % 101 / 100,
                    mean_reward=2651.3 - 60 * number - 3 * older,
                    problem=f"{path}/agent.safetensors is damaged: 4,096 bytes instead of 6,754,312" if damaged else "",
                    note="runs past the first pipe, then falls into the pit behind the bricks" if older == 3 else "",
                )
            )
    return infos


def full_recordings() -> list[RecordingInfo]:
    """More than fit on a screen, the longest names, every column filled, and some without their action log."""
    return [
        recording(
            f"{LONG_NAME}_step-012345678_2030-01-02T11-{number:02d}-00" + (".gif" if number % 5 == 2 else ".mp4"),
            stage=f"{number % 8 + 1}-{number % 4 + 1}",
            seconds=1234.5 - 20 * number,
            cleared=number % 3 == 0,
            max_x=3161 - 40 * number,
            size_bytes=123_400_000 + number,
            created=f"2030-01-02T11:{59 - number:02d}:00+00:00",
            **({"log": None, "problem": "its action log is missing"} if number % 7 == 3 else {}),
        )
        for number in range(60)
    ]


def recording(name: str, **changes: Any) -> RecordingInfo:
    path = Path(f"/recordings/{name}")
    values: dict[str, Any] = {
        "path": path,
        "log": path.with_suffix(".json"),
        "stage": "1-1",
        "seconds": 21.4,
        "max_x": 3161,
        "cleared": True,
        "first_frame": 0,
        "size_bytes": 640_000,
        "created": "2030-01-02T11:40:00+00:00",
        "problem": "",
    }
    return RecordingInfo(**{**values, **changes})


def typical_recordings() -> list[RecordingInfo]:
    return [
        recording("overnight_step-000500000_2030-01-02T12-40-00.mp4"),
        recording("play_2030-01-01T20-11-05.gif", seconds=4.0, cleared=False, max_x=722, size_bytes=2_100_000),
        recording(
            "found.mp4", log=None, stage="?", seconds=None, cleared=None, max_x=None,
            problem="its action log is missing", created="2029-12-01T10:00:00+00:00",
        ),
    ]  # fmt: skip


def summaries(infos: Sequence[CheckpointInfo]) -> list[RunSummary]:
    by_run: dict[str, list[CheckpointInfo]] = {}
    for info in infos:
        by_run.setdefault(info.run, []).append(info)
    return [
        RunSummary(
            run=run,
            path=Path(f"/checkpoints/{run}"),
            stage=listed[0].stage,
            created=listed[0].created,
            size_bytes=sum(info.size_bytes for info in listed),
            checkpoints=listed,
            shipped=listed[0].shipped,
        )
        for run, listed in by_run.items()
    ]


class FakeCampaign(Campaign):
    """A campaign that clears its first stage, and ends when it is stopped."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.runs = [StageRun(stage, f"campaign_{stage}") for stage in stages]

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[StageRun]:
        first = self.runs[0]
        first.state, first.step, first.steps_per_second = "training", 1_200, 99.6
        yield first
        first.state = "cleared"
        yield first
        while not stopped():
            time.sleep(0.01)


class CatalogAsGiven(Catalog):
    """Runs in the order in which a test gives them."""

    @property
    def trained_runs(self) -> list[RunSummary]:
        return list(self.runs)


class FakeMap:
    """The kept episodes of a run on 1-1: 240 of them, the farther the later."""

    run = Path()

    def __init__(self, count: int = 240) -> None:
        self.episodes = [map_episode(number) for number in range(count)]

    def read(self) -> bool:
        return False


ENDS_OF_EPISODES = ("death", "stall", "death", "clear")


def map_episode(number: int, end: str = "") -> MapEpisode:
    """Mario jumps along; the later the episode, the farther."""
    end = end or ENDS_OF_EPISODES[number % 4]
    steps = 300 if end == "clear" else 20 + number * 7 % 200
    trail = np.array([[40 + 10 * n, 176 - n * n * 3 % 71, 37] for n in range(steps)], np.int16)
    progress = 1.0 if end == "clear" else round(10 * steps / 3_116, 4)
    max_x = 40 + 10 * steps
    record = EpisodeRecord(
        number, 90 * number, 0.1, "1-1", float(max_x), steps, 0.1, 5.0, max_x, end, 2.0 * number, "training", progress
    )
    return MapEpisode(record, trail)


class FakeOneGo:
    """The one emulator of the whole game."""

    closed = False

    def close(self) -> None:
        self.closed = True


class World(Services):
    """The app with fakes for everything below it; tests set and read the attributes."""

    def __init__(self, checkpoints: Sequence[CheckpointInfo] = ()) -> None:
        self.checkpoints = list(checkpoints)
        self.recordings: list[RecordingInfo] = []
        self.converted: list[tuple[Path, Path, int]] = []
        self.session: Any = FakeSession()
        self.player = FakePlayer()
        self.game = FakeGame()
        self.ghosts: list[FakeGhost] = []
        self.one_go = FakeOneGo()
        self.mapped: list[Path] = []
        self.run_map = FakeMap()
        self.no_ghost = False
        self.ghost_problem = ""
        self.ghosts_recorded: list[str] = []
        self.younger: list[FakeGhosts] = []
        self.started: list[tuple[Any, ...]] = []
        self.recorded: list[tuple[Path, str | None, str]] = []
        self.evaluated: list[Path] = []
        self.trashed: list[Path] = []
        self._gone: dict[Path, list[Any]] = {}
        self.played: list[tuple[Any, ...]] = []
        self.window = SimpleNamespace(closed=False, problem="", close=lambda: self.player.calls.append("window closed"))
        self.window_problem = ""
        self.start_problem = ""
        self.gpu = False
        self.given: set[str] = set()  # what the user chose for the run started last
        self.saved_settings = TrainingConfig(envs=4, steps=900, n_steps=3)
        self.job_problem = ""
        self.store_problem = ""
        self.trash_problem = ""
        self.not_kept = ""
        self.not_recorded: dict[str, str] = {}
        self.compared_windows: list[int] = []
        self.free_bytes = 12_300_000_000
        self.free_disk = 34_000_000_000
        self.seconds = 0.0
        self.user_preferences = Preferences()
        self.themes: list[str] = []
        self.exported: list[tuple[Path, str]] = []
        self.verified: list[Path] = []
        self.ways: dict[str, tuple[Way, ...]] = {}
        self.pictured: list[str] = []
        self.campaigns: list[list[str]] = []
        self.settings_in_words = "fast, but n_steps 5"
        self.looked_at: list[Path] = []
        """The runs and recordings of which a picture was asked for."""
        self.damage: dict[Path, str] = {}
        """What is wrong with checkpoints, as only reading them through shows."""

    def catalog(self) -> Catalog:
        return CatalogAsGiven(tuple(summaries(self.checkpoints)))

    def list_recordings(self) -> Sequence[RecordingInfo]:
        return list(self.recordings)

    def recordings_dir(self) -> Path:
        return Path("/recordings")

    def preferences(self) -> Preferences:
        return self.user_preferences

    def save_theme(self, name: str) -> None:
        self.themes.append(name)

    def annotate(self, path: Path, line: str) -> None:
        self._change(path, note=line)

    def export(self, path: Path, name: str) -> Path:
        self.exported.append((path, name))
        return path.parent.with_name(name) / path.name

    def board(self) -> Sequence[StageState]:
        known = self.catalog()
        states = []
        for stage in STAGES:
            best = known.best_of_stage(stage)
            runs = sum(run.stage == stage for run in known.runs)
            progress = None if best is None else 0.38
            states.append(StageState(stage, runs, best, progress, 4321.0 if best else None, self.ways.get(stage, ())))
        return states

    def stage_picture(self, stage: str) -> np.ndarray:
        self.pictured.append(stage)
        return picture(8 * len(self.pictured))

    def search(self, stage: str, on_progress: Callable[[Any], None], cancelled: Callable[[], bool]) -> FoundWay | None:
        if self.job_problem:
            raise MarioTuiError(self.job_problem)
        on_progress(SearchProgress(1_234, 12.0, 200, 1, 1_992))
        way = Way(Path(f"/plays/{stage}_found.json"), "search", 1_440)
        self.ways[stage] = (*self.ways.get(stage, ()), way)
        return FoundWay(way.path, 360)

    def campaign(self, stages: Sequence[str]) -> Any:
        self.campaigns.append(list(stages))
        return FakeCampaign(stages)

    def run_curve(self, run: Path, name: str, points: int) -> Any:
        slope = len(run.name)
        return [(1000.0 * n, 30.0 * slope * n + 100 * (n % slope)) for n in range(40)]

    def run_progress(self, run: Path, points: int) -> Sequence[float]:
        return [300 + 150 * (n * n % 7) + 90 * n for n in range(points)]

    def preset_lines(self) -> Mapping[str, str]:
        near = "a first clear; 1-1 near step 50,000, 6 min here; until_clear ends it"
        return {**PRESETS, "fast": near}

    def free_memory_bytes(self) -> int:
        return self.free_bytes

    def free_disk_bytes(self) -> int | None:
        return self.free_disk

    def now(self) -> datetime:
        return datetime.fromtimestamp(NOW.timestamp() + self.seconds, timezone.utc)

    def app(self, **arguments: Any) -> MarioTuiApp:
        return MarioTuiApp(self, **arguments)

    def new_session(self, config: TrainingConfig, run: str | None, given: Collection[str] = ()) -> TrainingSession:
        if self.start_problem:
            raise MarioTuiError(self.start_problem)
        self.started.append((config, run))
        self.given = set(given)
        return self.session

    def resume_session(self, path: Path, changes: Mapping[str, Any] | None = None) -> TrainingSession:
        self.started.append((path, dict(changes)) if changes else (path,))
        return self.session

    def resume_settings(self, path: Path) -> TrainingConfig:
        if self.start_problem:
            raise MarioTuiError(self.start_problem)
        return self.saved_settings

    def run_names(self) -> Sequence[str]:
        return sorted({info.run for info in self.checkpoints})

    def has_gpu(self) -> bool:
        return self.gpu

    def devices(self) -> tuple[str, ...]:
        return ("auto", "cpu", "cuda", "cuda:1")

    def open_one_go(self) -> Any:
        return self.one_go

    def open_player(self, agent: Any, stage: str | None, game: Any = None) -> AgentPlayer:
        if self.start_problem:
            raise MarioTuiError(self.start_problem)
        name = agent.name if isinstance(agent, Path) else short_name(agent)
        self.player.calls.append(f"open {name}" + (f" {stage}" if stage else "") + (" in one go" if game else ""))
        return self.player

    def open_map(self, run: Path, most: int | None = None) -> Any:
        if most is None:
            self.mapped.append(run)
        self.run_map.run = run
        return self.run_map

    def record_episode(self, name: EpisodeName, progress: Any, cancelled: Any) -> Any:
        return self.record(name, None, ".mp4", (), progress, cancelled)

    def open_game(self, stage: str) -> HumanPlayer:
        self.game.calls.append(f"open {stage}")
        return self.game

    def open_younger(self, agent: Any, stage: str) -> GhostThread | None:
        if self.ghost_problem:
            raise MarioTuiError(self.ghost_problem)
        if self.no_ghost:
            return None
        self.younger.append(FakeGhosts(stage))
        return self.younger[-1]

    def open_ghost(self, stage: str) -> Ghost | None:
        if self.no_ghost:
            return None
        self.ghosts.append(FakeGhost(stage))
        return self.ghosts[-1]

    def verify(self, path: Path) -> None:
        self.verified.append(path)
        problem = self.damage.get(path, "")
        self._change(path, whole=not problem, verified=not problem, problem=problem)

    def _change(self, path: Path, **changes: Any) -> None:
        self.checkpoints = [replace(info, **changes) if info.path == path else info for info in self.checkpoints]

    def run_name_problem(self, name: str) -> str:
        if any(info.run == name for info in self.checkpoints):
            return f"a run named {name} exists"
        return f"run name {name!r} cannot be used" if "/" in name else ""

    def rename_run(self, run: Path, name: str) -> Path:
        self.checkpoints = [
            replace(info, run=name, path=run.with_name(name) / info.path.name) if info.path.parent == run else info
            for info in self.checkpoints
        ]
        return run.with_name(name)

    def seed_groups(self, runs: Sequence[Path]) -> list[tuple[Path, ...]]:
        """Runs are seeds of one another where their names differ only in what follows the last minus sign."""
        groups: dict[str, list[Path]] = {}
        for run in runs:
            groups.setdefault(run.name.rpartition("-seed")[0] or run.name, []).append(run)
        return [tuple(group) for group in groups.values()]

    def compare(self, groups: Sequence[Sequence[Path]], points: int, window: int) -> list[Compared]:
        self.compared_windows.append(window)
        return [self._compared(tuple(group)) for group in groups]

    def _compared(self, runs: tuple[Path, ...]) -> Compared:
        slope = len(runs[0].name)
        curve = [(1000.0 * n, 30.0 * slope * n + 100 * (n % slope)) for n in range(40)]
        curves = {name: [] if name in self.not_recorded else curve for name in COMPARED}
        if len(runs) == 1:
            return Compared(runs, curves, missing=self.not_recorded)
        low = {name: [(x, 0.8 * y) for x, y in points] for name, points in curves.items()}
        high = {name: [(x, 1.3 * y) for x, y in points] for name, points in curves.items()}
        return Compared(runs, curves, low, high, self.not_recorded)

    def episode_near(self, run: Path, episode: float) -> EpisodeName:
        if self.not_kept:
            raise MarioTuiError(self.not_kept)
        return EpisodeName(run, round(episode))

    def run_settings(self, run: Path) -> str:
        return self.settings_in_words

    def run_picture(self, run: Path, stage: str, width: int, height: int) -> np.ndarray | None:
        self.looked_at.append(run)
        return picture(len(run.name)) if width else None

    def still(self, video: Path) -> np.ndarray | None:
        self.looked_at.append(video)
        return picture(len(video.name)) if video.suffix == ".mp4" else None

    def trash_recording(self, path: Path) -> Path:
        self.trashed.append(path)
        self._gone[path] = [info for info in self.recordings if info.path == path]
        self.recordings = [info for info in self.recordings if info.path != path]
        return Path("/recordings/.trash") / path.name

    def take_back_recording(self, trashed: Path, path: Path) -> None:
        assert trashed == Path("/recordings/.trash") / path.name
        self.recordings += self._gone.pop(path)

    def take_back(self, trashed: Path, path: Path) -> None:
        if self.trash_problem:
            raise MarioTuiError(self.trash_problem)
        assert trashed == Path("/checkpoints/.trash") / path.name
        self.checkpoints += self._gone.pop(path)

    def convert(self, log_path: Path, stem: str, suffix: str, scale: int, progress: Any, cancelled: Any) -> Any:
        if self.job_problem:
            raise MarioTuiError(self.job_problem)
        output = Path(f"/recordings/{stem}_new{suffix}")
        self.converted.append((log_path, output, scale))
        self.recordings.insert(0, recording(output.name))
        return SimpleNamespace(path=output, seconds=4.0, cleared=False, max_x=722)

    def trash(self, path: Path) -> Path:
        if self.trash_problem:
            raise MarioTuiError(self.trash_problem)
        self.trashed.append(path)
        self._gone[path] = [info for info in self.checkpoints if path in (info.path, info.path.parent)]
        self.checkpoints = [info for info in self.checkpoints if path not in (info.path, info.path.parent)]
        return Path("/checkpoints/.trash") / path.name

    def evaluate(self, agent: Any, on_episode: Callable[[Any], None], cancelled: Callable[[], bool]) -> Verdict:
        if self.job_problem:
            raise MarioTuiError(self.job_problem)
        self.evaluated.append(agent)
        self.checkpoints = [
            replace(info, greedy_clear=True, robust_clear_rate=0.4) if info.path == agent else info
            for info in self.checkpoints
        ]
        greedy: Any = SimpleNamespace(clears=1, episodes=1, progress=1.0)
        robust: Any = SimpleNamespace(clears=4, episodes=10, max_x=3161)
        return Verdict(greedy, robust, self.store_problem)

    def open_window(self, source: Any, name: str) -> Any:
        if self.window_problem:
            raise MarioTuiError(self.window_problem)
        self.player.calls.append(f"window {name}")
        return self.window

    def record_several(self, run: Any, race: bool, progress: Any, cancelled: Any) -> Any:
        kind = "race" if race else "grid"
        self.played.append((kind, run.run))
        return SimpleNamespace(path=Path(f"/recordings/{kind}.mp4"), seconds=20.0, cleared=True, max_x=3161)

    def record_play(
        self,
        name: str,
        stage: str,
        frame_skip: int,
        held: Any,
        first_frame: int,
        ghosts: Any,
        progress: Any,
        cancelled: Any,
    ) -> Any:
        self.ghosts_recorded = [ghost.name for ghost in ghosts]
        play = (name, stage, frame_skip, held, first_frame)
        self.played.append(play)
        progress(600, None)
        return SimpleNamespace(path=Path("/recordings/play.mp4"), seconds=2.0, cleared=False, max_x=722)

    def record(
        self,
        agent: Any,
        stage: str | None,
        suffix: str,
        ghosts: Any,
        progress: Any,
        cancelled: Callable[[], bool],
    ) -> Any:
        self.ghosts_recorded = [ghost.name for ghost in ghosts]
        if self.job_problem:
            raise MarioTuiError(self.job_problem)
        self.recorded.append((agent, stage, suffix))
        progress(600, None)
        return SimpleNamespace(path=Path(f"/recordings/agent{suffix}"), seconds=10.0, cleared=True, max_x=3161)

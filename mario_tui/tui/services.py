"""What the app asks of the floors below, in one place.

Whatever opens files, starts a thread or needs PyTorch goes through here; most of it is called in a thread, because the
first call that needs PyTorch takes seconds to import it. Apart from that, screens read plain facts of the floors below
(names of buttons and curves, the size of a replay) and lay pictures side by side. Tests override the methods.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from mario_tui.config import TrainingConfig
from mario_tui.game.kept_episodes import EpisodeName, Place
from mario_tui.tui.list_services import ListServices
from mario_tui.tui.preferences import Preferences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_tui.agent.policy import Policy
    from mario_tui.game.action_log import ActionLog
    from mario_tui.play.agent_player import AgentPlayer
    from mario_tui.play.board import StageState
    from mario_tui.play.evaluation import EpisodeResult, Evaluation
    from mario_tui.play.ghost import Ghost, GhostThread
    from mario_tui.play.ghost_trail import GhostTrail
    from mario_tui.play.human_player import HumanPlayer
    from mario_tui.play.one_go import OneGo
    from mario_tui.play.run_map import MapEpisode, RunMap
    from mario_tui.play.searching import FoundWay, SearchProgress
    from mario_tui.play.window_mirror import Source, WindowMirror
    from mario_tui.store.catalog import Catalog, RunSummary
    from mario_tui.training.attached_session import AttachedSession
    from mario_tui.training.campaign import Campaign
    from mario_tui.training.session import TrainingSession
    from mario_tui.video.library import RecordingInfo
    from mario_tui.video.record import Progress, Recording

    Agent = Path | Policy
    """The agent that plays: a checkpoint, or the weights of a running training."""
    Session = TrainingSession | AttachedSession
    """A training of this program, or of another one."""
    Watched = Agent | EpisodeName
    """What Watch shows: an agent, an action log, or an episode of a training."""

GRID_PANELS = 6


def short_name(agent: Watched) -> str:
    """The agent in a few words: `run/step-000120000`, or the live weights' own name."""
    if isinstance(agent, EpisodeName):
        return str(agent)
    if not isinstance(agent, Path):
        return agent.source
    return f"{agent.parent.name}/{agent.name}" if not agent.suffix else agent.name


def is_log(agent: Watched) -> TypeGuard[Path | EpisodeName]:
    """Whether it is no agent, but the action log of a recording, or an episode of a training."""
    return isinstance(agent, EpisodeName) or (
        isinstance(agent, Path) and agent.suffix == ".json" and not agent.is_dir()
    )


@dataclass(frozen=True)
class Verdict:
    """What an evaluation found out: one greedy episode, and several with noise."""

    greedy: Evaluation
    robust: Evaluation
    problem: str = ""
    """Why it could not be stored with the checkpoint; empty otherwise."""


class Services(ListServices):
    """What the app asks of the floors below; every method may raise MarioTuiError, with one line for the user."""

    robust_episodes = 10
    """With sticky actions and no-op starts, in a verdict: as many as the robust clear rate takes at least."""

    def new_session(self, config: TrainingConfig, run: str | None, given: Collection[str] = ()) -> TrainingSession:
        """A session for a new run; `given`: the settings that the user chose, see `initial_weights.initial_config`."""
        from mario_tui.training.initial_weights import initial_config
        from mario_tui.training.session import TrainingSession

        config = initial_config(config, given) if config.init_from else config
        return TrainingSession(config, run=run, fits=True, asked=given)

    def resume_session(self, path: Path, changes: Mapping[str, Any] | None = None) -> TrainingSession:
        """A session with the settings of its run, resumed from a checkpoint, or from a run's newest intact one."""
        from mario_tui.training.resume import resume_config
        from mario_tui.training.session import TrainingSession

        path, warning = _to_resume(path)
        config = resume_config(path, dict(changes or {})) if path.is_dir() else TrainingConfig()
        return TrainingSession(config, resume=path, warning=warning, fits=True, asked=tuple(changes or ()))

    def resume_settings(self, path: Path) -> TrainingConfig:
        """The settings that `resume_session` would go on with."""
        from mario_tui.training.resume import resume_config

        return resume_config(_to_resume(path)[0])

    def preset_lines(self) -> Mapping[str, str]:
        """Name of a preset -> what it is for, how long it takes on this machine and where it ends."""
        from mario_tui.presets import PRESETS
        from mario_tui.training.preset_lines import preset_line

        return {name: preset_line(name) for name in PRESETS}

    def run_names(self) -> Sequence[str]:
        """The runs that there are, the shipped ones too, in alphabetical order."""
        from mario_tui.store import lookup

        return [run.name for run in lookup.all_runs()]

    def checkpoint_name(self, path: Path) -> str:
        """A checkpoint as a setting names it, e.g. `my-run/step-000120000`."""
        from mario_tui.store import named

        return named.name_of(path)

    def devices(self) -> tuple[str, ...]:
        """The devices to choose from; PyTorch, which takes seconds to import, has the last word at the start."""
        count = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        others = tuple(f"cuda:{number}" for number in range(1, count))
        return ("auto", "cpu", "cuda", *others, *(("mps",) if sys.platform == "darwin" else ()))

    def has_gpu(self) -> bool:
        """Whether `auto` may mean a GPU: the form is open before PyTorch, which knows it, is loaded."""
        return any(Path("/proc/driver/nvidia/gpus").glob("*"))

    def verify(self, path: Path) -> None:
        """Reads a checkpoint through, so that lists know what is wrong with it."""
        from mario_tui.store import checkpoint

        checkpoint.is_whole(path)

    def open_one_go(self) -> OneGo:
        """For players of the whole game, each of a stage."""
        from mario_tui.play.one_go import OneGo

        return OneGo()

    def open_player(self, agent: Watched, stage: str | None, game: OneGo | None = None) -> AgentPlayer:
        """A player for an agent, or for the action log of a recording; it is loaded in the player's own thread."""
        from mario_tui.play.agent_player import AgentPlayer
        from mario_tui.play.log_player import LogPlayer

        if is_log(agent):
            from mario_tui.play.ledger import learned_or_tutorials

            learned = learned_or_tutorials(agent.run) if isinstance(agent, EpisodeName) else None
            return LogPlayer(lambda: _logs(agent), game=game, learned=learned)
        assert not isinstance(agent, EpisodeName)
        return AgentPlayer(lambda: _policy(agent), stage=stage, game=game)

    def open_game(self, stage: str) -> HumanPlayer:
        """A game to play by hand."""
        from mario_tui.play.human_player import HumanPlayer

        return HumanPlayer(stage)

    def open_ghost(self, stage: str) -> Ghost | None:
        """The episode of a stage's best agent, to play against; None if no agent was trained on the stage."""
        from mario_tui.play.ghost import Ghost
        from mario_tui.store import catalog

        best = catalog.scan().best_of_stage(stage)
        return None if best is None else Ghost(best.run, lambda: _policy(best.path), stage)

    def open_younger(self, agent: Agent, stage: str) -> GhostThread | None:
        """The episodes of the other checkpoints of an agent's run; None if there are none."""
        from mario_tui.play.ghost import younger_selves

        if isinstance(agent, Path):
            return younger_selves(agent.parent, agent, stage) if agent.is_dir() else None
        return younger_selves(self.run_folder(agent.source.partition(",")[0]), None, stage)

    def open_window(self, source: Source, name: str) -> WindowMirror:
        """Shows in the emulator window what a player or a training shows; WindowError if no window can be opened."""
        from mario_tui.play.window_mirror import WindowMirror

        mirror = WindowMirror(source, name)
        mirror.open()
        return mirror

    def record_play(
        self,
        name: str,
        stage: str,
        frame_skip: int,
        held: Sequence[int],
        first_frame: int,
        ghosts: Sequence[GhostTrail],
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> Recording:
        """Records an episode that was played, from one of its frames on; `held`: the button byte of every frame."""
        from mario_tui import paths
        from mario_tui.game.action_log import ActionLog
        from mario_tui.video.record import record_replay

        log = ActionLog.of_frames(stage, frame_skip, held)
        with paths.new_recording(name, ".mp4") as output:
            more: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
            return record_replay(log, output, first_frame=first_frame, ghosts=ghosts, **more)

    def list_recordings(self) -> Sequence[RecordingInfo]:
        from mario_tui.video import library

        return library.list_recordings()

    def recordings_dir(self) -> Path:
        from mario_tui import paths

        return paths.recordings_dir()

    def save_screenshot(self, picture: str) -> Path:
        """Keeps an SVG beside the recordings, as many a machine has no folder of downloads."""
        from mario_tui import paths
        from mario_tui.system.files import write_atomically

        with paths.new_recording("screenshot", ".svg") as path:
            write_atomically(path, picture)
            return path

    def trash_recording(self, path: Path) -> Path:
        """Moves a recording to the trash folder; returns where it is now."""
        from mario_tui.video import library

        return library.trash(path)

    def take_back_recording(self, trashed: Path, path: Path) -> None:
        """Moves it back from there."""
        from mario_tui.video import library

        library.take_back(trashed, path)

    def take_back(self, trashed: Path, path: Path) -> None:
        """Moves a run or a checkpoint back from the trash folder."""
        from mario_tui.store import run as runs

        runs.take_back(trashed, path)

    def run_folder(self, name: str) -> Path:
        """The folder of a run of the user."""
        from mario_tui import paths

        return paths.checkpoints_dir() / name

    def open_map(self, run: Path, most: int | None = None) -> RunMap:
        """The episodes of a run, or so many of the newest, which are read from its files as they grow."""
        from mario_tui.play.run_map import RunMap

        return RunMap(run, most)

    def draw_map(
        self, episodes: Sequence[MapEpisode], chosen: MapEpisode | None, width: int, height: int
    ) -> NDArray[np.uint8]:
        """The map of their stage with these episodes, in as many lines as make it the largest in so many pixels."""
        from mario_tui.play.run_map import draw_map, fitted, in_lines

        stage = episodes[-1].record.stage
        lines, scale = fitted(stage, width, height)
        return in_lines(draw_map(stage, episodes, chosen=chosen, scale=scale), lines)

    def mark_on_map(
        self, picture: NDArray[np.uint8], stage: str, place: Place | None, width: int, height: int
    ) -> NDArray[np.uint8]:
        """What `draw_map` gave for so many pixels, with a mark where Mario is."""
        from mario_tui.play.run_map import fitted, with_mario

        lines, scale = fitted(stage, width, height)
        return with_mario(picture, stage, place, lines=lines, scale=scale)

    def record_episode(self, name: EpisodeName, progress: Progress, cancelled: Callable[[], bool]) -> Recording:
        """Makes a video of an episode of a training."""
        from mario_tui import paths
        from mario_tui.video.record import record_replay

        log = name.load().log
        with paths.new_recording(f"{name.run.name}-episode-{name.episode}", ".mp4") as output:
            return record_replay(log, output, progress=progress, cancelled=cancelled)

    def convert(
        self,
        log_path: Path,
        stem: str,
        suffix: str,
        scale: int,
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> Recording:
        """Makes a video of a recording's action log again, in another format or size, under a new name."""
        from mario_tui import paths
        from mario_tui.video.ghosts_beside import ghosts_beside
        from mario_tui.video.record import record_replay

        logs, first_frame = _logs(log_path)
        more: dict[str, Any] = {
            "ghosts": ghosts_beside(log_path, cancelled),
            "progress": progress,
            "cancelled": cancelled,
        }
        with paths.new_recording(stem, suffix) as output:
            return record_replay(logs, output, scale=scale, first_frame=first_frame, **more)

    def catalog(self) -> Catalog:
        """All runs and checkpoints, from one look at the disk."""
        from mario_tui.store import catalog

        return catalog.scan()

    def board(self) -> Sequence[StageState]:
        """How far one is on each of the 32 stages."""
        from mario_tui.play.board import read_board

        return read_board()

    def stage_picture(self, stage: str) -> NDArray[np.uint8]:
        """(240, 256, 3) uint8, the start of a stage."""
        from mario_tui.game.emulator import open_emulator

        with open_emulator(stage) as emulator:
            return emulator.screen

    def search(
        self, stage: str, on_progress: Callable[[SearchProgress], None], cancelled: Callable[[], bool]
    ) -> FoundWay | None:
        """Looks for a way through a stage, or goes on with the last search of it; None where it is cancelled."""
        from mario_tui.play.searching import find_way

        return find_way(stage, on_progress=on_progress, stopped=cancelled)

    def campaign(self, stages: Sequence[str]) -> Campaign:
        """Trainings on these stages, one after the other; see training/campaign.py."""
        from mario_tui.training.campaign import Campaign

        return Campaign("campaign", stages)

    def annotate(self, path: Path, line: str) -> None:
        from mario_tui.store import evaluations

        evaluations.annotate(path, line)

    def rename_run(self, run: Path, name: str) -> Path:
        from mario_tui.store import run as runs
        from mario_tui.video import library

        renamed = runs.rename_run(run, name)
        library.set_aside(library.best_path(renamed))  # of an earlier run of that name
        return renamed

    def run_name_problem(self, name: str) -> str:
        """Why a run cannot be given that name; empty where it can."""
        from mario_tui import paths
        from mario_tui.errors import InputError

        try:
            taken = paths.run_dir(name).exists()
        except InputError as error:
            return str(error)
        return f"a run named {name} exists: choose another name" if taken else ""

    def export(self, path: Path, name: str) -> Path:
        """Copies what plays of a checkpoint, a few MB, into a new run."""
        from mario_tui.training.export import export_policy

        return export_policy(path, name)

    def trash(self, path: Path) -> Path:
        """Moves a run or a checkpoint to the trash folder; returns where it is now."""
        from mario_tui.store import run as runs

        return runs.trash(path)

    def evaluate(
        self, agent: Agent, on_episode: Callable[[EpisodeResult], None], cancelled: Callable[[], bool]
    ) -> Verdict:
        """One greedy episode, and `robust_episodes` with sticky actions and no-op starts."""
        from mario_tui.play import evaluation

        policy = _policy(agent)
        problems: list[str] = []

        def measure(episodes: int, sticky: float, noops: int) -> Evaluation:
            found = evaluation.evaluate(
                policy, episodes=episodes, sticky=sticky, noops=noops, on_episode=on_episode, cancelled=cancelled
            )
            if found.episodes == episodes and isinstance(agent, Path):
                problems.append(evaluation.note(agent, policy, found, stage=policy.stage, sticky=sticky, noops=noops))
            return found

        return Verdict(
            greedy=measure(1, 0.0, 0),
            robust=measure(self.robust_episodes, evaluation.ROBUST_STICKY, evaluation.ROBUST_NOOPS),
            problem=next(filter(None, problems), ""),
        )

    def record(
        self,
        agent: Agent,
        stage: str | None,
        suffix: str,
        ghosts: Sequence[GhostTrail],
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> Recording:
        """Records the greedy episode of an agent under a new name in the recordings folder."""
        from mario_tui.video import record_agent

        stages = () if stage is None else (stage,)
        with record_agent.new_output(agent, suffix) as output:
            more: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
            return record_agent.record_agent(agent, output, stages=stages, ghosts=ghosts, **more)

    def record_several(
        self, run: RunSummary, race: bool, progress: Progress, cancelled: Callable[[], bool]
    ) -> Recording:
        """Records up to six whole checkpoints of a run, from its first to its newest: side by side, or as a race."""
        from mario_tui import paths
        from mario_tui.agent.policy import load_policy
        from mario_tui.store.catalog import evenly_spaced
        from mario_tui.video import grid
        from mario_tui.video import race as races

        whole = sorted((info for info in run.checkpoints if info.whole), key=lambda info: info.step)
        policies = [load_policy(info.path) for info in evenly_spaced(whole, GRID_PANELS)]
        with paths.new_recording(f"{run.run}_{'race' if race else 'grid'}", ".mp4") as output:
            record = races.record_race if race else grid.record_grid
            return record(policies, output, progress=progress, cancelled=cancelled)

    def free_memory_bytes(self) -> int:
        from mario_tui.system import free_memory

        return free_memory.free_bytes()

    def free_disk_bytes(self) -> int | None:
        """Where the checkpoints are; None where that cannot be told."""
        from mario_tui import paths
        from mario_tui.system import files

        return files.free_bytes(paths.checkpoints_dir())

    def stages(self) -> tuple[str, ...]:
        from mario_tui.game.stages import STAGES

        return STAGES

    def next_stage(self, stage: str) -> str | None:
        from mario_tui.game.stages import next_stage as following

        return following(stage)

    def action_names(self, action_set: str) -> tuple[str, ...]:
        from mario_tui.buttons import action_names as names

        return names(action_set)

    def preferences(self) -> Preferences:
        from mario_tui.tui import preferences

        return preferences.load()

    def run_on_event(self, command: str, event: str, text: str, run: str) -> str:
        """Starts the user's command for an event; why it could not be, or ""."""
        from mario_tui.system import on_event

        return on_event.run(command, event, text, run)

    def save_theme(self, name: str) -> None:
        from mario_tui.tui import preferences

        preferences.save_theme(name)

    def now(self) -> datetime:
        return datetime.now().astimezone()


def _to_resume(path: Path) -> tuple[Path, str]:
    """The checkpoint to resume, and why it is not the newest of the run that was named; "" if it is."""
    from mario_tui.store import named
    from mario_tui.store.run import find_resumable

    return find_resumable(path) if named.find_run(path) else (path, "")


def _logs(path: Path | EpisodeName) -> tuple[Sequence[ActionLog], int]:
    """The episodes of an action log, and where its video begins."""
    if isinstance(path, EpisodeName):
        return (path.load().log,), 0
    from mario_tui.game.action_log import load_logs
    from mario_tui.video import library

    first_frames = {info.log.resolve(): info.first_frame for info in library.list_recordings() if info.log is not None}
    return load_logs(path), first_frames.get(path.resolve(), 0)


def _policy(agent: Agent) -> Policy:
    from mario_tui.agent.policy import load_policy

    return load_policy(agent) if isinstance(agent, Path) else agent

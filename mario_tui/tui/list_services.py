"""What lists and charts ask of the floors below about runs and recordings; a part of `Services`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mario_tui.game.kept_episodes import EpisodeName
    from mario_tui.store.comparison import Compared


class ListServices:
    """Each of these is quick where nothing changed since it was asked last, as the floors below remember."""

    def run_progress(self, run: Path, points: int) -> Sequence[float]:
        """How far a run's episodes got on the average, in that many parts of it or fewer."""
        from mario_tui.store.history import progress

        return progress(run, points)

    def run_curve(self, run: Path, name: str, points: int) -> Sequence[tuple[float, float]]:
        """(step, value) of a run's curve, for comparisons; see COMPARED for the names."""
        from mario_tui.store import history

        return history.run_curve(run, name, points)

    def run_picture(self, run: Path, stage: str, width: int, height: int) -> NDArray[np.uint8] | None:
        """Where the newest episodes of a run go and end, on the map of its stage; see `run_map.run_picture`."""
        from mario_tui.play.run_map import run_picture

        return run_picture(run, stage, width, height)

    def run_settings(self, run: Path) -> str:
        """The preset that a run is most like, and what it has otherwise; "" where its settings cannot be read."""
        from mario_tui.errors import InputError
        from mario_tui.presets import preset_in_words
        from mario_tui.store.run import settings_of

        try:
            return preset_in_words(settings_of(run))
        except InputError:
            return ""

    def still(self, video: Path) -> NDArray[np.uint8] | None:
        """A picture of a recording, shortly before its end; None where it cannot be read."""
        from mario_tui.video.still import still

        return still(video)

    def seed_groups(self, runs: Sequence[Path]) -> Sequence[tuple[Path, ...]]:
        from mario_tui.store import comparison

        return comparison.seed_groups(runs)

    def compare(self, groups: Sequence[Sequence[Path]], points: int, window: int) -> Sequence[Compared]:
        from mario_tui.store import comparison

        return comparison.compare(groups, points, window)

    def episode_near(self, run: Path, episode: float) -> EpisodeName:
        from mario_tui.game import kept_episodes

        return kept_episodes.find_near(run, episode)

"""What a run keeps of its episodes."""

from pathlib import Path

from mario_tui.game.kept_episodes import FILE, KeptEpisode


def read_kept(run: Path) -> list[KeptEpisode]:
    """All of them, the oldest first; damaged lines are left out."""
    kept = []
    for line in (run / FILE).read_text(encoding="ascii", errors="replace").splitlines()[1:]:
        try:
            kept.append(KeptEpisode.of_line(line))
        except ValueError:
            continue
    return kept

"""The line at the top of every screen: where one is, and what training does meanwhile."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from mario_tui.tui.widgets.kept_lines import KeptLines

STATUS_STYLES = {
    "loading": "$secondary",
    "starting": "$secondary",
    "running": "$success",
    "paused": "$warning",
    "stopping": "$warning",
    "finished": "$success",
    "failed": "$error",
}


class TopBar(KeptLines):
    """`mario-tui  Train            ● running  my-run  stage 1-1  cpu`: the right part is cut if there is no room."""

    DEFAULT_CSS = """
    TopBar { height: 1; dock: top; background: $panel; color: $foreground; padding: 0 1; }
    """

    status: reactive[str] = reactive("")
    details: reactive[tuple[str, ...]] = reactive(())

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.heading = heading

    def render(self) -> Content:
        left = Content.assemble(("mario-tui", "bold $primary"), "  ", (self.heading, "bold"))
        details = list(self.details)
        room = self.content_size.width - left.cell_length - 2
        while details and len(self.status) + 2 + sum(len(d) + 2 for d in details) > room:
            details.pop()
        style = STATUS_STYLES.get(self.status, "$foreground 60%")
        right = Content.assemble(
            (f"● {self.status}", f"bold {style}") if self.status else "",
            *((f"  {detail}", "$foreground 60%") for detail in details),
        )
        gap = max(2, self.content_size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)

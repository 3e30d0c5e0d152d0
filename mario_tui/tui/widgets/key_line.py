"""The line of keys at the bottom of every screen."""

from __future__ import annotations

from textual.content import Content
from textual.screen import Screen
from textual.style import Style

from mario_tui.tui.widgets.kept_lines import KeptLines


class KeyLine(KeptLines):
    """`space Pause  s Save  q Stop`: the screen's bindings, and the palette's key at the right; each can be clicked.

    One widget that draws a line: Textual's own Footer makes a new widget of every key whenever the bindings may have
    changed, which delays a key by tens of milliseconds, and does not free the old ones.
    """

    DEFAULT_CSS = """
    KeyLine { height: 1; dock: bottom; background: $footer-background; color: $footer-description-foreground; }
    """

    auto_links = False  # keys have a look of their own

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.app.screen_change_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        if not self.screen.is_active:
            return Content("")  # a dialog lies above: its keys are others
        left: list[Content] = []
        right: list[Content] = []  # the palette's key, with its name and without
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            place = (id(active.node), binding.action)
            if binding.key == self.app.COMMAND_PALETTE_BINDING:
                display = self.app.get_key_display(binding)
                right = [self._key(binding.key, display, binding.description), self._key(binding.key, display)]
            elif binding.show and place not in seen:
                seen.add(place)
                dim = "" if active.enabled else "dim"
                left.append(self._key(binding.key, self.app.get_key_display(binding), binding.description, dim))
        keys = Content("  ").join(left)
        while keys.cell_length > self.size.width and left:  # a name cut off is of no use; the help has all keys
            keys = Content("  ").join(left := left[:-1])
        for end in right:
            gap = self.size.width - keys.cell_length - end.cell_length - 1
            if gap > 0:
                return Content.assemble(keys, " " * gap, end)
        return keys

    def _key(self, key: str, display: str, name: str = "", style: str = "") -> Content:
        click = Style.from_meta({"@click": f"app.simulate_key({key!r})"})
        return Content.assemble(
            (display, f"bold $footer-key-foreground {style}"), (f" {name}" if name else "", style)
        ).stylize(click)

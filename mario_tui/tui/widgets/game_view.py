"""The game in a terminal: drawn with characters that divide a cell into pixels, see cells.py.

Or it is a picture of the terminal's own, where that has them; the cells under it are then left empty.
"""

import textwrap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.errors import NoWidget
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mario_tui.tui import cells
from mario_tui.tui.graphics import Graphics, Place

# Texts and pairs of colours come back frame after frame, so their segments, and the escape codes that Rich keeps inside
# styles, are kept.
_MAX_KEPT = 50_000
_segments: dict[tuple[str, int], Segment] = {}
_styles: dict[int, Style] = {}


class GameView(Widget):
    """Shows the frame last given to `frame`, as large as it fits, centred, with its proportions kept.

    Frames are (height, width, 3) uint8 RGB. They are not copied: an array must not change after it was given.
    Without a frame, `empty_text` stands in the middle. With `graphics` the frame is shown as a picture in the
    terminal, and with `characters` only while the screen is not the topmost one.
    """

    class Resized(Message):
        """There is room for a picture of another size, or for none."""

    LOOK_SECONDS = 0.1
    """How often a picture is compared with what should be seen: the terminal may have been busy, the widget moved."""

    DEFAULT_CSS = """
    GameView {
        width: 1fr;
        height: 1fr;
    }
    """

    def __init__(
        self,
        empty_text: str = "",
        *,
        graphics: Graphics | None = None,
        characters: cells.Characters = cells.QUADRANTS,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._empty_text = empty_text
        self._frame: NDArray[np.uint8] | None = None
        self._picture: _Picture | None = None
        self._lines: dict[int, Strip] = {}
        self._graphics, self._characters = graphics, characters
        self._in_terminal = None if graphics is None else graphics.new_picture()
        self._place: Place | None = None

    def on_mount(self) -> None:
        if self._graphics is not None:
            self.app.screen_change_signal.subscribe(self, self._on_screen_change, immediate=True)
            self.set_interval(self.LOOK_SECONDS, self._update_terminal)

    def on_unmount(self) -> None:
        if self._in_terminal is not None:
            self._in_terminal.remove()

    @property
    def frame(self) -> NDArray[np.uint8] | None:
        """The frame on show, (height, width, 3) uint8, or None."""
        return self._frame

    @frame.setter
    def frame(self, frame: NDArray[np.uint8] | None) -> None:
        if frame is self._frame:
            return
        self._frame = frame
        self._show_frame()

    @property
    def empty_text(self) -> str:
        """What stands in place of the game while there is no frame; may have several lines."""
        return self._empty_text

    @empty_text.setter
    def empty_text(self, text: str) -> None:
        if text != self._empty_text:
            self._empty_text = text
            if self._frame is None:
                self._redraw()

    def on_resize(self) -> None:
        self._picture = None
        self._redraw()
        self._update_terminal()
        self.post_message(self.Resized())

    def on_hide(self) -> None:
        self._update_terminal()
        self.post_message(self.Resized())

    def _on_screen_change(self, _: object) -> None:
        self._update_terminal()

    def notify_style_update(self) -> None:
        self._lines.clear()
        super().notify_style_update()

    def _redraw(self) -> None:
        self._lines.clear()
        self.refresh()

    def _show_frame(self) -> None:
        """Asks Textual to repaint only the rows that differ: over a slow line, bytes are what counts."""
        self._update_terminal()
        if self._place is not None:
            self._picture = None  # characters are drawn on demand
            return
        before = self._picture
        if self._frame is None or before is None:
            self._picture = None  # drawn when Textual asks for it
            self._redraw()
            return
        self._picture = picture = _Picture(self._frame, before.width, before.height, self._characters)
        if picture.cells.shape != before.cells.shape:
            self._redraw()
            return
        changed = (picture.cells != before.cells).any(axis=1)
        for row in np.flatnonzero(changed).tolist():
            self._lines.pop(picture.top + row, None)
        edges = np.flatnonzero(np.diff(changed, prepend=False, append=False)).tolist()
        regions = [
            Region(0, picture.top + start, picture.width, stop - start)
            for start, stop in zip(edges[::2], edges[1::2], strict=True)
        ]
        if regions:
            self.refresh(*regions)

    def _update_terminal(self) -> None:
        """Shows the frame as a picture in its place, or removes the picture that is not to be seen any more."""
        if self._in_terminal is None:
            return
        before, place = self._place, self._find_place()
        self._place = place
        if (before and before.region) != (place and place.region):
            self._redraw()
        if place is None or self._frame is None:
            self._in_terminal.remove()
        else:
            self._in_terminal.show(self._frame, place)

    def _find_place(self) -> Place | None:
        """Where on the screen the picture belongs; None without one, or if it is drawn with characters."""
        if self._graphics is None or self._frame is None or not self.is_attached or not self.screen.is_active:
            return None
        try:
            geometry = self.screen.find_widget(self)
        except NoWidget:
            return None
        region = geometry.region
        # the terminal neither cuts a picture off nor draws a border around it
        if not region or region != geometry.visible_region or region.size != self.size:
            return None
        height, width = self._frame.shape[:2]
        columns, rows = fitted_cells(width, height, *region.size, self._graphics.cell_ratio)
        x, y = region.x + (region.width - columns) // 2, region.y + (region.height - rows) // 2
        place = Region(x, y, columns, rows)
        return Place(place, tuple(self._covered_parts(place)), self.app.size)

    def _covered_parts(self, place: Region) -> Iterator[Region]:
        """The parts of a region that widgets above this one cover, e.g. notices."""
        for widget, (region, clip) in self.screen._compositor.visible_widgets.items():  # the topmost comes first
            if widget is self:
                return
            if covered := place.intersection(region).intersection(clip):
                yield covered

    def _was_written_over(self) -> None:
        """Textual writes blanks in the place of the picture: it is drawn again after that, where that is needed."""
        assert self._in_terminal is not None
        self._in_terminal.was_written_over()
        self.call_after_refresh(self._update_terminal)

    def _shows_picture(self) -> bool:
        return (
            self._place is not None
            and self._graphics is not None
            and not self._graphics.are_left_out
            and self.screen.is_active
        )

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draws without Textual's styles and filters for lines: there are neither borders nor colours to translate."""
        plain = self.region.size == self.size and crop.column_span == (0, self.size.width) and not self.app.no_color
        if not plain:
            return super().render_lines(crop)
        if self._shows_picture():
            self._was_written_over()
            return [self.render_line(0)] * crop.height
        lines, strips = self._lines, []
        for y in crop.line_range:
            strip = lines.get(y)
            if strip is None:
                strip = lines[y] = self.render_line(y)
            strips.append(strip)
        return strips

    def render_line(self, y: int) -> Strip:
        style = self.visual_style.rich_style
        if self._shows_picture():
            return Strip.blank(self.size.width, style)
        if self._frame is None:
            return self._empty_line(y, style)
        picture = self._picture
        if picture is None:
            picture = self._picture = _Picture(self._frame, *self.size, self._characters)
        row = y - picture.top
        if not 0 <= row < len(picture.rows):
            return Strip.blank(picture.width, style)
        segments = [_segments.get(piece) or _make_segment(piece) for piece in picture.rows[row]]
        if picture.left:
            segments.insert(0, Segment(" " * picture.left, style))
        if picture.right:
            segments.append(Segment(" " * picture.right, style))
        return Strip(segments, picture.width)

    def _empty_line(self, y: int, style: Style) -> Strip:
        width, height = self.size
        lines = [
            piece for line in self._empty_text.splitlines() for piece in textwrap.wrap(line, max(1, width)) or [""]
        ]
        row = y - max(0, height - len(lines)) // 2
        if not 0 <= row < len(lines):
            return Strip.blank(width, style)
        left = (width - cell_len(lines[row])) // 2
        segments = [Segment(" " * left, style), Segment(lines[row], style + Style(dim=True))]
        return Strip(segments).adjust_cell_length(width, style)


class _Picture(cells.Drawing):
    """A frame drawn in the middle of a widget of width x height cells."""

    def __init__(self, frame: NDArray[np.uint8], width: int, height: int, characters: cells.Characters) -> None:
        columns, rows = fitted_cells(frame.shape[1], frame.shape[0], width, height)
        super().__init__(frame, columns, rows, characters)
        self.width, self.height = width, height
        self.top = (height - rows) // 2
        self.left = (width - columns) // 2
        self.right = width - columns - self.left


def fitted_cells(
    frame_width: int, frame_height: int, width: int, height: int, cell_ratio: float = 2
) -> tuple[int, int]:
    """The (columns, rows) of the largest picture of a frame that fits width x height cells of 1 x `cell_ratio`."""
    scale = min(width / frame_width, cell_ratio * height / frame_height)
    return max(1, round(frame_width * scale)), max(1, round(frame_height * scale / cell_ratio))


def rgb(stack: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Grey pictures, (n, height, width) uint8, as RGB ones."""
    return [np.repeat(picture[:, :, None], 3, axis=2) for picture in stack]


def _make_segment(piece: tuple[str, int]) -> Segment:
    if len(_segments) >= _MAX_KEPT:
        _segments.clear()
        _styles.clear()
    text, colours = piece
    style = _styles.get(colours)
    if style is None:
        foreground, background = cells.both_colours(colours)
        style = _styles[colours] = Style(color=Color.from_rgb(*foreground), bgcolor=Color.from_rgb(*background))
    segment = _segments[piece] = Segment(text, style)
    return segment

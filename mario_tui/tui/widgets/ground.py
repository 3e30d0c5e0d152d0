"""Containers that are nothing but their background."""

import os

from textual.containers import Container


class Ground(Container):
    """A container without border, padding or text of its own, so that Textual need not look for them line by line.

    Whatever moves has all containers beneath it drawn again; where NO_COLOR is set the usual way takes the colours out.
    """

    BLANK = "NO_COLOR" not in os.environ

"""The app's own colours: a dark ground, Mario's red, and the gold of the coins for what is selected."""

from textual.theme import Theme

MARIO_DARK = Theme(
    name="mario",
    dark=True,
    primary="#e8523f",
    secondary="#f8c630",
    accent="#f8c630",
    success="#58b368",
    warning="#f2a541",
    error="#ff6b6b",
    foreground="#e9e6df",
    background="#14151b",
    surface="#1c1e27",
    panel="#282b37",
    variables={
        "footer-key-foreground": "#f8c630",
        "block-cursor-background": "#f8c630",
        "block-cursor-foreground": "#14151b",
        "block-cursor-text-style": "bold",
        "input-selection-background": "#e8523f 40%",
        "border": "#e8523f",
        "border-blurred": "#3a3e4d",
    },
)

MARIO_LIGHT = Theme(
    name="mario-light",
    dark=False,
    primary="#b92d1c",
    secondary="#8a5a00",
    accent="#8a5a00",
    success="#1f7a33",
    warning="#9a5a00",
    error="#b3261e",
    foreground="#22232a",
    background="#f7f4ec",
    surface="#efebe0",
    panel="#e2ddcf",
    variables={
        "footer-key-foreground": "#b92d1c",
        "block-cursor-background": "#b92d1c",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "border": "#b92d1c",
        "border-blurred": "#c9c3b2",
    },
)

"""mario-tui: train, watch and record a Double-DQN agent that plays Super Mario Bros, in the terminal."""

__version__ = "0.1.0"

"""mario-tui: train, watch and record a Double-DQN agent that plays Super Mario Bros, in the terminal."""

import os

# What PyTorch cannot do on Apple's GPUs it does on the CPU, if this is there before it is first imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__version__ = "0.1.0"

"""One episode at a time: rollouts, evaluation, recordings, the emulator window."""

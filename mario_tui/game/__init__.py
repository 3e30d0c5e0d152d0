"""Super Mario Bros as the agent meets it: an emulator, episodes, many of them at once. Needs numpy, no torch."""

"""Super Mario Bros as the agent meets it: an emulator, episodes, fleets of them. Needs numpy, no torch."""

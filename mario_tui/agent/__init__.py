"""Double DQN: what the agent sees, remembers, chooses and learns. Knows torch, and nothing of the game."""

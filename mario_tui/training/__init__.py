"""Joins game and agent: the training loop, its control, its metrics, and the session that an app owns."""

"""What lies on the disk about runs: checkpoints, evaluations, metrics."""

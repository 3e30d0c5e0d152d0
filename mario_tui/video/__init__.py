"""Videos of episodes: MP4 and GIF."""

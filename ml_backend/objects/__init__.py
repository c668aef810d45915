"""Objects in videos: boxes found in frames, followed from frame to frame, and thinned to the key frames that say the same."""

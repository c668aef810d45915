"""Where objects go in a video: distances, speeds, visits and contacts of tracks, and which tracks are probably wrong. Arrays in, numbers
out; uses nothing of ours."""

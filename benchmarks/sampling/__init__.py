"""Which frames to label: what each strategy shows of a video, and what a model learns from it."""

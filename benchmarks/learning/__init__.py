"""How right the models are, and how honest: Cold from a few labelled frames, Blitz on unseen videos."""

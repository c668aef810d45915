"""What the learner makes of behaviour: drawn scenes of many kinds, and real clips, each against plain baselines."""

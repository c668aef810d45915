"""From a model version to timelines and questions in Label Studio."""

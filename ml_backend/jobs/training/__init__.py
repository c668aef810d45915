"""From annotations to a measured model version."""

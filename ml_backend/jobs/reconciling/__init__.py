"""What Label Studio has against what was done, and what follows from the difference."""

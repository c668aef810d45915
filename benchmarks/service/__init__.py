"""Whether the service answers in time while it works, loses nothing whatever is killed, and lets nothing in."""

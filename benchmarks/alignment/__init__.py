"""Is every label about the frame the person saw? Checked on made and real clips in a real Label Studio."""

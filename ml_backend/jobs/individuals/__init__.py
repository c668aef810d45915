"""A timeline for each individual in a video: who is in it, what is seen of each, and what people say of each."""

"""Which frames people are asked about, before a model can predict."""

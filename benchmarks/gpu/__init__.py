import os

# As `coldblitz serve` gives its workers: more threads spin on the cores that decode.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import os

# OpenCV tries AV1, which it cannot decode here, and says so once a frame.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# As `coldblitz serve` gives its workers: more threads spin, and fitting a head then takes six times as much of a busy processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import os

# OpenCV tries AV1, which it cannot decode here, and says so once a frame.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

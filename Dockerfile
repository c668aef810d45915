# One image for the web process, the workers, and (with the default command) both and a Redis in one container.
#   docker build .                 for processors; torch without CUDA from TORCH_INDEX
#   docker build --target gpu .    for NVIDIA GPUs; torch and CUDA as the lock pins them
# Needs BuildKit, which Docker has by default since 23.0; before, set DOCKER_BUILDKIT=1.
FROM python:3.11-slim-bookworm AS environment
RUN python -m venv /srv/coldblitz
ENV PATH=/srv/coldblitz/bin:$PATH
WORKDIR /src
COPY requirements/product.lock .
# torch and what it needs for GPUs apart from the rest: they are layers of their own. Nothing of ours compiles for a GPU, so triton stays out.
RUN awk '/^[a-z]/ { part = /^triton=/ ? "none" : /^(torch|torchvision)=/ ? "torch" : /^(nvidia|cuda)-/ ? "cuda" : "rest" } \
    { print > (part ".lock") }' product.lock

FROM environment AS packages
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement rest.lock && pip uninstall --yes pip
# Tests of these are a tenth of it. numpy's stay, which import what they need from them.
RUN cd /srv/coldblitz/lib/python3.11/site-packages && find networkx pandas pyarrow pywt scipy sympy -type d -name tests -prune -exec rm -r {} +

# The lock has the hashes of torch for CUDA alone, so that this one is pinned by its version.
# Where that index cannot be reached: --build-arg TORCH_INDEX= takes what the lock pins, which is some 4 GB larger.
FROM environment AS torch-cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN if [ -n "$TORCH_INDEX" ]; then sed -n 's/^\([a-z]*==[^ ]*\).*/\1/p' torch.lock > torch.txt \
    && pip install --no-cache-dir --no-deps --prefix /torch --index-url "$TORCH_INDEX" --requirement torch.txt; \
    else pip install --no-cache-dir --no-deps --prefix /torch --require-hashes --requirement torch.lock --requirement cuda.lock; fi \
    && rm -rf /torch/lib/python3.11/site-packages/torch/include /torch/lib/python3.11/site-packages/torch/test

FROM environment AS torch-gpu
RUN pip install --no-cache-dir --no-deps --prefix /torch --require-hashes --requirement torch.lock --requirement cuda.lock \
    && rm -rf /torch/lib/python3.11/site-packages/torch/include /torch/lib/python3.11/site-packages/torch/test

FROM environment AS code
COPY . .
RUN pip install --no-cache-dir --no-deps --prefix /code .

FROM python:3.11-slim-bookworm AS runtime
RUN useradd --uid 10001 --create-home coldblitz \
    && install --directory --owner coldblitz --group coldblitz /data /settings
COPY --from=packages /srv/coldblitz /srv/coldblitz
ENV PATH=/srv/coldblitz/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=9090 \
    DATA_DIR=/data
WORKDIR /home/coldblitz
# Where commands written for other ML backends look for the application: gunicorn --bind :$PORT _wsgi:app
RUN echo "from ml_backend._wsgi import app" > _wsgi.py
USER coldblitz
VOLUME /data
EXPOSE 9090
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://localhost:{os.environ[\"PORT\"]}/health', timeout=4)"]
CMD ["coldblitz", "serve"]

# Our own code comes last: a change of it is a layer of a few megabytes.
FROM runtime AS gpu
COPY --from=torch-gpu /torch /srv/coldblitz
COPY --from=code /code /srv/coldblitz

FROM runtime AS cpu
COPY --from=torch-cpu /torch /srv/coldblitz
COPY --from=code /code /srv/coldblitz

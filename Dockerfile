# One image for the web process, the workers, and (with the default command) both and a Redis in one container.
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /srv/coldblitz
ENV PATH=/srv/coldblitz/bin:$PATH
WORKDIR /src
# The lock alone first: a change of our code does not install torch again.
COPY requirements/product.lock requirements/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/product.lock
COPY . .
RUN pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home coldblitz && install --directory --owner coldblitz --group coldblitz /data
COPY --from=build /srv/coldblitz /srv/coldblitz
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

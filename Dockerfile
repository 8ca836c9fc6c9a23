# syntax=docker/dockerfile:1
# One image for both: `docker run … migrate` once per release, then `docker run …` (serve).
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.txt ./
RUN python3 -m venv /app/.venv \
    && /app/.venv/bin/pip install --require-hashes -r requirements.txt
# The packages run from /app as in a checkout, because alembic/ stands beside them there.
COPY pyproject.toml ./
COPY workflows ./workflows
COPY notifications ./notifications
COPY alembic ./alembic
COPY service ./service
RUN /app/.venv/bin/pip install --no-deps --no-build-isolation --editable . \
    && /app/.venv/bin/python -m compileall -q workflows notifications service \
    && /app/.venv/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
LABEL org.opencontainers.image.title="jinji" \
    org.opencontainers.image.description="晋级: runs a grading programme such as 创A晋B as a workflow" \
    org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 jinji \
    && useradd --no-log-init --uid 10001 --gid jinji --home-dir /var/lib/jinji --no-create-home --shell /usr/sbin/nologin jinji \
    && install --directory --owner jinji --group jinji --mode 0750 /var/lib/jinji
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    JINJI_HOST=0.0.0.0 \
    JINJI_PORT=8000 \
    JINJI_DATABASE_URL=sqlite:////var/lib/jinji/jinji.db \
    JINJI_MAIL=file:/var/lib/jinji/mail
WORKDIR /var/lib/jinji
USER 10001:10001
VOLUME /var/lib/jinji
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['JINJI_PORT'] + '/health/ready', timeout=4)"]
ENTRYPOINT ["jinji"]
CMD ["serve"]

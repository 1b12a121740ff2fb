# Countersign as an image: docker build --tag countersign .
# It runs as user 65532, on a read-only root without a shell. All that it writes is in its working directory,
# /var/lib/countersign, and in /tmp. docs/deploying/containers.md has the rest.

# Any Debian with Python 3.11 or newer, its venv module and certificates will do: --build-arg BASE=…
ARG BASE=pinned

# The digest fixes what the tag named when this was written. Dependabot brings it up to date, and reads it only here.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS pinned

# hadolint ignore=DL3006
FROM ${BASE} AS base

FROM base AS build
WORKDIR /src
# First what changes seldom, so that a change of the code installs nothing anew.
COPY requirements-runtime.lock ./
RUN python3 -m venv /opt/countersign \
 && /opt/countersign/bin/python -m pip install --disable-pip-version-check --no-cache-dir --no-compile --quiet \
      --require-hashes --requirement requirements-runtime.lock
# What it will run on: the base without shell, package manager and whatever else runs nothing here.
COPY --from=base / /rootfs/
COPY deploy/image/trim.py ./
RUN python3 trim.py /rootfs \
 && python3 -m compileall -q --invalidation-mode unchecked-hash -s /rootfs -p / /rootfs/usr/local/lib
COPY pyproject.toml setup.py README.md LICENSE ./
COPY core core
COPY bot bot
COPY localslack localslack
COPY playground playground
# Nothing is downloaded here, and no packaging tool is left in what runs. A read-only root can't keep what Python compiles,
# so all is compiled here, whenever its source was written: a copy may change that.
ARG COMMIT=unknown
# Such as "tracing,signing". They are in no lock: their newest versions are installed, beside those that the lock names.
ARG EXTRAS=
RUN SOURCE_COMMIT="${COMMIT}" /opt/countersign/bin/python -m pip install --disable-pip-version-check --no-cache-dir \
      --no-compile --quiet --no-deps --no-build-isolation --no-index . \
 && if [ -n "${EXTRAS}" ]; then /opt/countersign/bin/python -m pip install --disable-pip-version-check --no-cache-dir \
      --no-compile --quiet "countersign[${EXTRAS}]"; fi \
 && /opt/countersign/bin/python -m pip uninstall --disable-pip-version-check --quiet --yes setuptools pip \
 && /opt/countersign/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/countersign/lib \
 && find /opt/countersign/bin -type f ! -name countersign -delete
COPY deploy/image/sbom.py ./
ARG VERSION=unknown
RUN cp -a /opt/countersign /rootfs/opt/ \
 && install --directory /rootfs/usr/share/countersign \
 && /opt/countersign/bin/python sbom.py /rootfs "${VERSION}" >/rootfs/usr/share/countersign/sbom.cdx.json \
 # A volume that is mounted here for the first time takes this owner.
 && install --directory --owner=65532 --group=65532 --mode=0700 /rootfs/var/lib/countersign

FROM scratch
COPY --from=build /rootfs/ /
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="Four-eyes approval and break-glass access, in Slack." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
ENV PATH=/opt/countersign/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/countersign \
    COUNTERSIGN_METRICS=0.0.0.0:9464
USER 65532:65532
WORKDIR /var/lib/countersign
EXPOSE 9464
# Kubernetes has probes of its own, and ignores this.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/opt/countersign/bin/python", "-c", "import os; from urllib.request import urlopen; urlopen('http://127.0.0.1:' + os.environ['COUNTERSIGN_METRICS'].rpartition(':')[2] + '/healthz', timeout=4)"]
# SIGTERM finishes what was acknowledged, within 28 seconds: stop it with a grace period of 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["countersign"]
CMD ["serve"]

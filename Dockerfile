# The registry as an image that replaces registry:2 and registry:3.
#
#     docker build --tag registry .
#
# Python packages come as deploy/docker/requirements.txt says, by version and hash. The base is Debian 12 or later; name one
# by its digest to have the same one in every build: --build-arg BASE=debian@sha256:...
#
# It runs as uid 1000 of group 0, or as any other uid of group 0 (--user), on a read-only root file system.
# PIP_* variables may be given as build arguments where the package index is another one.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev python3-venv
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG EXTRAS=[acme,azure,gcs,otel,redis,s3]
COPY deploy/docker /source/deploy/docker
# Everything is downloaded here. Wheels are built with what was verified, never with what pip would fetch for it.
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /source/deploy/docker/build.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --require-hashes --no-build-isolation -w /wheels \
        -r /source/deploy/docker/requirements.txt
COPY . /source
COPY --from=system /usr/lib/os-release /var/lib/dpkg/status /system/
RUN python3 -m venv --without-pip /opt/registry \
    && name="$(sed -n '/^name = /{s///p;q}' /source/setup.cfg)" \
    && /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation -w /wheels /source \
    && /opt/build/bin/pip --python /opt/registry/bin/python install --no-index --find-links /wheels "${name}${EXTRAS}" \
    && cp -r /source/deploy/docker/. /opt/registry/share \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/registry/share/sbom.cdx.json \
        /opt/registry/bin/python \
    && /opt/build/bin/python /source/deploy/docker/sbom.py "${name}" /system /opt/registry/share/sbom.cdx.json

FROM system
COPY --from=build /opt/registry /opt/registry
RUN ln -s /opt/registry/bin/registry /bin/registry \
    && ln -s /opt/registry/share/entrypoint.sh /entrypoint.sh \
    && install -D -m 0644 /opt/registry/share/config.yml /etc/distribution/config.yml \
    && install -D -m 0644 /opt/registry/share/config.yml /etc/docker/registry/config.yml \
    && install -d -m 0775 -o 1000 -g 0 /var/lib/registry
# Drivers of object stores write uploads to temporary files: in the volume, which is writable when the root is not.
ENV OTEL_TRACES_EXPORTER=none \
    TMPDIR=/var/lib/registry \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 1000:0
VOLUME /var/lib/registry
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=15s --start-period=15s CMD ["/bin/registry", "probe"]
ENTRYPOINT ["/entrypoint.sh"]
CMD ["/etc/distribution/config.yml"]

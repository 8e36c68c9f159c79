# The registry as an image that replaces registry:2 and registry:3.
#
#     docker build --tag registry .
#
# Python packages come as deploy/docker/requirements.txt says, by version and hash. The base is Debian 12 or later; name one
# by its digest to have the same one in every build: --build-arg BASE=debian@sha256:...
#
# Started as root, it makes what it needs usable and goes on as uid 1000 of group 0 (docs/containers.md). It also starts as
# any other user of group 0 (--user), with a read-only root file system, and without capabilities.
# PIP_* variables may be given as build arguments where the package index is another one.
ARG BASE=debian:bookworm-slim

# What is left of the base: no lists and caches of apt, no manuals and no translations. The licences stay.
FROM ${BASE} AS system
# The library of OpenLDAP has another name in each release: it is what its headers depend on.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libsasl2-2 python3 \
        "$(apt-cache depends libldap-dev | sed -n 's/^ *Depends: \(libldap\)/\1/p')" \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
        /usr/share/man /usr/share/info /usr/share/locale \
    && find /usr/share/doc -type f ! -name copyright -delete \
    && find /usr/share/doc -type d -empty -delete

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libldap-dev libsasl2-dev python3-dev python3-venv
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG EXTRAS=[acme,azure,fast,gcs,ldap,otel,redis,s3]
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
    && /opt/registry/bin/python -c 'from registry.cli import commands; print(*commands.commands, sep="\n")' \
        > /opt/registry/share/commands \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/registry/share/sbom.cdx.json \
        /opt/registry/bin/python \
    && /opt/build/bin/python /source/deploy/docker/sbom.py "${name}" /system /opt/registry/share/sbom.cdx.json
# boto3 describes 400 services, of which the driver uses one and the sources of credentials a few.
RUN cd /opt/registry/lib/python3*/site-packages \
    && if [ -d botocore ]; then find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +; fi

FROM scratch
# The base in one layer, without what was deleted from it. It changes only when Debian does.
COPY --from=system / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=build /opt/registry /opt/registry
# What is mounted where registry:2 has its configuration gets to where registry:3 has it, which is served. Root's home
# directory may hold files of the operator, such as .aws/credentials.
RUN ln -s /opt/registry/share/registry /bin/registry \
    && ln -s /opt/registry/share/entrypoint.sh /entrypoint.sh \
    && install -D -m 0644 /opt/registry/share/config.yml /etc/distribution/config.yml \
    && mkdir /etc/docker \
    && ln -s /etc/distribution /etc/docker/registry \
    && install -d -m 0775 -o 1000 -g 0 /var/lib/registry \
    && chmod 0711 /root
# Drivers of object stores write uploads to temporary files: in the volume, which is writable when the root is not.
ENV OTEL_TRACES_EXPORTER=none \
    TMPDIR=/var/lib/registry \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/registry
EXPOSE 5000
# Healthy seconds after the start: engines before Docker 25 begin with --interval and know no --start-interval.
# While a volume changes hands for the first time, which takes minutes if it is large, nothing answers yet.
HEALTHCHECK --interval=5s --timeout=15s --start-period=5m --retries=12 CMD ["/bin/registry", "probe"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="registry" \
    org.opencontainers.image.description="A container image registry that takes the place of registry:2 and registry:3" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["/entrypoint.sh"]
CMD ["/etc/distribution/config.yml"]

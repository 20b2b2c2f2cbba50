# One static binary on an empty image.
#
#   docker build -t kana .
#   docker run -p 4000:4000 -v kana:/var/lib/kana kana
#
# For a release, name the builder by its digest: --build-arg RUST_IMAGE=rust:1.95-alpine@sha256:…
ARG RUST_IMAGE=rust:1.95-alpine

FROM ${RUST_IMAGE} AS builder
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
# Git's data is not here: these say which commit this is, and of which day.
ARG KANA_COMMIT=
ARG KANA_DATE=
RUN cargo build --release --locked --package kana \
    && strip -o /kana target/release/kana \
    && mkdir -m 0700 /data

FROM scratch
COPY --from=builder /kana /usr/bin/kana
COPY --from=builder --chown=10001:10001 --chmod=0700 /data /var/lib/kana
USER 10001:10001
WORKDIR /var/lib/kana
ENV KANA_LISTEN=0.0.0.0:4000 KANA_DATA_DIR=/var/lib/kana
EXPOSE 4000
VOLUME /var/lib/kana
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["/usr/bin/kana", "healthcheck"]
ENTRYPOINT ["/usr/bin/kana"]
CMD ["serve"]

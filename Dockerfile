# One static binary on an empty image.
#
#   docker build -t kana .
#   docker run -p 4000:4000 -v kana:/var/lib/kana kana
#
# The builder's image has the target musl, whose binaries are static.
ARG RUST_IMAGE=rust:1.95.0-alpine3.23@sha256:606fd313a0f49743ee2a7bd49a0914bab7deedb12791f3a846a34a4711db7ed2

FROM ${RUST_IMAGE} AS builder
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /src
COPY . .
# Git's data is not here: these say which commit this is, and of which day.
ARG KANA_COMMIT=
ARG KANA_DATE=
RUN cargo build --release --locked --package kana \
    && strip -o /kana target/release/kana \
    && mkdir -m 0700 /data \
    && mkdir -m 1777 /temporary

FROM scratch
COPY --from=builder /kana /usr/bin/kana
COPY --from=builder --chown=10001:10001 --chmod=0700 /data /var/lib/kana
# For sslrootcert=system.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# For the database's temporary files.
COPY --from=builder --chmod=1777 /temporary /tmp
USER 10001:10001
WORKDIR /var/lib/kana
ENV KANA_LISTEN=0.0.0.0:4000 KANA_DATA_DIR=/var/lib/kana
EXPOSE 4000
VOLUME /var/lib/kana
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["/usr/bin/kana", "healthcheck"]
ENTRYPOINT ["/usr/bin/kana"]
CMD ["serve"]

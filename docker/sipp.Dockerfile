# SIPp from Debian, with the phones of tests/sipp.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends sip-tester \
    && rm -rf /var/lib/apt/lists/*
COPY tests/sipp /sipp
USER nobody
WORKDIR /tmp
ENTRYPOINT ["sipp", "-nostdin", "-i", "127.0.0.1", "-mi", "127.0.0.1"]

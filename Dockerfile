# The engine on Debian: the codec libraries are Debian's, so both stages are.
FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends pkg-config libopus-dev libvpx-dev libopenh264-dev libyuv-dev flite1-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -o /skybridge ./cmd/skybridge

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libopus0 libvpx7 libopenh264-7 libyuv0 libflite1 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /var/lib/skybridge --create-home skybridge
COPY --from=build /skybridge /usr/local/bin/skybridge
USER skybridge
# Inside a container only what is published can be reached, so metrics need not hide.
ENV SKYBRIDGE_DATA=/var/lib/skybridge SKYBRIDGE_OPS=0.0.0.0:9464 SKYBRIDGE_RTP_PORTS=40000-40199
VOLUME /var/lib/skybridge
# SIP, SIP over TLS, web and API, media of browsers, metrics, media of SIP calls
EXPOSE 5060/udp 5060/tcp 5061/tcp 8443/tcp 8444/udp 8444/tcp 9464/tcp 40000-40199/udp 40000-40199/tcp
ENTRYPOINT ["skybridge"]
CMD ["serve", "--adhoc"]

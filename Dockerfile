# syntax=docker/dockerfile:1

# The plugin alone, in the form that the public registry of plugins runs it in: it reads a CodeGeneratorRequest from
# stdin and writes a CodeGeneratorResponse to stdout. See buf.plugin.yaml.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build

ARG TARGETOS TARGETARCH
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH

WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd/protoc-gen-gogreeter cmd/protoc-gen-gogreeter
COPY internal/codegen internal/codegen
COPY runtime/options runtime/options
COPY templates templates
RUN go build -trimpath -ldflags="-s -w" -o /protoc-gen-gogreeter ./cmd/protoc-gen-gogreeter

FROM scratch
COPY --from=build --link /etc/passwd /etc/passwd
COPY --from=build --link --chown=root:root /protoc-gen-gogreeter /
USER nobody
ENTRYPOINT ["/protoc-gen-gogreeter"]

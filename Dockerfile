# mario-tui in a container; docs/unattended.md has how to run it.
#
#   docker build -t mario-tui .                                    trains on the CPU
#   docker build -t mario-tui --build-arg TORCH_BACKEND=cu130 .    on an NVIDIA GPU, too (cu126 for older drivers)

FROM debian:trixie-slim AS build
ARG TORCH_BACKEND=cpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir uv \
    && python3 -m venv --without-pip /opt/mario-tui
ENV VIRTUAL_ENV=/opt/mario-tui UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /src
# what it needs changes seldom: a layer of its own
COPY pyproject.toml ./
RUN /opt/uv/bin/uv pip install ${TORCH_BACKEND:+--torch-backend="$TORCH_BACKEND"} -r pyproject.toml --extra web
COPY . .
RUN /opt/uv/bin/uv pip install --no-deps .

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home mario \
    && install -d -o mario -g mario /data
COPY --from=build /opt/mario-tui /opt/mario-tui
# runs and recordings, for whatever user it is run as
ENV PATH=/opt/mario-tui/bin:$PATH LANG=C.UTF-8 MARIO_TUI_HOME=/data MPLCONFIGDIR=/tmp
WORKDIR /data
VOLUME /data
USER 1000:1000
EXPOSE 8000
# passes signals on, as the first process of a container has to
ENTRYPOINT ["tini", "--", "mario-tui"]

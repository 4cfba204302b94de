# hilum in a container. Build it for CPU, naming an index of CPU builds of torch, or for NVIDIA GPUs:
#   docker build --build-arg TORCH_CPU_INDEX=<index> -t hilum:cpu .
#   docker build --build-arg DEVICE=cuda -t hilum:cuda .
# Run it on the current folder, as yourself, so that the files it writes are yours:
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/workspace" hilum:cpu train config.yaml
#   docker run --rm --gpus all --shm-size 2g --user "$(id -u):$(id -g)" --volume "$PWD:/workspace" hilum:cuda train config.yaml
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ARG DEVICE=cpu
# No default on purpose: without an index of CPU builds the registry's own build would bring gigabytes of CUDA.
ARG TORCH_CPU_INDEX
WORKDIR /source
# npm fetches NiiVue, which `hilum view` draws with, while the wheel is built; it stays in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY scripts/install.sh scripts/
COPY configs configs
COPY src src
# The registry's own build of torch for Linux carries the CUDA libraries: the host has to bring nothing but a driver.
RUN case "${DEVICE}" in \
        cpu) index="${TORCH_CPU_INDEX:?a CPU image needs --build-arg TORCH_CPU_INDEX=<index of CPU builds of torch>}" ;; \
        cuda) index="" ;; \
        *) echo "DEVICE is '${DEVICE}', expected cpu or cuda" >&2; exit 2 ;; \
    esac \
    && VENV=/opt/hilum TORCH_INDEX="${index}" PIP_NO_CACHE_DIR=1 bash scripts/install.sh --runtime

FROM python:${PYTHON}-slim
COPY --from=build /opt/hilum /opt/hilum
# Matplotlib's cache must be writable for whichever user the container is started as.
ENV PATH=/opt/hilum/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN useradd --create-home --uid 1000 hilum && install --directory --owner hilum /workspace
USER hilum
WORKDIR /workspace
ENTRYPOINT ["hilum"]
CMD ["--help"]

# stylex on a processor:
#   docker build -t stylex .
#   docker run --rm -v "$PWD:/work" stylex demo --out demo
#   docker run --rm -v "$PWD:/work" -p 8600:8600 stylex explore demo --host 0.0.0.0 --no-browser
# torch comes with CUDA's libraries unless TORCH_INDEX is the address of PyTorch's own wheels for processors:
#   docker build --build-arg TORCH_INDEX=... -t stylex .
FROM python:3.12-slim-bookworm

ARG TORCH_INDEX=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY . /source
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' /source/constraints.txt)" \
 && pip install -c /source/constraints.txt "/source[ui,plot,descriptors]" \
 && rm -r /source \
 && useradd --create-home --uid 1000 stylex

USER stylex
WORKDIR /work
EXPOSE 8600
ENTRYPOINT ["stylex"]
CMD ["--help"]

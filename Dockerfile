# The app on a lab server, with the pocket pair inside:
#
#     docker build -t tinyrs .
#     docker run -p 127.0.0.1:7860:7860 -v tinyrs-data:/data tinyrs
#
# Torch comes for the CPU; a GPU machine builds with
#     --build-arg TORCH_INDEX=https://pypi.org/simple      and runs with --gpus all
# Corrections need a login: docker run -it -v tinyrs-data:/data tinyrs python -m annotate user add NAME --role reviewer
# (or -e TINYRS_PEOPLE=names where nobody but you reaches the port). Put a proxy with TLS in front of it outside the lab.
FROM python:3.11-slim-bookworm

ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# rasterio's wheel brings GDAL along, but not the XML parser that GDAL loads.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libexpat1 \
 && rm -rf /var/lib/apt/lists/*

# Nothing of the image belongs to the user that runs it; only the volume does.
RUN useradd --create-home --uid 1000 tinyrs && install -d -o tinyrs -g tinyrs /data

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "$TORCH" \
 && pip install --no-cache-dir -r requirements.txt

COPY LICENSE app.py ./
COPY tinyrs ./tinyrs
COPY annotate ./annotate
COPY screens ./screens
COPY assets ./assets

# The database, its pictures, and the weights that are fetched from the hub. Uploads that nobody keeps stay in /tmp.
ENV TINYRS_DATA=/data \
    HF_HOME=/data/hub \
    HF_HUB_DISABLE_TELEMETRY=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
VOLUME /data

USER tinyrs
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/gradio_api/app_id', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]

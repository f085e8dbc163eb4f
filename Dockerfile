# darkpose serve in a container:
#     docker build -t darkpose .
#     docker run --rm -p 127.0.0.1:8000:8000 -e DARKPOSE_TOKEN=... darkpose
FROM python:3.12-slim
WORKDIR /darkpose
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt '.[serve,openvino]'
USER nobody
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz')"]
ENTRYPOINT ["darkpose", "serve", "--host", "0.0.0.0"]

"""Landmarks over HTTP: the application behind `darkpose serve`; FastAPI does the HTTP.

settings: limits and the token
options: of a request, from its query
upload: the images in the body of a request, in memory
predictors: one for each schema and flip test
batching: a bounded queue; faces of concurrent requests in shared batches
landmarks: a request to be answered in time, unless its client is gone
frames: the newest frame of a WebSocket
figures: numbers for Prometheus
page_facts: what the page must know of the model
pages: the files of the page, and a page about the API
app: the routes
server: a socket, and uvicorn on it
on_ray: the same application as a deployment of Ray Serve
"""

"""Runtimes: what runs a network.

* network.py: the protocol: crops -> heatmaps
* onnx.py: by onnxruntime
* openvino.py: by OpenVINO
* torch.py: by torch
* open.py: weights -> a network that is ready to run; the settings and the choice of the runtime
* graph.py: the network as an ONNX graph
* graph_layers.py: layers of networks as nodes of an ONNX graph
* graph_builder.py: nodes and initializers of an ONNX graph
* exported.py: an exported `.onnx` file as a network
* onnx_bytes.py: what the bytes of an ONNX file hold
* card.py: metadata and checksum of an exported file
* flip.py: the flip test
* face_detector.py: the network of the face detector, ready to run
* face_detector_graph.py: that network as an ONNX graph
"""

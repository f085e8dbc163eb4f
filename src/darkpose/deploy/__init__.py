"""Exported files for programs without darkpose, and the benchmark of the runtimes.

export            a checkpoint -> the bytes of one file with network and decoder (ONNX or torch.export)
export_file       writes such a file, with a report of the comparison with torch: `darkpose export`
detector_graph    the ONNX graph of the face detector: images -> faces
landmark_graph    the ONNX graph: crops -> landmarks in image px
decoder_graph     its decoder: heatmaps -> points, scores and covariances
graph_values      values of such a graph that calculate with + and *
landmark_module   the torch module of a program of torch.export
coarse_first      the network of that module, with a head that calculates less
quantise          the network in int8
run_file          runs a whole exported file, to check it
parity            compares the landmarks of a file with those of torch
face_crops        the faces for the comparison, drawn or found in photographs
benchmark         time per face of every runtime and stage: `darkpose benchmark`
benchmark_faces   its photographs, and the stages before the network
benchmark_ways    what it compares: torch and every installed runtime
benchmark_report  its results as numbers, JSON values and tables
machine           commit, processor and package versions, for the reports of measurements
"""

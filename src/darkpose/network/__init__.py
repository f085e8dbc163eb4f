"""The network in torch.

* hrnet.py: HRNetV2 with its keypoint head
* heads.py: a network with some of the heatmaps of another one
* checkpoint.py: a network with its configuration, schema and provenance
* load.py: checkpoints by path or name
* face_detector.py: the network of the face detector
* foreign.py: checkpoints of other projects
* safe_pickle.py: `.pth` files without running code
"""

"""Training on a GPU.

batches         augmentation of cached crops on the device
effects         warp, light, patch, blur and noise of a batch
jpeg            JPEG compression of a batch
resident_crops  cached crops in the memory of the device
cuda_graphs     training passes as CUDA graphs
"""

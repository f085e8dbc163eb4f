"""The DARK codec: keypoints -> heatmaps -> keypoints. Arrays need no torch.

heatmap             encode and decode, the public functions
arrays              both on NumPy arrays: by Numba if it is installed, else by NumPy
tensors             both on torch tensors

targets             encode: centres, weights and one-dimensional Gaussians
encode_numba        encode: heatmaps, compiled by Numba

dark                decode: the reference, in NumPy, with the kernel of its blur
gaussian_fit        decode: the Gaussian that "dark+" fits, in NumPy
dark_numba          decode: compiled by Numba
maximum_numba         the maximum of a map
blur_vectors          the blur around it with the usual kernel, in vector instructions
blur_numba            the blur with other kernels, and of a whole map
gaussian_fit_numba    the Gaussian that "dark+" fits
half_precision        maps of float16 and bfloat16
dark_torch          decode: in torch, for torch.compile and torch.export
dark_triton         decode: on a GPU, in Triton

compiled            Numba, and the machine code that it keeps on disk
threads             work split over threads
loaded_torch        torch, if the program has imported it
"""

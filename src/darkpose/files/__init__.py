"""Reading and writing files.

atomic    atomic writing; folders
download  downloads that are resumed, cached and checked by their hash
figure    Matplotlib figures written to PNG files
lock      locks between processes
paths     file checks that do not raise
pts       the .pts format of landmark files
"""

"""Reading and writing files.

atomic    atomic writing; folders
download  downloads that are resumed, cached and checked by their hash
figure    Matplotlib figures written to PNG files
http      HTTP requests for files, resumed where an earlier one stopped
journal   the file of a run that is not finished
json_text JSON text, read and written strictly
lock      locks between processes
paths     file checks that do not raise
pts       the .pts format of landmark files
records   frozen dataclasses from JSON values, with the types of their fields checked
table     tables as CSV text
text      text files: UTF-8
"""

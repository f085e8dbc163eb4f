"""Command line: one file per group of commands.

about      facts about an installation
app        the commands together; errors and exit codes
average    darkpose average
benchmark  darkpose benchmark
datasets   darkpose datasets check and make
evaluate   darkpose evaluate
live       darkpose live
export     darkpose export
model      options of the network and its runtime
numbers    types of numbers
predict    darkpose predict
result     the result of a command on standard output
serve      darkpose serve
train      darkpose train and plot
video      darkpose video
weights    darkpose convert, info and models
"""

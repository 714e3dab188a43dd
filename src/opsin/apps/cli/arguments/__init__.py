"""The arguments and options of the commands: names, help and bounds. Nothing heavy is imported here.

The modules next to this package do the work. Each is loaded when its command is called.
"""

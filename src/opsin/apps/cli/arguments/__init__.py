"""What the commands take: names, help and bounds of their arguments and options. Nothing heavy is imported here.

The modules next to this package do the work. Each is loaded when its command is called.
"""

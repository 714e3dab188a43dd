"""The command `opsin`. Each command is a module; `main` loads the one that is called, and no other."""

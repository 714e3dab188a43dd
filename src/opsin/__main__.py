"""`python -m opsin` is the command `opsin`."""

from opsin.apps.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m hilum` is the same as the command `hilum`."""

from hilum.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

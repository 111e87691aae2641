"""`python -m samplerfuzz`: the command line."""

from samplerfuzz.cli.main import main

if __name__ == "__main__":
    main()

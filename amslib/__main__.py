import sys

try:
    from .cli import main
except KeyboardInterrupt:  # torch takes a second
    sys.exit(130)

main()

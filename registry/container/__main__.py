"""``python -P -m registry.container``, which is ``/bin/registry`` in the image."""

from registry.container.start import main

main()

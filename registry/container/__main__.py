"""``python -P -m registry.container``, which is ``/bin/registry`` in the image."""

from registry.container.signals import end_on_signals

# Before what takes long to import.
end_on_signals()

from registry.container.start import main  # noqa: E402

main()

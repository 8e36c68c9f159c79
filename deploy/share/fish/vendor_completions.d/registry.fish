# Completion for fish: the program says how, in a quarter of a second. What it does not know is the name of a file.
_REGISTRY_COMPLETE=fish_source registry | source
complete --erase --command registry
complete --command registry --arguments "(_registry_completion)"

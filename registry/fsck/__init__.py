"""``registry fsck`` and the scrub: what a storage holds is compared with what it says it holds, and repaired."""

"""Rules about who may do what with which repository."""

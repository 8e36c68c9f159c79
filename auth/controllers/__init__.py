"""Access controllers, by the name that ``auth`` gives them."""

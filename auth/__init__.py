"""Access controllers: who may do what. ``auth.base`` is the contract."""

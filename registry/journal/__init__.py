"""The journal: each acknowledged change is a record of a log in the storage, which any number of consumers read."""

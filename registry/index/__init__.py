"""What is in the storage, in one sqlite file of a host, so that all repositories can be searched and sorted.

It can be deleted at any time: it is made again from the storage, which is what is true.
"""

"""The protocol between writers and a garbage collection, small enough to try every order of their steps.

A step is one call to the storage. `store` is the storage, with what it did to clients; `writers` are the requests and
`collector` the garbage collection, each written as it runs alone; `exploring` lets them run in every order. What a run
of the real collection and the real writers does is tested elsewhere: here it is shown that it is enough, and that
nothing of it can be left out. test_model.py has the cases.
"""

"""The child process: the user's Locust script under an open workload.

Importing Locust replaces sockets, locks and threads of the whole process, so nothing outside this
folder imports it.
"""

"""What happens when the forecast is wrong: the sale in virtual time, with and without protection.

Pure: plan, demand and capacity in, acts out. ``play`` plays the acts, ``kernel`` is the compiled
event loop. Nothing is imported here, because scipy takes its time.
"""

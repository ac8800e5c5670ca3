"""The pure core: what happened and what time it is in, what to do and when to wake up out.

No clock, no I/O, no chance. `broker.Broker` is the surface: `handle(event, now) -> commands`,
`next_wakeup(now)`, `snapshot(now)`. The app carries events in and commands out.
"""

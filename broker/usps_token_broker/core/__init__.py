"""The pure core: what happened and what time it is in, what to do and when to wake up out.

No clock, no I/O, no chance. `broker.Broker` is the surface: `handle(event, now) -> commands`,
`next_wakeup(now)`, `snapshot(now)`. The app carries events in and commands out.

    values, outcomes, events, commands, state    what is spoken of
    schedule, budget, phases, reports            rules, on numbers alone
    lifecycle                                    one slot: its token, its phase, what it wants
    payments, credentials, results, planning     slots together: bearer, secret, ends, starts
    waiting, callers, denials                    who asks, and what they are told
    saving, restoring                            what outlives the process
    trouble, notes, publishing, snapshot         what may be seen
"""

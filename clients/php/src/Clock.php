<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** The clock that ages and deadlines are counted on. */
final class Clock
{
    /** Seconds since the machine was started, suspended ones too (CLOCK_BOOTTIME, as proc(5) says). */
    public static function now(): float
    {
        $said = @file_get_contents('/proc/uptime');

        // Where /proc is closed (open_basedir), a clock that stops in a suspended machine must do.
        return $said === false ? hrtime(true) / 1e9 : (float) $said;
    }
}

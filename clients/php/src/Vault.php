<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Keeps secrets beside the objects they belong to: var_export, dd and casts show all that lies within one. */
final class Vault
{
    private static ?\WeakMap $kept = null;

    public static function keep(object $owner, #[\SensitiveParameter] mixed $secret): void
    {
        self::$kept ??= new \WeakMap();
        self::$kept[$owner] = $secret;
    }

    public static function of(object $owner): mixed
    {
        return self::$kept[$owner];
    }
}

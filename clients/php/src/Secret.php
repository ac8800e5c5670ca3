<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * For a value with a secret, which is kept beside the object: var_export, dd and casts show all that
 * lies within one. It is neither copied nor stored.
 */
trait Secret
{
    private static ?\WeakMap $secrets = null;

    private function keep(#[\SensitiveParameter] mixed $secret): void
    {
        self::$secrets ??= new \WeakMap();
        self::$secrets[$this] = $secret;
    }

    private function kept(): mixed
    {
        return self::$secrets[$this];
    }

    private function __clone()
    {
    }

    /** @return never */
    public function __serialize(): array
    {
        throw new \LogicException(self::class . ' is not stored: ask the broker where it is needed');
    }
}

<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** One token. Only `value()` gives it away: printing, dumping and json_encode do not. */
final class Token
{
    use Secret;

    /**
     * @param string            $slot      `bearer`, `payment` or `payment-NAME`
     * @param int               $serial    compare for equality and for nothing else
     * @param float             $expiresAt Unix seconds
     * @param list<string>|null $scopes    null where USPS named none
     * @param bool              $degraded  in its last half hour: use it, and say so where somebody looks
     */
    public function __construct(
        #[\SensitiveParameter] string $value,
        public readonly string $slot,
        public readonly string $app,
        public readonly int $serial,
        public readonly float $expiresAt,
        public readonly ?array $scopes = null,
        public readonly bool $degraded = false,
    ) {
        $this->keep($value);
    }

    public function value(): string
    {
        return $this->kept();
    }

    /** @return array<string, mixed> */
    public function __debugInfo(): array
    {
        return ['slot' => $this->slot, 'serial' => $this->serial, 'value' => 'hidden'];
    }
}

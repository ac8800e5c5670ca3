<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** What the broker made of a refused call: with `retry`, send it once more, with `headers`. */
final class Verdict
{
    /**
     * @param string     $outcome    `superseded`, `renewed`, `throttled`, `failed` or `not_the_token`
     * @param string     $reason     a row of the broker's catalogue of errors
     * @param float|null $retryAfter seconds
     */
    public function __construct(
        public readonly string $code,
        public readonly string $reason,
        public readonly string $detail,
        public readonly string $fix,
        public readonly string $outcome,
        public readonly bool $retry,
        public readonly ?float $retryAfter = null,
        public readonly ?Headers $headers = null,
    ) {
    }
}

<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** A value, and on Clock how long it may be used. Counted from sending: the broker looked later. */
final class Entry
{
    /** Seconds. */
    private const FIRST_POSTPONE = 2.0;

    private function __construct(
        public readonly Token|Headers $value,
        public readonly string $etag,
        public readonly float $checkAfter,
        public readonly float $checkAt,
        public readonly float $lateAt,
        public readonly float $spentAt,
        private readonly float $postponedFor = 0.0,
    ) {
    }

    /** What an answer gives. Throws BrokerError. */
    public static function of(#[\SensitiveParameter] Answer $answer, float $sentAt, callable $read): self
    {
        $data = $answer->document();
        $life = Reading::number($data, 'expires_in');
        $checkAfter = max(0.0, Reading::number($data, 'check_after', min(60.0, $life / 8)));
        $spentAt = $sentAt + $life - $checkAfter;
        $value = $read($data);
        if (Clock::now() >= $spentAt) {
            throw BrokerError::bad('the token in it has too little life left to be used', true);
        }
        // From then on it is asked for whole, since a 304 does not say that it is degraded.
        $lateAt = Clock::now() + Reading::number($data, 'use_until', 1e14) - microtime(true);

        return new self($value, $answer->headers['etag'] ?? '', $checkAfter, $sentAt + $checkAfter, $lateAt, $spentAt);
    }

    /** The broker says that it still is the one. */
    public function confirmed(float $sentAt): self
    {
        return $this->until($sentAt + $this->checkAfter, 0.0);
    }

    /** The broker could not say: go on, and ask again after a span that grows. */
    public function postponed(float $now): self
    {
        $span = min(2 * $this->postponedFor ?: self::FIRST_POSTPONE, max($this->checkAfter, self::FIRST_POSTPONE));

        return $this->until($now + $span, $span);
    }

    private function until(float $checkAt, float $postponedFor): self
    {
        return new self($this->value, $this->etag, $this->checkAfter, $checkAt, $this->lateAt, $this->spentAt, $postponedFor);
    }
}

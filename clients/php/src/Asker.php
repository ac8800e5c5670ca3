<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** Asks a broker until it answers: the pauses, and the one deadline (section 7). */
final class Asker
{
    private const LONGEST_WAIT = 10.0;
    /** Seconds. A socket may be away for one before there is no broker: a restart takes a fifth of that. */
    private const ABSENCE = 1.0;
    private const FIRST_PAUSE = 0.01;
    private const LONGEST_PAUSE = 0.5;

    /** @param Wire|StaticBroker $broker what takes a question to it, and gives its answer */
    public function __construct(private readonly object $broker, public readonly ?string $app, private readonly float $timeout)
    {
    }

    /**
     * The answer, as `$read` takes it; it is told when, by Clock, the question was sent. A patient
     * caller asks again after passing trouble.
     *
     * @template T
     *
     * @param array<string, mixed>       $query   about our app, unless it names another one
     * @param callable(Answer, float): T $read
     * @param float|null                 $timeout seconds, if less than those of the client
     *
     * @return T
     *
     * @throws BrokerError
     */
    public function ask(string $path, array $query, callable $read, ?float $timeout = null, bool $patient = true, string $etag = '', ?array $body = null): mixed
    {
        $query += ['app' => $this->app];
        $deadline = self::seconds() + min($timeout ?? $this->timeout, $this->timeout);
        $absent = min($deadline, self::seconds() + self::ABSENCE);
        $heard = null;
        for ($pause = self::FIRST_PAUSE;; $pause = min(2 * $pause, self::LONGEST_PAUSE)) {
            $sentAt = Clock::now();
            try {
                return $read(($this->broker)($path, $query, $etag, $body, $deadline), $sentAt);
            } catch (BrokerError $error) {
                if ($heard !== null && $error->kind === 'timed_out') {
                    throw $heard;
                }
                $heard = $error;
                $wait = max($pause, $error->retryAfter ?? 0.0);
                $limit = $error->kind === 'not_installed' ? $absent : $deadline;
                if (!$patient || !$error->passing || self::seconds() + $wait >= $limit) {
                    throw $error;
                }
            }
            usleep((int) ($wait * 1e6));
        }
    }

    /** Seconds on a clock that does not jump. */
    public static function seconds(): float
    {
        return hrtime(true) / 1e9;
    }

    /** Seconds the broker may wait for USPS, so that its answer still comes in time. */
    public function wait(?float $left = null): float
    {
        return max(0.0, min(self::LONGEST_WAIT, round(($left ?? $this->timeout) * 0.9, 1)));
    }
}

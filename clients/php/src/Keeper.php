<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * What a client keeps, and for how long (section 4): in this object, in no file and no shared memory,
 * and not over a fork or a change of user.
 */
final class Keeper
{
    /** Seconds one caller waits for a broker while a good token is at hand. */
    private const RECHECK = 2.0;

    /** @var array<string, Entry> */
    private array $held = [];
    private string $owner = '';

    public function __construct(private readonly Asker $asker)
    {
    }

    /**
     * What is kept, while that is good; else what the broker has.
     *
     * @template T of Token|Headers
     *
     * @param callable(array<string, mixed>): T $read
     *
     * @return T
     *
     * @throws BrokerError
     */
    public function obtain(string $key, string $path, array $query, callable $read): Token|Headers
    {
        $owner = getmypid() . (function_exists('posix_geteuid') ? ' ' . posix_geteuid() . ' ' . posix_getegid() : '');
        if ($owner !== $this->owner) {
            [$this->owner, $this->held] = [$owner, []];
        }
        $entry = $this->held[$key] ?? null;
        if ($entry !== null && Clock::now() >= $entry->checkAt && Clock::now() < $entry->spentAt) {
            $entry = $this->recheck($key, $entry, $path, $query, $read);
        }
        if ($entry === null || Clock::now() >= $entry->spentAt) {
            unset($this->held[$key]);
            $fresh = fn (Answer $answer, float $sentAt) => Entry::of($answer, $sentAt, $read);
            $entry = $this->held[$key] = $this->asker->ask($path, $query + ['wait' => $this->asker->wait()], $fresh);
        }

        return $entry->value;
    }

    /** Ask whether a good one is still the one: only a refusal changes anything, and not the broker's absence. */
    private function recheck(string $key, Entry $entry, string $path, array $query, callable $read): Entry
    {
        $again = fn (Answer $answer, float $sentAt) => $answer->status === 304 ? $entry->confirmed($sentAt) : Entry::of($answer, $sentAt, $read);
        $etag = Clock::now() < $entry->lateAt ? $entry->etag : '';
        try {
            return $this->held[$key] = $this->asker->ask($path, $query + ['wait' => 0], $again, self::RECHECK, false, $etag);
        } catch (BrokerError $error) {
            if ($error->status !== null && $error->status >= 400 && $error->status < 500 && $error->status !== 429) {
                unset($this->held[$key]);
                throw $error;
            }

            return $this->held[$key] = $entry->postponed(Clock::now());
        }
    }

    /** @param array<string, int> $serials of a refused call; what holds one that was replaced is dropped */
    public function forget(array $serials, ?string $payment, Verdict $verdict): void
    {
        foreach ($this->held as $key => $entry) {
            [$kept, $name] = Reading::used($entry->value);
            $same = ($name ?? 'default') === ($payment ?? 'default');
            foreach ($serials as $kind => $refused) {
                $replaced = ($verdict->headers?->serials[$kind] ?? $refused) !== $refused;
                if ($replaced && ($kept[$kind] ?? null) === $refused && ($kind !== 'payment' || $same)) {
                    unset($this->held[$key]);
                }
            }
        }
    }
}

<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * The tokens of one app, from usps-token-broker over its Unix socket, as ../../PROTOCOL.md says.
 *
 * What it keeps it keeps in this object: in no file, no shared memory, and not over a fork.
 */
final class TokenClient
{
    /** Seconds one caller waits for a broker while a good token is at hand. */
    private const RECHECK = 2.0;
    private const LONGEST_WAIT = 10.0;

    private readonly Asker $asker;
    private readonly ?StaticTokens $static;
    /** @var array<string, Entry> */
    private array $held = [];
    private string $owner = '';

    /**
     * @param string|null $socket  path of the broker's socket; without it it is looked for
     * @param float       $timeout seconds over connecting, waiting and trying again
     */
    public function __construct(private readonly ?string $socket = null, private readonly ?string $app = null, private readonly float $timeout = 12.0)
    {
        if ($socket === '' || !($timeout > 0.0 && $timeout < 1e6)) {
            throw new \InvalidArgumentException('`socket` is the path of a Unix socket, `timeout` a number of seconds above 0');
        }
        $this->asker = new Asker($socket);
        $given = $socket === null ? trim((string) getenv('USPS_TOKEN_STATIC')) : '';
        $this->static = $given === '' ? null : StaticTokens::of($given);
    }

    /** What a queue or a cache stores of it: its settings, and nothing it holds. */
    public function __serialize(): array
    {
        return [$this->socket, $this->app, $this->timeout];
    }

    public function __unserialize(array $data): void
    {
        $this->__construct(...$data);
    }

    /** @throws BrokerError as all of these */
    public function bearer(): Token
    {
        return $this->token('bearer');
    }

    public function payment(string $name = 'default'): Token
    {
        return $this->token(Reading::paymentSlot($name));
    }

    /** Request headers for USPS; `$payment` is true, or a name, where a label is made. */
    public function headers(bool|string $payment = false): Headers
    {
        $name = is_string($payment) ? $payment : ($payment ? 'default' : null);
        if ($name !== null) {
            Reading::paymentSlot($name);
        }
        if ($this->static !== null) {
            return $this->static->headers($name);
        }

        return $this->obtain("headers $name", '/v1/headers', ['payment' => $name], fn (#[\SensitiveParameter] array $data) => Reading::headers($name, $data, $this->app));
    }

    /**
     * Tell what USPS answered to a call; the broker's verdict (section 5).
     *
     * @param array<string, string|list<string>>  $headers
     * @param Headers|Token|array<string, int>    $used    what the call was made with, or its serials
     */
    public function report(int $status, array $headers, string $body, string $path, ?string $host, Headers|Token|array $used): Verdict
    {
        if ($this->static !== null) {
            return $this->static->verdict($status);
        }
        [$serials, $payment] = Reading::used($used);
        $content = Report::encode($status, $headers, $body, $path, $host, $serials, $payment);
        $verdict = $this->ask('/v1/answers', ['wait' => $this->wait()], fn (#[\SensitiveParameter] Answer $answer) => Reading::verdict($answer->document(), $payment), body: $content);
        if ($verdict->retry) {
            $this->forget($serials, $payment, $verdict);
        }

        return $verdict;
    }

    /** @return array<string, mixed> how everything stands, for people */
    public function status(): array
    {
        return $this->static?->status() ?? $this->ask('/v1/status', [], fn (#[\SensitiveParameter] Answer $answer) => $answer->document());
    }

    /**
     * @param list<string> $slots without any: all that is required
     *
     * @return list<string> names of what is missing, as APP/SLOT
     */
    public function unready(array $slots = [], ?float $minValid = null, ?float $timeout = null): array
    {
        if ($this->static !== null) {
            return $this->static->unready($slots);
        }
        foreach ($slots ?: [$this->app === null ? null : 'bearer'] as $slot) {
            $query = ['app' => $slot === null ? null : $this->app, 'slot' => $slot, 'min_valid' => $minValid];
            $names = $this->asker->ask('/readyz', $query, Reading::unready(...), min($timeout ?? $this->timeout, $this->timeout));
            if ($names !== []) {
                return $names;
            }
        }

        return [];
    }

    /**
     * Wait until all is ready. What a person must mend is thrown at once, else the last reason.
     *
     * @param list<string> $slots
     */
    public function waitReady(array $slots = [], ?float $minValid = null, float $timeout = 60.0): void
    {
        $deadline = Asker::seconds() + $timeout;
        $reason = '';
        for ($pause = 0.0625;; $pause = min(2 * $pause, 0.5)) {
            try {
                $names = $this->unready($slots, $minValid, $deadline - Asker::seconds());
                if ($names === []) {
                    return;
                }
                $reason = $this->cause($names, $deadline) ?? 'no good token for ' . implode(', ', $names);
            } catch (BrokerError $error) {
                if ($error->permanent) {
                    throw $error;
                }
                $reason = $reason !== '' && $error->kind === 'timed_out' ? $reason : $error->getMessage();
            }
            if (Asker::seconds() + $pause >= $deadline) {
                throw new BrokerError('timed_out', "not ready after $timeout s: $reason", '`usps-token status` shows every token and its last trouble');
            }
            usleep((int) ($pause * 1e6));
        }
    }

    /** @param list<string> $names of which the first eight are asked for their reason */
    private function cause(array $names, float $deadline): ?string
    {
        $told = null;
        foreach (array_slice($names, 0, 8) as $name) {
            [$app, $slot] = explode('/', $name, 2) + [1 => null];
            $wait = $this->wait($deadline - Asker::seconds());
            try {
                if ($slot !== null) {
                    $query = ['app' => $app, 'wait' => $wait];
                    $this->asker->ask('/v1/tokens/' . rawurlencode($slot), $query, fn (#[\SensitiveParameter] Answer $answer) => $answer->document(), min($wait + 1.0, $this->timeout));
                }
            } catch (BrokerError $error) {
                if ($error->permanent) {
                    throw $error;
                }
                $told ??= $error->getMessage();
            }
        }

        return $told;
    }

    private function token(string $slot): Token
    {
        if ($this->static !== null) {
            return $this->static->token($slot);
        }

        return $this->obtain($slot, '/v1/tokens/' . rawurlencode($slot), [], fn (#[\SensitiveParameter] array $data) => Reading::token($slot, $data, $this->app));
    }

    /**
     * What is kept, while that is good; else what the broker has (section 4).
     *
     * @template T of Token|Headers
     *
     * @param callable(array<string, mixed>): T $read
     *
     * @return T
     */
    private function obtain(string $key, string $path, array $query, callable $read): Token|Headers
    {
        $owner = getmypid() . (function_exists('posix_geteuid') ? ' ' . posix_geteuid() . ' ' . posix_getegid() : '');
        if ($owner !== $this->owner) {
            [$this->owner, $this->held] = [$owner, []];
        }
        $entry = $this->held[$key] ?? null;
        if ($entry !== null && Clock::now() < $entry->spentAt) {
            if (Clock::now() < $entry->checkAt || $this->recheck($key, $entry, $path, $query, $read)) {
                return $this->held[$key]->value;
            }
        }
        unset($this->held[$key]);
        $fresh = fn (#[\SensitiveParameter] Answer $answer, float $sentAt) => Entry::of($answer, $sentAt, $read);
        $this->held[$key] = $this->ask($path, $query + ['wait' => $this->wait()], $fresh);

        return $this->held[$key]->value;
    }

    /** Ask whether a good one is still the one: only a refusal changes anything, and not the broker's absence. */
    private function recheck(string $key, Entry $entry, string $path, array $query, callable $read): bool
    {
        $again = fn (#[\SensitiveParameter] Answer $answer, float $sentAt) => $answer->status === 304 ? $entry->confirmed($sentAt) : Entry::of($answer, $sentAt, $read);
        $etag = Clock::now() < $entry->lateAt ? $entry->etag : '';
        try {
            $query += ['app' => $this->app, 'wait' => 0];
            $this->held[$key] = $this->asker->ask($path, $query, $again, min(self::RECHECK, $this->timeout), false, $etag);
        } catch (BrokerError $error) {
            if ($error->status !== null && $error->status >= 400 && $error->status < 500 && $error->status !== 429) {
                unset($this->held[$key]);
                throw $error;
            }
            $this->held[$key] = $entry->postponed(Clock::now());
        }

        return Clock::now() < $this->held[$key]->spentAt;
    }

    private function ask(string $path, array $query, callable $read, ?string $body = null): mixed
    {
        return $this->asker->ask($path, ['app' => $this->app] + $query, $read, $this->timeout, body: $body);
    }

    /** Seconds the broker may wait for USPS, so that its answer still comes in time. */
    private function wait(?float $left = null): float
    {
        return max(0.0, min(self::LONGEST_WAIT, round(($left ?? $this->timeout) * 0.9, 1)));
    }

    /** @param array<string, int> $serials of a refused call; what holds one that was replaced is dropped */
    private function forget(array $serials, ?string $payment, Verdict $verdict): void
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

<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** The tokens of one app, from usps-token-broker over its Unix socket, as ../../PROTOCOL.md says. */
final class TokenClient
{
    private readonly Asker $asker;
    private readonly Keeper $keeper;

    /**
     * @param string|null $socket  path of the broker's socket; without it it is looked for
     * @param float       $timeout seconds over connecting, waiting and trying again
     */
    public function __construct(private readonly ?string $socket = null, private readonly ?string $app = null, private readonly float $timeout = 12.0)
    {
        if ($socket === '' || !($timeout > 0.0 && $timeout < 1e6)) {
            throw new \InvalidArgumentException('`socket` is the path of a Unix socket, `timeout` a number of seconds above 0');
        }
        $given = $socket === null ? trim((string) getenv('USPS_TOKEN_STATIC')) : '';
        $this->asker = new Asker($given === '' ? new Wire($socket) : StaticBroker::of($given), $app, $timeout);
        $this->keeper = new Keeper($this->asker);
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

        return $this->keeper->obtain("headers $name", '/v1/headers', ['payment' => $name], fn (array $data) => Reading::headers($name, $data, $this->app));
    }

    /**
     * Tell what USPS answered to a call; the broker's verdict (section 5).
     *
     * @param array<string, string|list<string>>  $headers
     * @param Headers|Token|array<string, int>    $used    what the call was made with, or its serials
     */
    public function report(int $status, array $headers, string $body, string $path, ?string $host, Headers|Token|array $used): Verdict
    {
        [$serials, $payment] = Reading::used($used);
        $told = Report::of($status, $headers, $body, $path, $host, $serials, $payment);
        $verdict = $this->asker->ask('/v1/answers', ['wait' => $this->asker->wait()], fn (Answer $answer) => Reading::verdict($answer->document(), $payment), body: $told);
        if ($verdict->retry) {
            $this->keeper->forget($serials, $payment, $verdict);
        }

        return $verdict;
    }

    /** @return array<string, mixed> how everything stands, for people */
    public function status(): array
    {
        return $this->asker->ask('/v1/status', [], fn (Answer $answer) => $answer->document());
    }

    /**
     * @param list<string> $slots without any: all that is required
     *
     * @return list<string> names of what is missing, as APP/SLOT
     */
    public function unready(array $slots = [], ?float $minValid = null, ?float $timeout = null): array
    {
        foreach ($slots ?: [$this->app === null ? null : 'bearer'] as $slot) {
            $query = ['app' => $slot === null ? null : $this->app, 'slot' => $slot, 'min_valid' => $minValid];
            $names = $this->asker->ask('/readyz', $query, Reading::unready(...), $timeout);
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
        (new Waiting($this->asker))->until(fn (float $left) => $this->unready($slots, $minValid, $left), $timeout);
    }

    private function token(string $slot): Token
    {
        return $this->keeper->obtain($slot, '/v1/tokens/' . rawurlencode($slot), [], fn (array $data) => Reading::token($slot, $data, $this->app));
    }
}

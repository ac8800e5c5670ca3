<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** What the broker says, as values. Nothing is believed that was not looked at; all throw BrokerError. */
final class Reading
{
    private const LARGEST = 1e15;

    /** The slot of a payment name. Throws InvalidArgumentException for a name that no slot can have. */
    public static function paymentSlot(string $name): string
    {
        if ($name === '' || str_contains($name, '/')) {
            throw new \InvalidArgumentException('the name of a payment token is not empty and has no /');
        }

        return $name === 'default' ? 'payment' : "payment-$name";
    }

    /** @param array<string, mixed> $data */
    public static function token(string $slot, #[\SensitiveParameter] array $data, ?string $app): Token
    {
        $scopes = $data['scopes'] ?? null;
        if (($data['slot'] ?? null) !== $slot || self::app($data, $app) === '') {
            throw BrokerError::bad("asked for $slot, it gave another");
        }
        if ($scopes !== null && (!is_array($scopes) || !array_is_list($scopes) || array_filter($scopes, is_string(...)) !== $scopes)) {
            throw BrokerError::bad('`scopes` is no list of texts');
        }
        $value = self::secret($data['token'] ?? null, 'token', '/^[!-~]+$/D');
        $serial = self::serial($data['serial'] ?? null, $slot);

        return new Token($value, $slot, self::app($data, $app), $serial, self::number($data, 'expires_at'), $scopes, ($data['degraded'] ?? null) === true);
    }

    /** @param array<string, mixed> $data */
    public static function headers(?string $payment, #[\SensitiveParameter] array $data, ?string $app): Headers
    {
        $wanted = ['bearer' => Headers::AUTHORIZATION] + ($payment === null ? [] : ['payment' => Headers::PAYMENT]);
        $values = $serials = [];
        foreach ($wanted as $kind => $name) {
            $given = $data['headers'] ?? null;
            $values[$name] = self::secret(is_array($given) ? $given[$name] ?? null : null, $name, '/^[ -~]+$/D');
            $numbers = $data['serials'] ?? null;
            $serials[$kind] = self::serial(is_array($numbers) ? $numbers[$kind] ?? null : null, $kind);
        }
        $base = $data['base_url'] ?? '';

        return new Headers($values, $serials, $payment, self::app($data, $app), is_string($base) ? $base : '', ($data['degraded'] ?? null) === true);
    }

    /** @param array<string, mixed> $data */
    public static function verdict(#[\SensitiveParameter] array $data, ?string $payment): Verdict
    {
        $headers = isset($data['headers'], $data['serials']) ? self::headers($payment, ['app' => ''] + $data, null) : null;
        foreach (['code', 'detail', 'fix', 'outcome'] as $name) {
            if (!is_string($data[$name] ?? null)) {
                throw BrokerError::bad("`$name` is no text");
            }
        }
        $after = $data['retry_after'] ?? null;

        return new Verdict(
            $data['code'],
            BrokerError::words($data['reason'] ?? null) ?: $data['code'],
            BrokerError::words($data['detail']),
            BrokerError::words($data['fix']),
            $data['outcome'],
            ($data['retry'] ?? null) === true && $headers !== null,
            is_int($after) || is_float($after) ? (float) $after : null,
            $headers,
        );
    }

    /** @return list<string> the names in an answer of /readyz */
    public static function unready(#[\SensitiveParameter] Answer $answer): array
    {
        if ($answer->status === 200) {
            return [];
        }
        $data = $answer->status === 503 ? $answer->json() : [];
        if ($answer->status !== 503 || isset($data['code'])) {
            throw BrokerError::ofAnswer($answer);
        }
        $names = is_array($data['not_ready'] ?? null) ? array_filter($data['not_ready'], is_string(...)) : [];

        // A broker does not name what this user may not know of.
        return array_values($names) ?: ['a token'];
    }

    /**
     * @param Headers|Token|array<string, int> $used
     *
     * @return array{array<string, int>, string|null} serials by kind, and the name of the payment token
     */
    public static function used(Headers|Token|array $used): array
    {
        if ($used instanceof Headers) {
            return [$used->serials, $used->payment];
        }
        if ($used instanceof Token) {
            $isBearer = $used->slot === 'bearer';

            return [[$isBearer ? 'bearer' : 'payment' => $used->serial], $isBearer ? null : (substr($used->slot, 8) ?: 'default')];
        }
        if ($used === [] || array_filter($used, is_int(...)) !== $used) {
            throw new \InvalidArgumentException('`used` names what the call was made with: headers(), a token, or ["bearer" => SERIAL]');
        }

        return [$used, null];
    }

    /** @param array<string, mixed> $data */
    public static function number(#[\SensitiveParameter] array $data, string $name, ?float $otherwise = null): float
    {
        $value = $data[$name] ?? $otherwise;
        if ((!is_int($value) && !is_float($value)) || abs($value) >= self::LARGEST) {
            throw BrokerError::bad("`$name` is no number");
        }

        return (float) $value;
    }

    /** @param array<string, mixed> $data */
    private static function app(#[\SensitiveParameter] array $data, ?string $app): string
    {
        $given = $data['app'] ?? null;
        if (!is_string($given) || ($app !== null && $given !== $app)) {
            throw BrokerError::bad('it is about another app');
        }

        return $given;
    }

    private static function secret(#[\SensitiveParameter] mixed $value, string $name, string $allowed): string
    {
        if (!is_string($value) || preg_match($allowed, $value) !== 1) {
            throw BrokerError::bad("`$name` may not stand in a request header");
        }

        return $value;
    }

    private static function serial(mixed $value, string $name): int
    {
        return is_int($value) ? $value : throw BrokerError::bad("the serial of `$name` is no whole number");
    }
}

<?php

declare(strict_types=1);

namespace UspsTokenClient;

/**
 * Request headers for USPS, all of one moment. Only `all()`, `lines()` and a loop give the tokens away.
 *
 * @implements \IteratorAggregate<string, string>
 */
final class Headers implements \IteratorAggregate
{
    use Secret;

    public const AUTHORIZATION = 'Authorization';
    public const PAYMENT = 'X-Payment-Authorization-Token';

    /**
     * @param array<string, string> $values
     * @param array<string, int>    $serials of `bearer` and perhaps `payment`
     * @param string|null           $payment name of the payment token in it
     * @param string                $baseUrl scheme, host and port they are for, and for no other
     */
    public function __construct(
        #[\SensitiveParameter] array $values,
        public readonly array $serials,
        public readonly ?string $payment = null,
        public readonly string $app = '',
        public readonly string $baseUrl = '',
        public readonly bool $degraded = false,
    ) {
        $this->keep($values);
    }

    /** @return array<string, string> by name, for most HTTP libraries */
    public function all(): array
    {
        return $this->kept();
    }

    /** @return list<string> for CURLOPT_HTTPHEADER */
    public function lines(): array
    {
        $values = $this->all();

        return array_map(fn ($name) => "$name: $values[$name]", array_keys($values));
    }

    /** Whether a URL is on the app's own host: the same scheme, host and port. */
    public function areFor(string $url): bool
    {
        return self::origin($url) !== null && self::origin($url) === self::origin($this->baseUrl);
    }

    /** Whether this is a call of the app's own host that wants the payment token (Labels 3.9.13, Payments 3.1.20). */
    public function isLabelCall(string $url): bool
    {
        $prefix = rtrim((string) parse_url($this->baseUrl, PHP_URL_PATH), '/');
        $labels = '#^' . preg_quote($prefix, '#') . '/(labels|international-labels|pmod|returns)/#';

        return $this->areFor($url) && preg_match($labels, parse_url($url, PHP_URL_PATH) . '/') === 1;
    }

    private static function origin(string $url): ?string
    {
        // What one library takes for the end of the host, another does not: no such URL is ours.
        $parts = preg_match('/[\\\\\s\x00-\x1f]/', $url) ? false : parse_url($url);
        if (!isset($parts['scheme'], $parts['host'])) {
            return null;
        }
        $scheme = strtolower($parts['scheme']);
        $port = $parts['port'] ?? ['http' => 80, 'https' => 443][$scheme] ?? null;

        return $scheme . '://' . strtolower($parts['host']) . ":$port";
    }

    public function getIterator(): \Iterator
    {
        return new \ArrayIterator($this->all());
    }

    /** @return array<string, mixed> */
    public function __debugInfo(): array
    {
        return ['names' => array_keys($this->all()), 'values' => 'hidden'];
    }
}

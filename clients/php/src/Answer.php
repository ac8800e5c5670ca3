<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** One answer of a broker. Strict where it could be taken for another one (RFC 9112, 6.3). */
final class Answer
{
    private const MOST_BYTES = 1 << 20;

    /** @param array<string, string> $headers by lower-case name */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        #[\SensitiveParameter] public readonly string $body,
    ) {
    }

    /** The answer in these bytes, null while it is not whole. Throws BrokerError. */
    public static function of(#[\SensitiveParameter] string $data, bool $over): ?self
    {
        if (strlen($data) > self::MOST_BYTES) {
            throw BrokerError::notABroker('its answer is longer than a megabyte');
        }
        if (strncmp($data, 'HTTP/1.', min(7, strlen($data))) !== 0) {
            throw BrokerError::notABroker('it does not speak HTTP');
        }
        $parts = preg_split('/\r?\n\r?\n/', $data, 2);
        if (count($parts) === 2) {
            [$status, $headers] = self::head($parts[0]);
            $length = self::length($status, $headers);
            if ($length === null ? $over : strlen($parts[1]) >= $length) {
                return new self($status, $headers, substr($parts[1], 0, $length));
            }
        }
        if ($over) {
            throw BrokerError::cut();
        }

        return null;
    }

    /** @return array<string, mixed> the JSON object in it */
    public function json(): array
    {
        $data = json_decode($this->body, false, 64);
        if (!$data instanceof \stdClass) {
            throw BrokerError::bad('it is not a JSON object');
        }

        return json_decode($this->body, true, 64);
    }

    /** @return array<string, mixed> the same of an answer that must be a 200 */
    public function document(): array
    {
        return $this->status === 200 ? $this->json() : throw BrokerError::ofAnswer($this);
    }

    /** @return array{int, array<string, string>} */
    private static function head(string $head): array
    {
        $lines = preg_split('/\r?\n/', $head);
        if (preg_match('/^HTTP\/1\.[01] (\d{3})( |$)/', array_shift($lines), $found) !== 1) {
            throw BrokerError::notABroker('its status line is not HTTP');
        }
        $headers = [];
        foreach ($lines as $line) {
            [$name, $value] = array_map(trim(...), explode(':', strtolower($line), 2)) + [1 => null];
            if ($value === null || ($name === 'content-length' && ($headers[$name] ?? $value) !== $value)) {
                throw BrokerError::notABroker('its header lines are not HTTP');
            }
            $headers[$name] = $value;
        }

        return [(int) $found[1], $headers];
    }

    /** @param array<string, string> $headers */
    private static function length(int $status, array $headers): ?int
    {
        if (isset($headers['transfer-encoding'])) {
            throw BrokerError::notABroker('it answers in chunks, which no broker does');
        }
        $said = $status === 304 || $status === 204 ? '0' : $headers['content-length'] ?? null;
        if ($said !== null && preg_match('/^\d{1,7}$/D', $said) !== 1) {
            throw BrokerError::notABroker('its Content-Length is no number, or too long an answer');
        }

        return $said === null ? null : (int) $said;
    }
}

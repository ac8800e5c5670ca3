<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** What USPS answered, as the broker reads it (section 5): without cookies, tokens and the query. */
final class Report
{
    /** Bytes. USPS says what is wrong in the first few hundred; the broker reads no more than this. */
    public const MOST_BODY = 4096;
    private const MOST_HEADERS = 24;
    private const UNTOLD = ['cookie', 'set-cookie', 'authorization', 'x-payment-authorization-token'];

    /**
     * @param array<string, string|list<string>> $headers
     * @param array<string, int>                 $serials
     *
     * @return array<string, mixed>
     */
    public static function of(int $status, array $headers, string $body, string $path, ?string $host, array $serials, ?string $payment): array
    {
        $told = [];
        foreach ($headers as $name => $value) {
            if (!in_array(strtolower((string) $name), self::UNTOLD, true) && count($told) < self::MOST_HEADERS) {
                $told[self::plain((string) $name, 64)] = self::plain(is_array($value) ? implode(', ', $value) : (string) $value, 256);
            }
        }
        return [
            'status' => $status,
            'headers' => (object) $told,
            'body' => self::plain($body, self::MOST_BODY),
            'path' => self::plain(explode('?', $path, 2)[0], 512),
            'serials' => $serials,
        ] + array_filter(['host' => $host, 'payment' => $payment], fn ($value) => $value !== null);
    }

    /** @param array<string, mixed> $report */
    public static function encode(array $report): string
    {
        return json_encode($report, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
    }

    /** Text of bounded length, without control characters; what is no UTF-8 is replaced by json_encode. */
    private static function plain(string $text, int $most): string
    {
        return (string) preg_replace('/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/', '?', substr($text, 0, $most));
    }
}

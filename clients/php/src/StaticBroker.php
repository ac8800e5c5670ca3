<?php

declare(strict_types=1);

namespace UspsTokenClient;

/** USPS_TOKEN_STATIC: answers as a broker with these tokens, for developers' machines and tests (section 8). */
final class StaticBroker
{
    private const APP = 'static';
    private const FIX = 'USPS_TOKEN_STATIC is a bearer token, or JSON: {"bearer": "…", "payment": "…" or {"NAME": "…"}, "base_url": "https://…"}';
    /** Seconds of life left: nobody knows, and nobody renews. */
    private const LIFE = 1e9;

    /** @param array<string, Token> $tokens by slot */
    private function __construct(private readonly array $tokens, private readonly string $baseUrl)
    {
    }

    /** With the tokens of this text. Throws InvalidArgumentException, which does not quote it. */
    public static function of(#[\SensitiveParameter] string $text): self
    {
        $given = str_starts_with($text, '{') ? json_decode($text, true) : ['bearer' => $text];
        $payment = $given['payment'] ?? [];
        $base = $given['base_url'] ?? 'https://apis.usps.com';
        $tokens = [];
        try {
            $values = ['bearer' => $given['bearer'] ?? null];
            foreach (is_array($payment) ? $payment : ['default' => $payment] as $name => $value) {
                $values[Reading::paymentSlot((string) $name)] = $value;
            }
            foreach ($values as $slot => $value) {
                $tokens[$slot] = Reading::token($slot, ['slot' => $slot, 'app' => self::APP, 'token' => $value, 'serial' => 1, 'expires_at' => self::LIFE], null);
            }
        } catch (BrokerError | \InvalidArgumentException) {
            $tokens = [];
        }
        if ($tokens !== [] && is_string($base)) {
            return new self($tokens, $base);
        }
        $error = new \InvalidArgumentException(self::FIX);
        Frames::forgetArguments($error);
        throw $error;
    }

    /** What a broker would answer. */
    public function __invoke(string $path, array $query, string $etag, ?array $body, float $deadline): Answer
    {
        $payment = isset($query['payment']) ? Reading::paymentSlot($query['payment']) : null;
        $isToken = str_starts_with($path, '/v1/tokens/');
        $slot = $isToken ? rawurldecode(basename($path)) : $query['slot'] ?? $payment ?? 'bearer';
        if (!isset($this->tokens[$slot])) {
            return self::answer(404, ['code' => 'payment_not_configured', 'detail' => "there is no static token for $slot", 'fix' => self::FIX]);
        }
        $known = ['app' => $query['app'] ?? self::APP, 'expires_in' => self::LIFE, 'expires_at' => microtime(true) + self::LIFE];

        return self::answer(200, match ($path) {
            '/v1/headers' => $known + ['headers' => $this->headers($payment), 'serials' => ['bearer' => 1, 'payment' => 1], 'base_url' => $this->baseUrl],
            '/v1/answers' => ['code' => self::APP, 'detail' => "USPS answered {$body['status']}, and a static token is not renewed", 'fix' => 'put a new token into USPS_TOKEN_STATIC, or run a broker', 'outcome' => 'failed'],
            '/v1/status' => ['static' => true, 'slots' => array_keys($this->tokens)],
            '/readyz' => ['ready' => true],
            default => $known + ['slot' => $slot, 'token' => $this->tokens[$slot]->value(), 'serial' => 1],
        });
    }

    /** @return array<string, string> */
    private function headers(?string $payment): array
    {
        $values = [Headers::AUTHORIZATION => 'Bearer ' . $this->tokens['bearer']->value()];

        return $payment === null ? $values : $values + [Headers::PAYMENT => $this->tokens[$payment]->value()];
    }

    private static function answer(int $status, array $data): Answer
    {
        return new Answer($status, [], json_encode($data, JSON_THROW_ON_ERROR));
    }
}
